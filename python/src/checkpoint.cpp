// SPDX-License-Identifier: MIT
// Quantized checkpoints: what they hold, and what is wrong with them.
#include "lowbit/checkpoint.hpp"

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "float_environment.hpp"
#include "lowbit/checkpoint_lint.hpp"
#include "matrix.hpp"
#include "module.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace lowbit::python {
namespace {

using Path = std::filesystem::path;

nb::dict about(const TensorInfo& tensor) {
  nb::dict d;
  d["name"] = utf8(tensor.name);
  d["dtype"] = utf8(tensor.dtype->name);
  d["shape"] = tensor.shape;
  d["bytes"] = tensor.bytes.size();
  d["offset"] = tensor.offset;
  d["file"] = utf8(tensor.file);
  return d;
}

nb::dict about(const QuantizedTensor& tensor) {
  nb::dict d;
  d["name"] = utf8(tensor.name);
  d["convention"] = utf8(tensor.convention->name);
  d["format"] = utf8(tensor.format->name);
  d["shape"] = tensor.shape;
  d["layout"] = describe(tensor.layout);
  d["bytes"] = tensor.stored_bytes();
  nb::list entries;
  for (const TensorInfo* part :
       {tensor.codes, tensor.scales, tensor.tensor_scale, tensor.input_scale, tensor.extra}) {
    if (part != nullptr) entries.append(utf8(part->name));
  }
  d["entries"] = entries;
  if (tensor.layout.tensor_scale != TensorScaleKind::none) {
    // Subnormal numbers stay what they are on their way to binary64.
    const FloatEnvironment environment;
    d["tensor_scales"] = tensor.tensor_scales;
  }
  return d;
}

/// Opened while other Python threads run.
Checkpoint opened(const Path& path) {
  const Computing computing;
  return Checkpoint::open(path);
}

nb::dict inspect(const Path& path) {
  const Checkpoint checkpoint = opened(path);
  nb::list quantized;
  nb::list tensors;
  nb::list faults;
  for (const QuantizedTensor& tensor : checkpoint.quantized()) quantized.append(about(tensor));
  for (const TensorFile& file : checkpoint.files()) {
    for (const TensorInfo& tensor : file.tensors()) tensors.append(about(tensor));
  }
  for (const CheckpointFault& fault : checkpoint.faults()) faults.append(utf8(fault.line()));
  nb::dict d;
  d["quantized"] = quantized;
  d["tensors"] = tensors;
  d["faults"] = faults;
  return d;
}

nb::list lint_checkpoint(const Path& path, const std::optional<Path>& reference) {
  std::vector<LintFinding> findings;
  {
    const Computing computing;
    const Checkpoint checkpoint = Checkpoint::open(path);
    std::optional<Checkpoint> original;
    if (reference) {
      original = Checkpoint::open(*reference);
      require_no_faults(*original);
    }
    findings = lint(checkpoint, original ? &*original : nullptr);
  }
  nb::list all;
  for (const LintFinding& finding : findings) {
    nb::dict d;
    d["kind"] = utf8(finding.kind);
    d["file"] = utf8(finding.file);
    d["tensor"] = utf8(finding.tensor);
    d["text"] = utf8(finding.text);
    d["line"] = utf8(finding.line());
    all.append(d);
  }
  return all;
}

}  // namespace

void add_checkpoint(nb::module_& m) {
  m.def("inspect", &inspect, "path"_a,
        nb::sig("def inspect(path: str | os.PathLike) -> dict[str, typing.Any]"));
  m.def("lint", &lint_checkpoint, "path"_a, "reference"_a.none(),
        nb::sig("def lint(path: str | os.PathLike, reference: str | os.PathLike | None) -> "
                "list[dict[str, typing.Any]]"));
}

}  // namespace lowbit::python
