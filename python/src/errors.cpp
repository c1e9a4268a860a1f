// SPDX-License-Identifier: MIT
// lowbit::Error to the Python exception of its kind.
#include "lowbit/error.hpp"

#include <exception>

#include "matrix.hpp"
#include "module.hpp"

namespace nb = nanobind;

namespace lowbit::python {
namespace {

const char* class_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::mismatch:
      return "MismatchError";
    case ErrorKind::usage:
      return "UsageError";
    case ErrorKind::invalid_input:
      return "InvalidInputError";
    case ErrorKind::internal:
      return "InternalError";
    case ErrorKind::unavailable:
      return "UnavailableError";
  }
  return "InternalError";
}

void translate(const std::exception_ptr& thrown, void* /*unused*/) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    // The classes are Python's own (lowbit/errors.py). Text that is no UTF-8 comes from names in
    // files.
    try {
      const nb::object cls = nb::module_::import_("lowbit.errors").attr(class_of(error.kind()));
      PyErr_SetObject(cls.ptr(), utf8(error.what()).ptr());
    } catch (nb::python_error& failure) {
      failure.restore();
    }
  }
}

}  // namespace

void add_errors(nb::module_& /*module*/) {
  nb::register_exception_translator(translate);
}

}  // namespace lowbit::python
