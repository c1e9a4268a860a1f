// SPDX-License-Identifier: MIT
// quantize, dequantize, and the files between them.
#include "lowbit/quantize.hpp"

#include <fmt/format.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "arrays.hpp"
#include "float_environment.hpp"
#include "lowbit/dequantize_as.hpp"
#include "lowbit/error.hpp"
#include "lowbit/evaluate.hpp"
#include "lowbit/names.hpp"
#include "lowbit/quantize_pieces.hpp"
#include "lowbit/version.hpp"
#include "matrix.hpp"
#include "module.hpp"
#include "quantized.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace lowbit::python {
namespace {

using FloatArray = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;

std::span<const float> floats(const std::optional<FloatArray>& array) {
  return array ? std::span<const float>(array->data(), array->size()) : std::span<const float>();
}

Quantized quantize_array(const AnyArray& x, const std::string& format, const std::string& rule,
                         const std::string& dialect, int axis, bool transposed, bool block_2d,
                         bool hadamard, std::optional<double> given_amax,
                         std::optional<float> scale_max, const std::string& nonfinite,
                         const std::string& rounding, const std::optional<FloatArray>& random0,
                         const std::optional<FloatArray>& random1,
                         const std::optional<FloatArray>& importance, const std::string& dtype,
                         unsigned threads) {
  const TensorInfo tensor = tensor_of(x, dtype);
  const std::optional<float> amax = narrowed(given_amax);
  QuantizeRecord wanted = record_named(format, rule, dialect);
  wanted.scale_max = scale_max;
  wanted.amax_given = amax.has_value();
  wanted.block_2d = block_2d;
  wanted.nonfinite = nonfinite_named(nonfinite);
  wanted.rounding = rounding_named(rounding);
  if (hadamard) wanted.transforms = {"hadamard"};
  QuantizeOptions request = request_of(wanted, amax.value_or(0.0F));
  request.input_type = input_type_of(*tensor.dtype);
  request.random0 = floats(random0);
  request.random1 = floats(random1);
  request.importance = floats(importance);

  const Computing computing;
  const std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
  Quantized result;
  result.named.name = tensor.name;
  result.named.tensor =
      quantize({&tensor, view_along(shape, axis), transposed}, request, threads, stopping());
  result.named.record = record_of(request);
  result.named.record.axis = axis;
  result.named.record.transposed = transposed;
  result.named.record.shape = tensor.shape;
  result.named.record.dtype = tensor.dtype;
  return result;
}

/// Somebody else's bytes as a block tensor.
/// \param number  an amax, a multiplier or a divisor, as `kind` says
Quantized assemble(const Bytes& values, const Bytes& scales, double number, const std::string& kind,
                   const std::string& format, const std::string& rule, const std::string& dialect,
                   std::optional<std::size_t> columns, std::optional<float> scale_max,
                   bool block_2d) {
  Quantized q;
  QuantizeRecord& record = q.named.record;
  record = record_named(format, rule, dialect);
  record.scale_max = scale_max;
  record.block_2d = block_2d;
  if (values.ndim() != 2 || scales.ndim() != 2) {
    throw Error(ErrorKind::usage,
                fmt::format("values and scales have {} and {} dimensions where each needs 2",
                            values.ndim(), scales.ndim()));
  }
  BlockTensor& t = q.named.tensor;
  t.format = record.format;
  t.rows = values.shape(0);
  // Whole bytes of levels and codes; blocks that are not whole are refused below.
  const auto size = static_cast<std::size_t>(record.format->block_size);
  t.columns = columns.value_or(values.shape(1) * size / record.format->block_bytes());
  if (values.shape(1) != t.value_bytes_per_row() || scales.shape(0) != t.rows ||
      scales.shape(1) != t.blocks_per_row()) {
    throw Error(
        ErrorKind::usage,
        fmt::format("values [{}, {}] and scales [{}, {}] do not fit: {} of {} columns takes values "
                    "[{}, {}] and scales [{}, {}]",
                    values.shape(0), values.shape(1), scales.shape(0), scales.shape(1),
                    record.format->name, t.columns, t.rows, t.value_bytes_per_row(), t.rows,
                    t.blocks_per_row()));
  }
  t.values.assign(values.data(), values.data() + values.size());
  t.scales.assign(scales.data(), scales.data() + scales.size());
  for (const TensorScaleKind each :
       {TensorScaleKind::amax, TensorScaleKind::multiplier, TensorScaleKind::divisor}) {
    if (name_of(each) == kind) q.scale_kind = each;
  }
  if (name_of(q.scale_kind) != kind) {
    throw Error(ErrorKind::usage,
                fmt::format("tensor_scale_kind='{:.40}': not multiplier or divisor", kind));
  }
  if (t.format->family() == ScaleFamily::nv) {
    set_tensor_scale(t, q.scale_kind, *narrowed(number),
                     t.format->largest_element() *
                         scale_max.value_or(default_scale_max(*t.format, *record.rule)));
  } else if (q.scale_kind != TensorScaleKind::amax) {
    throw Error(ErrorKind::usage, fmt::format("{} has no tensor scale", t.format->name));
  }
  record.shape = {t.rows, t.columns};
  q.named.name = "x";
  return q;
}

/// Back to the shape and orientation before quantization.
nb::object dequantize_array(const Quantized& q, bool as_quantized) {
  const BlockTensor& t = q.tensor();
  RestoredTensor restored{std::vector<float>(t.rows * t.columns), {t.rows, t.columns}};
  {
    const Computing computing;
    dequantize_as(dtype_f32, t, *q.record().dialect, restored.values);
    if (!as_quantized) restored = tensor_of(std::move(restored.values), q.named);
  }
  return numpy_from(std::move(restored.values), std::move(restored.shape));
}

/// The first values of row 0, which cost no more than a block, whatever the tensor's size.
nb::object first_values(const Quantized& q, std::size_t count) {
  const BlockTensor& t = q.tensor();
  BlockTensor block;
  block.format = t.format;
  block.amax = t.amax;
  block.encode_constant = t.encode_constant;
  if (t.rows == 0 || t.columns == 0) return numpy_from(std::vector<float>(), {0});
  block.rows = 1;
  block.columns = std::min(t.columns, static_cast<std::size_t>(t.format->block_size));
  block.values.assign(t.values.begin(),
                      t.values.begin() + static_cast<std::ptrdiff_t>(block.value_bytes_per_row()));
  block.scales.assign(t.scales.begin(), t.scales.begin() + 1);
  std::vector<float> values(block.columns);
  {
    const FloatEnvironment environment;
    dequantize(block, values, q.record().dialect);
  }
  values.resize(std::min(values.size(), count));
  const std::size_t size = values.size();
  return numpy_from(std::move(values), {size});
}

void save(const Quantized& q, const std::filesystem::path& path, const std::string& name,
          const std::string& scale_layout) {
  const auto layout = find_scale_layout(scale_layout);
  if (!layout) {
    std::string known;
    for (const ScaleLayout each : scale_layouts()) {
      known += fmt::format("{}{}", known.empty() ? "" : ", ", name_of(each));
    }
    throw Error(ErrorKind::usage,
                fmt::format("scale_layout='{:.40}': not one of {}", scale_layout, known));
  }
  NamedBlockTensor named = q.named;
  named.name = name;
  named.record.scale_layout = *layout;
  const Computing computing;
  write_block_tensors(path, std::span(&named, 1), {{"lowbit.version", LOWBIT_VERSION}});
}

std::vector<std::string> names_in(const std::filesystem::path& path) {
  const Computing computing;
  return block_tensor_names(TensorFile::open(path));
}

Quantized load(const std::filesystem::path& path, const std::string& name) {
  const Computing computing;
  return {read_block_tensor(path, name)};
}

}  // namespace

void add_quantize(nb::module_& m) {
  nb::class_<Quantized>(
      m, "Quantized",
      "A block-quantized matrix and how it came about. Made by `quantize`, `quantized` and "
      "`load`; immutable.")
      .def_prop_ro(
          "values",
          [](nb::handle_t<Quantized> self) {
            const BlockTensor& t = nb::cast<const Quantized&>(self).tensor();
            return numpy_view(t.values.data(), {t.rows, t.value_bytes_per_row()}, self);
          },
          nb::sig("def values(self) -> numpy.typing.NDArray[numpy.uint8]"),
          "Codes, uint8 [rows, bytes of a row]: 4-bit ones two a byte, the even column in the low "
          "nibble; others "
          "a byte each. Rows are padded with code 0 to whole blocks. In hif4 each block of 64 has "
          "three bytes of levels before its codes, 35 bytes in all. Read-only, no copy.")
      .def_prop_ro(
          "scales",
          [](nb::handle_t<Quantized> self) {
            const BlockTensor& t = nb::cast<const Quantized&>(self).tensor();
            return numpy_view(t.scales.data(), {t.rows, t.blocks_per_row()}, self);
          },
          nb::sig("def scales(self) -> numpy.typing.NDArray[numpy.uint8]"),
          "Scale bytes, uint8 [rows, blocks of a row]. Read-only, no copy.")
      .def_prop_ro(
          "amax", [](const Quantized& q) { return widened(q.tensor().amax); },
          "The tensor's largest magnitude, or the one that was given; 1 for MX formats and hif4. "
          "The tensor "
          "scale is amax / encode_constant.")
      .def_prop_ro(
          "encode_constant", [](const Quantized& q) { return widened(q.tensor().encode_constant); },
          "C of docs/formats.md, section 4; 1 where another program's tensor scale was given.")
      .def_prop_ro("format",
                   [](const Quantized& q) { return std::string(q.tensor().format->name); })
      .def_prop_ro("rule",
                   [](const Quantized& q) {
                     FormatSpec spec;
                     spec.format = q.tensor().format;
                     spec.rule = q.record().rule.value_or(default_rule(*spec.format));
                     spec.search_radius = q.record().search_radius.value_or(0);
                     return spec.rule_name();
                   })
      .def_prop_ro("dialect",
                   [](const Quantized& q) { return std::string(q.record().dialect->name); })
      .def_prop_ro(
          "block_size", [](const Quantized& q) { return q.tensor().format->block_size; },
          "Elements that a scale byte covers along a row.")
      .def_prop_ro("rows", [](const Quantized& q) { return q.tensor().rows; })
      .def_prop_ro(
          "columns", [](const Quantized& q) { return q.tensor().columns; }, "Without padding.")
      .def_prop_ro(
          "shape",
          [](const Quantized& q) {
            const BlockTensor& t = q.tensor();
            return nb::tuple(
                nb::cast(q.record().shape.value_or(std::vector<std::uint64_t>{t.rows, t.columns})));
          },
          nb::sig("def shape(self) -> tuple[int, ...]"), "Of the array before quantization.")
      .def(
          "__repr__",
          [](nb::handle self) { return nb::module_::import_("lowbit._show").attr("text")(self); },
          nb::sig("def __repr__(self) -> str"))
      .def(
          "_repr_html_",
          [](nb::handle self) { return nb::module_::import_("lowbit._show").attr("html")(self); },
          nb::sig("def _repr_html_(self) -> str"), "The head and the first block, for notebooks.")
      .def("dequantize", &dequantize_array, nb::kw_only(), "as_quantized"_a = false,
           nb::sig("def dequantize(self, *, as_quantized: bool = False) -> "
                   "numpy.typing.NDArray[numpy.float32]"),
           "The values as float32, in the shape before quantization; with as_quantized the matrix "
           "[rows, "
           "columns] whose rows run along the blocks. A Hadamard transform stays applied.")
      .def("save", &save, "path"_a, nb::kw_only(), "name"_a = "x", "scale_layout"_a = "linear",
           "Writes the tensor to a safetensors file, whole or not at all, as `lowbit quantize` "
           "does.\n\n"
           "scale_layout: linear, or swizzled for the 128x4 tiles of block-scaled tensor cores.")
      .def_prop_ro(
          "code_bits", [](const Quantized& q) { return q.tensor().format->storage_bits(); },
          "Bits that a code takes in `values`: 4 or 8.")
      .def_prop_ro(
          "level_bytes", [](const Quantized& q) { return q.tensor().format->level_bytes(); },
          "Bytes of levels before the codes of each block in `values`: 3 in hif4, else 0.")
      .def("first_values", &first_values, "count"_a,
           "The first values of row 0, at most a block of them.");
  m.def("quantize", &quantize_array, "x"_a, "format"_a, nb::kw_only(), "rule"_a, "dialect"_a,
        "axis"_a, "transpose"_a, "block_2d"_a, "hadamard"_a, "amax"_a.none(), "scale_max"_a.none(),
        "nonfinite"_a, "rounding"_a, "random0"_a.none(), "random1"_a.none(), "importance"_a.none(),
        "dtype"_a, "threads"_a);
  m.def("assemble", &assemble, "values"_a, "scales"_a, "number"_a, "kind"_a, nb::kw_only(),
        "format"_a, "rule"_a, "dialect"_a, "columns"_a.none(), "scale_max"_a.none(), "block_2d"_a);
  m.def("load", &load, "path"_a, "name"_a);
  m.def("names_in", &names_in, "path"_a);
}

}  // namespace lowbit::python
