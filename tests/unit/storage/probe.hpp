#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

/// A running `storage_probe`, killed when this object goes.
class Probe {
 public:
  explicit Probe(const std::vector<std::string>& arguments);
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;
  ~Probe();

  void send_line(const std::string& line);

  /// The next line of its output; nullopt when it ended. Throws when nothing comes for 60 seconds.
  std::optional<std::string> read_line();

  void kill();

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string buffer_;
};
