// The process that a storage test damages or kills instead of itself.
//
//   storage_probe judge-journal      reads directories from standard input, answers each with a verdict on
//   one line storage_probe judge-checkpoints  the same for checkpoint stores storage_probe append DIR appends
//   events without end, prints the number of each that became durable storage_probe save DIR           saves
//   checkpoints without end, prints the step of each that was committed

#include <unistd.h>

#include <atomic>
#include <iostream>
#include <string>
#include <thread>

#include "stored_example.hpp"

namespace {

/// One `write`, so that a kill leaves no half line of an earlier acknowledgement in a buffer.
void print_line(const std::string& text) {
  const std::string line = text + "\n";
  if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(3);
}

int judge(std::string (*judge_directory)(const std::filesystem::path&)) {
  for (std::string directory; std::getline(std::cin, directory);) print_line(judge_directory(directory));
  return 0;
}

int append_without_end(const std::filesystem::path& directory) {
  const auto journal = ds::storage::StateJournal::open(directory);
  if (!journal) return print_line("refused " + journal.error().message), 1;
  std::atomic<int> waiting = 0;
  std::uint64_t number = (*journal)->take_recovered().events.size();
  for (;;) {
    // Several at once, so that kills also meet commits of more than one record.
    while (waiting >= 8) std::this_thread::yield();
    ++waiting;
    ++number;
    (*journal)->append({"event " + std::to_string(number)},
                       [&waiting, number](const ds::Result<void>& outcome) {
                         print_line(outcome ? std::to_string(number) : "refused " + outcome.error().message);
                         --waiting;
                       });
  }
}

int save_without_end(const std::filesystem::path& directory) {
  const auto store = ds::storage::CheckpointStore::open(directory);
  if (!store) return print_line("refused " + store.error().message), 1;
  const auto entries = (*store)->list("killed");
  std::uint64_t step = entries->empty() ? 0 : entries->back().step;
  for (;;) {
    ++step;
    const auto saved = save_example(**store, "killed", step);
    print_line(saved ? std::to_string(step) : "refused " + saved.error().message);
    if (step % 5 == 0)
      (void)(*store)->prune("killed", {.keep_last = 3, .keep_best = 1, .best_metric = "accuracy"});
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "judge-journal") return judge(judge_example_journal);
  if (command == "judge-checkpoints") return judge(judge_example_checkpoints);
  if (command == "append" && argc == 3) return append_without_end(argv[2]);
  if (command == "save" && argc == 3) return save_without_end(argv[2]);
  std::cerr << "usage: storage_probe judge-journal | judge-checkpoints | append DIR | save DIR\n";
  return 2;
}
