#include "actors/replica/model_thread.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

namespace ds::replica {

/// What waits. The thread has it, too: it may end its own `ModelThread`.
struct ModelThread::Line {
  void run();

  std::mutex mutex;
  std::condition_variable has_work;
  std::deque<std::function<void()>> work;
  bool stopping = false;
};

ModelThread::ModelThread() : line_(std::make_shared<Line>()), thread_([line = line_] { line->run(); }) {}

ModelThread::~ModelThread() {
  {
    const std::lock_guard lock(line_->mutex);
    line_->stopping = true;
  }
  line_->has_work.notify_all();
  thread_.get_id() == std::this_thread::get_id() ? thread_.detach() : thread_.join();
}

void ModelThread::post(std::function<void()> work) {
  {
    const std::lock_guard lock(line_->mutex);
    line_->work.push_back(std::move(work));
  }
  line_->has_work.notify_one();
}

void ModelThread::Line::run() {
  while (true) {
    std::function<void()> next;
    {
      std::unique_lock lock(mutex);
      has_work.wait(lock, [this] { return stopping || !work.empty(); });
      if (stopping) return;
      next = std::move(work.front());
      work.pop_front();
    }
    next();
  }
}

}  // namespace ds::replica
