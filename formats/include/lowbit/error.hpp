// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>
#include <string>

namespace lowbit {

/// Why a call failed; each value is the exit code that the command gives it.
enum class ErrorKind {
  mismatch = 1,  ///< a comparison or threshold failed
  usage = 2,     ///< a request that has no meaning (an unknown name, a pair that does not exist)
  invalid_input = 3,  ///< a file or tensor that cannot be read, is malformed or not representable
  internal = 4,       ///< a bug in lowbit
  unavailable = 5,    ///< hardware or a tool that is missing, or too old
};

/// The one exception of the library. what() is one line that names the file or tensor, the place
/// (a byte offset, an index) and the remedy.
class Error : public std::runtime_error {
 public:
  /// An error of that kind with a one-line message.
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  /// Why the call failed.
  [[nodiscard]] ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace lowbit
