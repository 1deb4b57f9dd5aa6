#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "actors/collective/communicator.hpp"
#include "actors/parameters/link.hpp"
#include "actors/train/batch_source.hpp"
#include "actors/train/piece_watch.hpp"
#include "actors/train/session.hpp"
#include "actors/worker/shared_copy.hpp"
#include "actors/worker/state_message.hpp"

namespace ds::worker {

/// What the trainer tells its actor. Called on the trainer's thread where nothing else is said; none may wait
/// for others.
struct TrainerEvents {
  std::function<void(std::uint64_t total_steps, std::uint64_t steps_per_epoch)> on_ready;
  std::function<void(const Error&)>
      on_impossible;  ///< the job's data, file or model is wrong; nothing more happens
  std::function<void(const Error&)> on_failed;  ///< nothing more happens here, but another try may help
  std::function<void(std::uint64_t generation, std::uint64_t step)> on_paused;
  std::function<void(std::uint64_t generation, std::uint64_t step)> on_joined;  ///< goes on from `step`
  std::function<void(std::uint64_t generation, std::uint64_t step, const Error&)> on_stuck;
  /// Only of jobs with `audit`; see `TrainingSession::watch_shares`.
  std::function<Result<void>(std::uint64_t generation, const train::TakenShare&)> on_share;
  std::function<void(std::uint64_t generation, const train::StepResult&)> on_step;
  std::function<void(std::uint64_t generation, const train::EvaluationResult&)> on_evaluated;
  /// A checkpoint is due; rank 0 only. On a thread of the session's. `last`: all steps are done, the job is
  /// finished once this one is durable.
  std::function<void(std::uint64_t generation, train::StateImage, std::map<std::string, double> metrics,
                     bool last)>
      on_checkpoint;
};

/// A worker's place in a generation.
struct TrainerPlace {
  std::uint64_t generation = 0;
  std::uint32_t rank = 0;
  std::vector<collective::RankRange> ranges;
  std::shared_ptr<collective::Exchange> exchange;  ///< null for a gang of one
  std::optional<train::StateImage> state;          ///< to take over first; none: the state is there already
  std::shared_ptr<parameters::Link> servers;       ///< that hold the state; null: the workers do
  bool seed = false;       ///< sets the servers, from `state`, or from how the job begins if `step` is 0
  std::uint64_t step = 0;  ///< to go on from
};

/// One worker's training thread: runs steps between a `start` and the next `pause`, and answers through
/// events.
///
/// It has no messages and no files of its own, and never waits for anything but its members' collectives.
/// `pause` and the end abort these, and give a step or an evaluation up before its next micro-batch or batch.
/// Orders of a generation older than the newest obeyed are ignored. Methods: any thread.
class Trainer : private train::PieceWatch {
 public:
  /// Where the batches come from of a job that has data shards. Called on the trainer's thread; the maker
  /// outlives what is returned.
  using MakeSource =
      std::function<std::unique_ptr<train::BatchSource>(const scheduler::JobSpec&, const train::BatchMaker&)>;

  Trainer(TrainerEvents events, MakeSource make_source);
  ~Trainer() override;  ///< stops at the next micro-batch and joins the thread
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  void assign(scheduler::JobSpec spec, std::uint64_t max_state_bytes = kMaxStateBytes);
  void pause(std::uint64_t generation);
  void join(TrainerPlace place);
  void start(std::uint64_t generation);

  /// Calls `use` with a copy of the state on the trainer's thread, between steps of a pause, which all share
  /// that ask meanwhile; with nullopt when it has none yet, or no memory for the copy.
  void read_state(std::function<void(std::optional<train::StateImage>)> use);

  struct Position {
    bool ready = false;     ///< has a session
    bool creating = false;  ///< reads the data and builds the model
    bool training = false;  ///< between start and the end of the generation
    std::uint64_t generation = 0, step = 0, total_steps = 0, steps_per_epoch = 0;
    std::string fingerprint;  ///< of data and model, which all workers of a job must share
    std::uint64_t parameters = 0;
    std::vector<parameters::RowTable> row_tables;
    bool computing = false;  ///< a micro-batch, or a batch of an evaluation, which nothing can interrupt
    std::chrono::milliseconds longest_piece{0};  ///< that its like took until now; 0: it is the first
  };
  Position position() const;

 private:
  using Order = std::function<void()>;
  using Clock = std::chrono::steady_clock;  // how long pieces take says when a worker is late

  Result<void> begin(train::PieceKind kind) override;
  void end() override;
  void run();
  void push(Order order);
  void create_session(const scheduler::JobSpec& spec);
  Result<void> make_session();
  void be_without_session(const Error& why);
  Result<void> meet_servers();
  std::shared_ptr<parameters::Link> servers() const;
  void enter(TrainerPlace place);
  void train(std::uint64_t generation);
  bool finish_boundary(std::uint64_t generation, std::uint64_t made, bool resumed);
  bool evaluate(std::uint64_t generation, std::map<std::string, double>& metrics);
  void abort_calls(const Error& why);
  bool is_current(std::uint64_t generation) const;
  void fail_with(std::uint64_t generation, const Error& why);
  void be_stuck(std::uint64_t generation, const Error& why);
  void publish_position(bool training);

  TrainerEvents events_;
  MakeSource make_source_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Order> orders_;
  bool stopping_ = false;
  std::uint64_t newest_ = 0;  ///< generation of the newest order
  std::shared_ptr<collective::Exchange> exchange_;
  std::shared_ptr<parameters::Link> servers_;
  Position position_;
  Clock::time_point piece_began_;
  train::PieceKind piece_{};
  std::map<train::PieceKind, std::chrono::milliseconds> longest_pieces_;

  // Only the trainer's thread touches these.
  scheduler::JobSpec spec_;
  std::unique_ptr<train::TrainingSession> session_;
  std::string fingerprint_;
  std::uint64_t parameters_ = 0;
  std::vector<parameters::RowTable> row_tables_;
  SharedCopy copy_;
  std::unique_ptr<collective::Communicator> communicator_;
  std::uint64_t joined_ = 0;
  std::uint32_t rank_ = 0;
  std::uint64_t max_state_bytes_ = kMaxStateBytes;
  std::uint64_t offered_step_ = 0;  ///< of the last checkpoint that was handed out here
  bool seed_ = false;
  bool has_met_servers_ = false;  ///< the session: its parameters may be theirs
  std::thread thread_;
};

}  // namespace ds::worker
