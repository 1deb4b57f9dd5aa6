#include "actors/programs/fault_point.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <utility>
#include <vector>

namespace ds::programs {
namespace {

class DyingJournal final : public storage::StateJournal {
 public:
  DyingJournal(std::unique_ptr<storage::StateJournal> journal, FaultPoint point)
      : journal_(std::move(journal)), point_(point) {}

  Recovered take_recovered() override { return journal_->take_recovered(); }
  void append(std::vector<std::string> events, OnDurable on_durable) override {
    step("a record", on_durable);
    journal_->append(std::move(events), std::move(on_durable));
  }
  void compact(SnapshotPiece piece, OnDurable on_durable) override {
    step(piece.is_first  ? "a snapshot's first piece"
         : piece.is_last ? "a snapshot's last piece"
                         : "a piece of a snapshot",
         on_durable);
    journal_->compact(std::move(piece), std::move(on_durable));
  }
  Result<void> check_room() const override { return journal_->check_room(); }
  Result<void> check_progress() const override { return journal_->check_progress(); }
  std::uint64_t bytes_since_snapshot() const override { return journal_->bytes_since_snapshot(); }

 private:
  void step(const char* what, OnDurable& on_durable) {
    if (++steps_ != point_.step) return;
    if (point_.before) die(what);
    on_durable = [this, what](const Result<void>&) { die(what); };
  }

  void die(const char* what) const {
    spdlog::warn("killed by itself at step {}, {} {}", point_.step, point_.before ? "before" : "after", what);
    spdlog::default_logger()->flush();
    ::kill(getpid(), SIGKILL);
    while (true) pause();  // nothing more happens on this thread
  }

  const std::unique_ptr<storage::StateJournal> journal_;
  const FaultPoint point_;
  std::uint64_t steps_ = 0;  ///< by the head's actor alone
};

}  // namespace

Result<FaultPoint> parse_fault_point(std::string_view text) {
  FaultPoint point;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), point.step);
  const auto rest = std::string_view(end, static_cast<std::size_t>(text.data() + text.size() - end));
  point.before = rest == ":before";
  if (error != std::errc() || point.step == 0 || !(rest.empty() || rest == ":before" || rest == ":after")) {
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
