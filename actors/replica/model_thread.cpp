#include "actors/replica/model_thread.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "actors/fabric/patient_thread.hpp"

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
  const auto is_due = [this] { return stopping || !work.empty(); };
  while (true) {
    const bool is_patient = fabric::note_round(0);
    std::function<void()> next;
    {
      std::unique_lock lock(mutex);
      if (is_patient && !has_work.wait_for(lock, fabric::kCalmAfter, is_due)) continue;
      has_work.wait(lock, is_due);
      if (stopping) return;
      next = std::move(work.front());
      work.pop_front();
    }
    next();
  }
}

}  // namespace ds::replica
