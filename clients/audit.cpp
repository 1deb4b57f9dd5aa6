#include "clients/audit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "clients/failure.hpp"
#include "clients/printable.hpp"
#include "clients/text_table.hpp"

namespace ds::clients {
namespace {

constexpr std::size_t kMostFaults = 100;
constexpr std::uint64_t kMostSamples = std::uint64_t{1} << 36;

std::optional<std::uint64_t> to_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// A line of a record, split at blanks.
struct Line {
  std::string place;  ///< FILE:LINE
  std::vector<std::string> words;

  std::uint64_t number(std::size_t word) const {
    return word < words.size() ? to_number(words[word]).value_or(0) : 0;
  }
};

/// `samples` of `samples=4000`.
std::optional<std::uint64_t> named_number(const Line& line, std::string_view name) {
  for (const std::string& word : line.words) {
    if (word.starts_with(name) && word.size() > name.size() && word[name.size()] == '=')
      return to_number(std::string_view(word).substr(name.size() + 1));
  }
  return std::nullopt;
}

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
    for_each_line([this](const Line& line) { read_head_or_done(line); });
    if (audit_.samples == 0 || audit_.samples > kMostSamples || steps_per_epoch_ == 0 || ranks_ == 0)
      throw Failure(ExitCode::unexpected, "data_loss", "the records of the audit have no readable beginning");
    for_each_line([this](const Line& line) {
      if (line.words[0] == "took") read_took(line);
    });
    find_missing();
    return std::move(audit_);
  }

 private:
  void add_fault(std::string fault) {
    if (audit_.faults.size() < kMostFaults) audit_.faults.push_back(std::move(fault));
  }

  /// A last line without its end was cut off by a kill and counts as not written.
  void for_each_line(const std::function<void(const Line&)>& use) const {
    for (const auto& file : files_) {
      std::ifstream stream(file, std::ios::binary);
      std::string text;
      for (std::size_t number = 1; std::getline(stream, text) && !stream.eof(); ++number) {
        std::istringstream words(text);
        Line line{fmt::format("{}:{}", file.filename().string(), number), {}};
        for (std::string word; words >> word;) line.words.push_back(std::move(word));
        if (!line.words.empty()) use(line);
      }
    }
  }

  void read_head_or_done(const Line& line) {
    if (line.words[0] == "done" && line.number(2) > 0) {
      done_.insert(line.number(2));
    } else if (line.words[0] == "ds-audit" && line.number(1) == 1 && line.words.size() > 2) {
      const std::string job = line.words[2];
      const auto samples = named_number(line, "samples").value_or(0);
      if (audit_.job.empty()) {
        audit_.job = job.substr(job.find('=') + 1);
        audit_.samples = samples;
        steps_per_epoch_ = named_number(line, "steps_per_epoch").value_or(0);
        ranks_ = named_number(line, "logical_ranks").value_or(0);
      } else if (job != "job=" + audit_.job || samples != audit_.samples) {
        throw Failure(ExitCode::conflict, "conflict",
                      fmt::format("{} belongs to another job or to other data", line.place),
                      "keep one job's records in one folder");
      }
    } else if (line.words[0] != "took") {
      add_fault(fmt::format("{}: not a line of a record", line.place));
    }
  }

  void read_took(const Line& line) {
    const std::uint64_t step = line.number(2), epoch = line.number(3);
    if (!done_.contains(step)) return;
    if (line.words.size() != 6 || epoch == 0 || (step - 1) / steps_per_epoch_ + 1 != epoch) {
      return add_fault(fmt::format("{}: not a record of step {}", line.place, step));
    }
    const auto [known, is_new] =
        shares_.try_emplace({step, line.number(4)}, std::hash<std::string>()(line.words[5]));
    if (is_new) {
      count(line, epoch);
    } else if (known->second != std::hash<std::string>()(line.words[5])) {
      add_fault(fmt::format("{}: logical rank {} took other samples in step {} than another record says",
                            line.place, line.number(4), step));
    }
  }

  void count(const Line& line, std::uint64_t epoch) {
    if (line.words[5] == "-") return;
    Audit::Epoch& counted = audit_.epochs[epoch];
    std::vector<bool>& seen = seen_[epoch];
    seen.resize(audit_.samples);
    std::istringstream ranges(line.words[5]);
    for (std::string range; std::getline(ranges, range, ',');) {
      const auto dash = range.find('-');
      const auto first = to_number(range.substr(0, dash));
      const auto last = dash == std::string::npos ? first : to_number(range.substr(dash + 1));
      if (!first || !last || *first > *last || *last >= audit_.samples)
        return add_fault(fmt::format("{}: no samples: {}", line.place, printable_line(range)));
      for (std::uint64_t sample = *first; sample <= *last; ++sample) {
        seen[sample] ? ++counted.twice : ++counted.once;
        seen[sample] = true;
      }
    }
  }

  void find_missing() {
    audit_.steps = done_.empty() ? 0 : *done_.rbegin();
    for (std::uint64_t step = 1; step <= audit_.steps; ++step) {
      if (!done_.contains(step)) add_fault(fmt::format("no worker recorded that step {} was done", step));
      for (std::uint64_t rank = 0; rank < ranks_; ++rank) {
        if (done_.contains(step) && !shares_.contains({step, rank}))
          add_fault(fmt::format("no record of what logical rank {} took in step {}", rank, step));
      }
      const std::uint64_t number = (step - 1) / steps_per_epoch_ + 1;
      Audit::Epoch& epoch = audit_.epochs[number];
      if (epoch.first_step == 0) epoch.first_step = step;
      epoch.last_step = step;
      epoch.whole = step == number * steps_per_epoch_;
    }
    for (auto& [number, epoch] : audit_.epochs) epoch.missing = audit_.samples - epoch.once;
  }

  std::vector<std::filesystem::path> files_;
  Audit audit_;
  std::uint64_t steps_per_epoch_ = 0, ranks_ = 0;
  std::set<std::uint64_t> done_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::size_t> shares_;  ///< of (step, logical rank)
  std::map<std::uint64_t, std::vector<bool>> seen_;                        ///< by epoch and sample
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
