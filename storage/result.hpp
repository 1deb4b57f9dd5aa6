#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace ds {

/// What kind of failure it was; decides the HTTP status and the exit code a user sees.
enum class ErrorCode {
  invalid_argument,    ///< the caller's input is wrong; the same call will fail again
  not_found,           ///< the thing named does not exist
  already_exists,      ///< the thing to be made exists
  permission_denied,   ///< not allowed, or the wrong secret
  conflict,            ///< the state forbids it now (a lock held, an older generation)
  resource_exhausted,  ///< a bound was met: queue full, disk full
  unavailable,         ///< the other side is not there; trying again may help
  deadline_exceeded,   ///< it took longer than it may
  data_loss,           ///< bytes on disk are damaged; the message names the file
  cancelled,           ///< somebody stopped it on purpose
  unsupported,         ///< this build or version cannot do it
  internal,            ///< a foreign library failed in a way that we did not expect
};

/// An expected failure, written for the person who reads it.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;  ///< what was wrong and where: the field, file:line:column, job
  std::string hint;     ///< what to do about it; may be empty

  bool operator==(const Error&) const = default;
};

template <class T>
using Result = tl::expected<T, Error>;

/// Shorthand for returning a failure from a function that returns a `Result`.
inline tl::unexpected<Error> fail(ErrorCode code, std::string message, std::string hint = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(hint)});
}

}  // namespace ds
