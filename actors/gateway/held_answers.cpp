#include "actors/gateway/held_answers.hpp"

#include <boost/asio/post.hpp>
#include <utility>

namespace ds::gateway {
namespace {

thread_local AnswersTogether::Held* this_thread_holds = nullptr;

}  // namespace

void AnswersTogether::Held::add(std::shared_ptr<Session> session, std::uint64_t request, Reply reply) {
  const AnswersTogether alone;  // unless there is one already
  Loop& loop = session->loop_;
  this_thread_holds->by_loop[&loop].push_back({std::move(session), request, std::move(reply)});
}

void AnswersTogether::Held::pass_on() {
  for (auto& [loop, answers] : by_loop) {
    const auto core = answers.front().session->core_;
    const std::lock_guard lock(core->mutex);
    if (core->stopping) continue;
    boost::asio::post(loop->io, [passed = std::move(answers)]() mutable {
      for (One& one : passed) one.session->on_answer(one.request, std::move(one.reply));
    });
  }
}

AnswersTogether::AnswersTogether() {
  if (this_thread_holds != nullptr) return;
  held_ = std::make_unique<Held>();
  this_thread_holds = held_.get();
}

AnswersTogether::~AnswersTogether() {
  if (!held_) return;
  this_thread_holds = nullptr;
  held_->pass_on();
}

}  // namespace ds::gateway
