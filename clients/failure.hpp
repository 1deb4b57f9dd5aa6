#pragma once

#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "clients/exit_code.hpp"

namespace ds::clients {

/// Ends the command: thrown where it happens, shown once in `main`. `what()` is the message.
class Failure : public std::exception {
 public:
  /// `code` is a word of `openapi.yaml`, or `usage`, `no_server`, `local` for what went wrong on this side.
  Failure(ExitCode with, std::string word, std::string text, std::string advice = {})
      : exit_code(with), code(std::move(word)), message(std::move(text)), hint(std::move(advice)) {}

  const char* what() const noexcept override { return message.c_str(); }

  ExitCode exit_code;
  std::string code;
  std::string message;
  std::string rendered;  ///< shown to a person instead of message and hint, if not empty
  std::string hint;      ///< what to do; may be empty
  nlohmann::json details = nlohmann::json::array();  ///< of `invalid_job`: where in the file
};

/// The head was not reached, was too slow or too busy: the same request may succeed in a moment.
inline bool may_pass(const Failure& failure) {
  return failure.exit_code == ExitCode::no_server || failure.exit_code == ExitCode::timed_out ||
         failure.code == "unavailable";
}

}  // namespace ds::clients
