#include "actors/programs/fault_point.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <utility>
#include <vector>

namespace ds::programs {
namespace {

void die() {
  ::kill(getpid(), SIGKILL);
  while (true) pause();  // nothing more happens on this thread
}

class DyingJournal final : public storage::StateJournal {
 public:
  DyingJournal(std::unique_ptr<storage::StateJournal> journal, FaultPoint point)
      : journal_(std::move(journal)), point_(point) {}

  Recovered take_recovered() override { return journal_->take_recovered(); }
  void append(std::vector<std::string> events, OnDurable on_durable) override {
    const bool is_here = ++records_ == point_.record;
    if (is_here && point_.before) die();
    if (is_here) on_durable = [](const Result<void>&) { die(); };
    journal_->append(std::move(events), std::move(on_durable));
  }
  void compact(SnapshotPiece piece, OnDurable on_durable) override {
    journal_->compact(std::move(piece), std::move(on_durable));
  }
  Result<void> check_room() const override { return journal_->check_room(); }
  Result<void> check_progress() const override { return journal_->check_progress(); }
  std::uint64_t bytes_since_snapshot() const override { return journal_->bytes_since_snapshot(); }

 private:
  const std::unique_ptr<storage::StateJournal> journal_;
  const FaultPoint point_;
  std::uint64_t records_ = 0;  ///< appended, by the head's actor alone
};

}  // namespace

Result<FaultPoint> parse_fault_point(std::string_view text) {
  FaultPoint point;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), point.record);
  const auto rest = std::string_view(end, static_cast<std::size_t>(text.data() + text.size() - end));
  point.before = rest == ":before";
  if (error != std::errc() || point.record == 0 || !(rest.empty() || rest == ":before" || rest == ":after")) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("DS_HEAD_DIE_AT: \"{}\" is no point to die at", text),
                "N, N:before or N:after, N from 1; unset it unless this is a test");
  }
  return point;
}

std::unique_ptr<storage::StateJournal> add_fault_point(std::unique_ptr<storage::StateJournal> journal,
                                                       FaultPoint point) {
  return std::make_unique<DyingJournal>(std::move(journal), point);
}

}  // namespace ds::programs
