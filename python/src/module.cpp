// SPDX-License-Identifier: MIT
#include "module.hpp"

#include "lowbit/version.hpp"

NB_MODULE(_lowbit, m) {
  m.doc() = "What the package `lowbit` is made of; import that instead.";
  m.def("version", [] { return LOWBIT_VERSION; });
  lowbit::python::add_errors(m);
  lowbit::python::add_records(m);
  lowbit::python::add_checkpoint(m);
  lowbit::python::add_codec(m);
  lowbit::python::add_quantize(m);
  lowbit::python::add_evaluate(m);
  lowbit::python::add_sim(m);
  lowbit::python::add_verify(m);
}
