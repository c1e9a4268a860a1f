// SPDX-License-Identifier: MIT
// What each file of the module adds to it.
#pragma once

#include <nanobind/nanobind.h>

namespace lowbit::python {

void add_errors(nanobind::module_& module);
void add_records(nanobind::module_& module);
void add_checkpoint(nanobind::module_& module);
void add_codec(nanobind::module_& module);
void add_quantize(nanobind::module_& module);
void add_evaluate(nanobind::module_& module);
void add_sim(nanobind::module_& module);
void add_verify(nanobind::module_& module);

}  // namespace lowbit::python
