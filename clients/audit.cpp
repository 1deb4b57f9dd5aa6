#include "clients/audit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>
#include <utility>

#include "clients/audit_records.hpp"
#include "clients/failure.hpp"
#include "clients/printable.hpp"
#include "clients/text_table.hpp"

namespace ds::clients {
namespace {

constexpr std::size_t kMostFaults = 100;

/// Which steps are committed is found out first, and where the lines of each epoch are; then one epoch after
/// the other is counted, so that the samples of one are in memory.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& folder) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("worker-") && name.ends_with(".log")) files_.push_back(entry.path());
    }
    std::ranges::sort(files_);
    if (!files_.empty()) return;
    throw Failure(ExitCode::not_found, "not_found",
                  fmt::format("no records of an audit in {}", folder.string()),
                  "jobs with audit: true write them into audit-JOB beside the job file; --folder names "
                  "another place");
  }

  Audit read() {
    for (std::size_t file = 0; file < files_.size(); ++file) read_places(file);
    if (!head_)
      throw Failure(ExitCode::unexpected, "data_loss", "the records of the audit have no readable beginning",
                    listed_faults());
    audit_.job = head_->job;
    audit_.samples = head_->samples;
    count_epochs();
    return std::move(audit_);
  }

 private:
  /// Lines of one file, one after the other, that are of one epoch.
  struct Run {
    std::size_t file = 0;
    AuditFile::Place first;
    std::uint64_t end = 0;  ///< where the line behind them begins
  };

  bool add_fault(std::string fault) {
    if (audit_.faults.size() < kMostFaults) audit_.faults.push_back(std::move(fault));
    return audit_.faults.size() < kMostFaults;
  }
  std::string place_of(std::size_t file, const AuditFile& lines) const {
    return fmt::format("{}:{}", files_[file].filename().string(), lines.place().line);
  }
  std::string listed_faults() const {
    return audit_.faults.empty() ? "are they files of an audit?" : audit_.faults.front();
  }

  // ---- first pass: what is committed, and where it is ---------------------------------------------

  void read_places(std::size_t file) {
    AuditFile lines(files_[file]);
    std::uint64_t took_step = 0;  // of the last share
    while (const auto text = lines.next()) {
      if (text->empty() && !lines.was_too_long()) continue;
      const AuditLine line = parse_audit_line(*text);
      if (const auto* head = std::get_if<AuditHead>(&line)) {
        check_head(*head, place_of(file, lines));
      } else if (const auto* took = std::get_if<AuditTook>(&line)) {
        took_step = took->step;
        note_run(file, lines, *took);
      } else if (const auto* done = std::get_if<AuditDone>(&line)) {
        // Whoever commits a step has recorded a share of it just before.
        if (done->step == took_step) {
          audit_.steps = std::max(audit_.steps, done->step);
        } else {
          add_fault(fmt::format("{}: step {} is done without a share of it before", place_of(file, lines),
                                done->step));
        }
      } else {
        add_fault(fmt::format("{}: not a line of a record", place_of(file, lines)));
      }
    }
  }

  void check_head(const AuditHead& head, const std::string& place) {
    if (!head_) head_ = head;
    if (head == *head_) return;
    throw Failure(ExitCode::conflict, "conflict",
                  fmt::format("{} belongs to another job or to other data", place),
                  "keep one job's records in one folder");
  }

  void note_run(std::size_t file, const AuditFile& lines, const AuditTook& took) {
    if (!head_ || took.logical_rank >= head_->logical_ranks || took.epoch != epoch_of(took.step)) {
      add_fault(fmt::format("{}: not a record of step {}", place_of(file, lines), took.step));
      return;
    }
    std::vector<Run>& runs = runs_[took.epoch];
    if (took.epoch != last_.first || file != last_.second || runs.empty())
      runs.push_back({file, lines.place(), 0});
    last_ = {took.epoch, file};
    runs.back().end = lines.place().at + 1;
  }

  std::uint64_t epoch_of(std::uint64_t step) const { return (step - 1) / head_->steps_per_epoch + 1; }

  // ---- second pass: an epoch ----------------------------------------------------------------------

  /// Ends with the hundredth fault: a job of some quintillion steps is one of damaged records, which has
  /// shares of a few.
  void count_epochs() {
    const std::uint64_t last = audit_.steps == 0 ? 0 : epoch_of(audit_.steps);
    for (std::uint64_t number = 1; number <= last; ++number) {
      count_epoch(number);
      if (audit_.faults.size() >= kMostFaults) return;
    }
  }

  void count_epoch(std::uint64_t number) {
    shares_.clear();
    seen_.assign(head_->samples, false);
    Audit::Epoch& epoch = audit_.epochs[number];
    epoch.first_step = (number - 1) * head_->steps_per_epoch + 1;
    const std::uint64_t left = audit_.steps - epoch.first_step;
    epoch.whole = left >= head_->steps_per_epoch - 1;
    epoch.last_step = epoch.whole ? epoch.first_step + head_->steps_per_epoch - 1 : audit_.steps;
    for (const Run& run : runs_[number]) read_run(run, number, epoch);
    epoch.missing = head_->samples - epoch.once;
    find_missing_shares(epoch);
  }

  void read_run(const Run& run, std::uint64_t number, Audit::Epoch& epoch) {
    AuditFile lines(files_[run.file]);
    lines.go_to(run.first);
    while (const auto text = lines.next()) {
      if (lines.place().at >= run.end) return;
      const AuditLine line = parse_audit_line(*text);
      const auto* took = std::get_if<AuditTook>(&line);
      if (took == nullptr || took->epoch != number || epoch_of(took->step) != number ||
          took->step > epoch.last_step || took->logical_rank >= head_->logical_ranks)
        continue;
      const std::size_t hash = std::hash<std::string_view>()(took->samples);
      const auto [known, is_new] = shares_.try_emplace({took->step, took->logical_rank}, hash);
      if (is_new) {
        count(*took, place_of(run.file, lines), epoch);
      } else if (known->second != hash) {
        add_fault(fmt::format("{}: logical rank {} took other samples in step {} than another record says",
                              place_of(run.file, lines), took->logical_rank, took->step));
      }
    }
  }

  void count(const AuditTook& took, const std::string& place, Audit::Epoch& epoch) {
    if (took.samples == "-") return;
    for (std::string_view rest = took.samples;;) {
      const std::string_view range = rest.substr(0, rest.find(','));
      const auto dash = range.find('-');
      const auto first = to_number(range.substr(0, dash));
      const auto last = dash == std::string_view::npos ? first : to_number(range.substr(dash + 1));
      if (!first || !last || *first > *last || *last >= head_->samples) {
        add_fault(fmt::format("{}: no samples: {}", place, printable_line(std::string(range.substr(0, 50)))));
        return;
      }
      if (epoch.twice > head_->samples) return;  // it is bad enough, and might take for ever
      for (std::uint64_t sample = *first; sample <= *last; ++sample) {
        seen_[sample] ? ++epoch.twice : ++epoch.once;
        seen_[sample] = true;
      }
      if (range.size() == rest.size()) return;
      rest.remove_prefix(range.size() + 1);
    }
  }

  void find_missing_shares(const Audit::Epoch& epoch) {
    for (std::uint64_t step = epoch.first_step; step <= epoch.last_step; ++step) {
      for (std::uint64_t rank = 0; rank < head_->logical_ranks; ++rank) {
        if (!shares_.contains({step, rank}) &&
            !add_fault(fmt::format("no record of what logical rank {} took in step {}", rank, step)))
          return;
      }
    }
  }

  std::vector<std::filesystem::path> files_;
  Audit audit_;
  std::optional<AuditHead> head_;                     ///< of all files
  std::map<std::uint64_t, std::vector<Run>> runs_;    ///< by epoch
  std::pair<std::uint64_t, std::size_t> last_{0, 0};  ///< epoch and file of the last share
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::size_t> shares_;  ///< of the epoch: (step, rank)
  std::vector<bool> seen_;                                                 ///< of the epoch, by sample
};

}  // namespace

bool Audit::is_good() const {
  const auto is_bad = [](const auto& each) {
    return each.second.twice > 0 || (each.second.whole && each.second.missing > 0);
  };
  return faults.empty() && std::ranges::none_of(epochs, is_bad);
}

Audit read_audit(const std::filesystem::path& folder) {
  return Reader(folder).read();
}

std::string format_audit(const Audit& audit, bool coloured) {
  std::vector<std::vector<Cell>> rows;
  for (const auto& [number, epoch] : audit.epochs) {
    const auto count = [](std::uint64_t value, bool bad) {
      return Cell{std::to_string(value), bad ? Colour::red : Colour::none, true};
    };
    rows.push_back({{std::to_string(number), Colour::none, true},
                    {fmt::format("{}-{}", epoch.first_step, epoch.last_step)},
                    count(epoch.once, false),
                    count(epoch.missing, epoch.whole && epoch.missing > 0),
                    count(epoch.twice, epoch.twice > 0),
                    {epoch.whole ? "" : "not over yet", Colour::faint}});
  }
  std::string text = format_table({"EPOCH", "STEPS", "ONCE", "MISSING", "TWICE", ""}, rows, coloured);
  for (const std::string& fault : audit.faults) text += fault + "\n";
  return text + (audit.is_good()
                     ? fmt::format("{} committed steps took every sample once an epoch\n", audit.steps)
                     : "the committed steps did not take every sample once an epoch\n");
}

}  // namespace ds::clients
