#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/chaos/record.hpp"

namespace ds::chaos {

/// A process that ran, and what the driver did to it.
struct Incarnation {
  std::uint64_t id = 0;
  std::size_t slot = 0;
  int pid = 0;
  std::int64_t started_ns = 0;
  std::int64_t killed_ns = 0;  ///< 0: it was not
  struct Stop {
    std::int64_t from_ns = 0;
    std::int64_t to_ns = 0;
  };
  std::vector<Stop> stops;
};

/// Judges what the processes wrote down. Knows nothing of the code under test.
class TrafficCheck {
 public:
  /// Reads what was added to the journal of process `id`.
  void read(std::uint64_t id, const JournalMemory& journal);

  /// What `living` processes still wait for after all of them were told to stop sending; empty when nothing.
  std::vector<std::string> unsettled(const std::vector<std::uint64_t>& living) const;

  /// All journals were read to their ends: the findings, each a sentence.
  std::vector<std::string> findings(const std::vector<Incarnation>& all) const;

  /// How many messages of all kinds arrived.
  std::uint64_t arrived(std::uint64_t from, std::uint64_t to) const;
  /// When `who` reported `whom` lost.
  std::vector<std::int64_t> losses(std::uint64_t who, std::uint64_t whom) const;
  std::int64_t last_loss_ns(const std::vector<std::uint64_t>& living) const;  ///< among them; 0: none
  /// When the monitors of `who` on `whom` fired.
  std::vector<std::int64_t> fired(std::uint64_t who, std::uint64_t whom) const;

  /// For the summary.
  std::string summary(const std::vector<Incarnation>& all) const;

 private:
  /// A way from one process to another: of the raw channel, or of a pair of actors.
  struct Way {
    std::uint64_t from = 0, to = 0;
    std::int32_t stream = -1;  ///< -1: raw
    auto operator<=>(const Way&) const = default;
  };
  struct Arrived {
    std::uint32_t epoch = 0;
    std::uint64_t sequence = 0;
    std::uint64_t count = 0;
    bool lost_since = false;  ///< the receiver reported the sender lost
  };
  /// Messages that did not arrive. Somebody must have been told.
  struct Gap {
    Way way;
    std::uint32_t epoch = 0;
    std::uint64_t first = 0, last = 0;
    std::int64_t next_sent_ns = 0;  ///< when the one after it was sent
  };
  struct Loss {
    std::int64_t time_ns = 0;
    std::uint64_t last_sent = 0;
  };
  struct Question {
    std::uint64_t peer = 0;
    int ends = 0;
  };
  struct Watch {
    std::uint64_t peer = 0;
    std::int64_t set_ns = 0;
    std::vector<std::int64_t> fired;
  };
  struct Total {
    std::uint32_t epoch = 0;
    std::uint64_t sequence = 0;
  };

  void take(std::uint64_t id, const Record& record);
  void take_arrival(std::uint64_t id, const Record& record);
  std::string name(const Way& way) const;
  void judge_gaps(const std::vector<Incarnation>& all, std::vector<std::string>& found) const;
  void judge_losses(const std::vector<Incarnation>& all, std::vector<std::string>& found) const;
  void judge_requests(const std::vector<Incarnation>& all, std::vector<std::string>& found) const;
  void judge_watches(const std::vector<Incarnation>& all, std::vector<std::string>& found) const;

  std::map<std::uint64_t, std::int64_t> offsets_;
  std::map<Way, Arrived> arrived_;
  std::map<Way, Total> totals_;
  std::vector<Gap> gaps_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::vector<Loss>>
      losses_;                                                             ///< by who reported, about whom
  std::map<std::pair<Way, std::uint32_t>, std::int64_t> downs_;            ///< of a way's epoch
  std::map<std::pair<std::uint64_t, std::uint64_t>, Question> questions_;  ///< by who asked, number
  std::map<std::pair<std::uint64_t, std::uint64_t>, Watch> watches_;
  std::vector<std::string> violations_;
  std::uint64_t answered_ = 0, failed_ = 0;
};

}  // namespace ds::chaos
