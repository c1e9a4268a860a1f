// SPDX-License-Identifier: MIT
// Other programs' outputs held to the library's: block tensors, and products.
#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "arrays.hpp"
#include "float_environment.hpp"
#include "lowbit/error.hpp"
#include "lowbit/explain.hpp"
#include "lowbit/names.hpp"
#include "lowbit/sim/difference_text.hpp"
#include "lowbit/verify_quantize.hpp"
#include "lowbit/weight_layout.hpp"
#include "matrix.hpp"
#include "module.hpp"
#include "quantized.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace lowbit::python {
namespace {

/// Holds a dump to what its record declares, to another dialect, or to all of them (auto).
/// \param any_rule  the record's rule is a default: search it
nb::dict verify_quantize(const AnyArray& x, const std::string& dtype, const Quantized& dump,
                         const std::string& dialect, const std::string& nonfinite, bool amax_given,
                         bool any_rule) {
  const TensorInfo tensor = tensor_of(x, dtype);
  const BlockTensor& q = dump.tensor();
  QuantizeRecord record = dump.record();
  const bool search = dialect == "auto";
  if (!dialect.empty() && !search) record.dialect = &dialect_named(dialect);
  if (!nonfinite.empty()) record.nonfinite = nonfinite_named(nonfinite);
  record.amax_given = amax_given;
  if (amax_given && dump.scale_kind != TensorScaleKind::amax) {
    throw Error(ErrorKind::usage, "amax_given needs the amax itself, not a tensor scale");
  }
  VerifyRequest request;
  request.declared = request_of(record, q.amax);
  request.declared.input_type = input_type_of(*tensor.dtype);
  if (search) request.declared.dialect = nullptr;
  if (any_rule) request.declared.rule.reset();
  request.layout = Layout{};
  QuantizedDump stored{dump.named.name, q.values, q.scales, {q.rows, q.blocks_per_row()}, {}};
  if (q.format->family() == ScaleFamily::nv) {
    request.layout->tensor_scale = dump.scale_kind;
    stored.tensor_scale = dump.scale_kind == TensorScaleKind::divisor ? q.encode_constant : q.amax;
  }
  Verification found;
  std::string text;
  {
    const Computing computing;
    const std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
    const TensorMatrix matrix = matrix_of(
        tensor, recorded_view(shape, record.weight_layout, record.axis), record.transposed);
    if (matrix.rows != q.rows || matrix.columns != q.columns) {
      throw Error(ErrorKind::usage, fmt::format("x is {}x{}, the quantized tensor {}x{}",
                                                matrix.rows, matrix.columns, q.rows, q.columns));
    }
    found = verify_quantized(matrix.values, matrix.rows, matrix.columns, stored, request);
    text = as_text(found);
  }
  nb::list agreeing;
  for (const Combination& c : found.agreeing) agreeing.append(c.dialect);
  nb::list causes;
  for (const CauseFinding& c : found.causes) {
    causes.append(nb::make_tuple(std::string(name_of(c.cause)), c.change, c.blocks));
  }
  const QuantizedDifference& difference = found.difference;
  nb::dict d;
  d["equal"] = found.equal;
  d["dialect"] = found.declared.dialect;
  d["rule"] = std::string(name_of(found.declared.rule));
  d["blocks"] = difference.blocks;
  d["different"] = difference.different;
  d["scales"] = difference.scales;
  d["codes"] = difference.codes;
  d["amax_differs"] = difference.amax_differs;
  d["first"] = difference.different == 0
                   ? nb::object(nb::none())
                   : nb::make_tuple(difference.first_row, difference.first_block);
  d["agreeing"] = agreeing;
  d["causes"] = causes;
  d["text"] = text;
  return d;
}

/// One block in one dialect, or in two side by side.
std::string explain(const AnyArray& x, const std::string& dtype, std::size_t row, std::size_t block,
                    const std::string& format, const std::string& first, const std::string& second,
                    const std::string& nonfinite, std::optional<double> given_amax, int axis) {
  const TensorInfo tensor = tensor_of(x, dtype);
  const std::optional<float> amax = narrowed(given_amax);
  const auto request_in = [&](const std::string& dialect) {
    QuantizeRecord record = record_named(format, {}, dialect);
    record.nonfinite = nonfinite_named(nonfinite);
    record.amax_given = amax.has_value();
    QuantizeOptions request = request_of(record, amax.value_or(0.0F));
    request.input_type = input_type_of(*tensor.dtype);
    return request;
  };
  const QuantizeOptions a = request_in(first);
  const QuantizeOptions b = request_in(second.empty() ? first : second);
  const Computing computing;
  const TensorMatrix matrix = matrix_along(tensor, axis, false);
  return as_text(explain_block(matrix.values, matrix.rows, matrix.columns, a,
                               second.empty() ? nullptr : &b, row, block));
}

using ByteMatrix = nb::ndarray<const std::uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

/// A Quantized, or a matrix of an instruction's element codes as bytes.
sim::GemmOperand operand_of(nb::handle object, const ElementFormat* format) {
  if (nb::isinstance<Quantized>(object)) return nb::cast<const Quantized&>(object).tensor();
  if (format == nullptr) {
    throw Error(ErrorKind::usage,
                "the exact model takes block-quantized operands (lowbit.quantize)");
  }
  const auto array = nb::cast<ByteMatrix>(object);
  sim::DenseMatrix m;
  m.format = format;
  m.rows = array.shape(0);
  m.columns = array.shape(1) * 8 / static_cast<std::size_t>(sim::container_bits(*format));
  m.bytes.assign(array.data(), array.data() + array.size());
  return m;
}

/// The text of `lowbit verify gemm` for D; empty where every word is the model's.
std::string verify_gemm(
    nb::handle a, nb::handle b,
    const nb::ndarray<const std::uint32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>& d,
    const std::string& output, const std::string& model_name, bool diagnosis, unsigned threads) {
  sim::Instruction instruction;
  sim::GemmModel model;
  model.threads = threads;
  sim::Schedule& schedule = model.schedule;
  schedule.epilogue.scale = sim::AlphaRule::exact;
  if (model_name != "exact") {
    instruction = sim::instruction(model_name);
    model.instruction = &instruction;
    schedule.epilogue.scale = sim::AlphaRule::product;
  }
  const ElementFormat& type = output_named(output);
  schedule.epilogue.output = &type;
  const sim::GemmOperand left =
      operand_of(a, model.instruction == nullptr ? nullptr : instruction.a);
  const sim::GemmOperand right =
      operand_of(b, model.instruction == nullptr ? nullptr : instruction.b);
  const std::size_t m = sim::rows_of(left);
  const std::size_t n = sim::rows_of(right);
  if (sim::columns_of(left) != sim::columns_of(right)) {
    throw Error(ErrorKind::usage,
                fmt::format("a has {} columns, b has {}: D = A * B^T needs the same number (K)",
                            sim::columns_of(left), sim::columns_of(right)));
  }
  if (d.shape(0) != m || d.shape(1) != n) {
    throw Error(ErrorKind::usage,
                fmt::format("d is {} x {} where A * B^T is {} x {}", d.shape(0), d.shape(1), m, n));
  }
  const Computing computing;
  const std::span<const std::uint32_t> words(d.data(), d.size());
  const auto expected = sim::run_gemm(left, right, model);
  const sim::WordComparison result = sim::compare_words(type, expected, words);
  if (result.mismatches == 0) return {};
  return sim::mismatch_text(type, result, expected, words, n) +
         sim::trace_text(left, right, model, result.first / n, result.first % n) +
         (diagnosis ? sim::diagnosis_text(left, right, model, expected, words) : "");
}

}  // namespace

void add_verify(nb::module_& m) {
  m.def("verify_quantize", &verify_quantize, "x"_a, "dtype"_a, "dump"_a, "dialect"_a, "nonfinite"_a,
        "amax_given"_a, "any_rule"_a,
        nb::sig("def verify_quantize(x: object, dtype: str, dump: Quantized, dialect: str, "
                "nonfinite: str, amax_given: bool, any_rule: "
                "bool) -> dict[str, typing.Any]"));
  m.def("explain", &explain, "x"_a, "dtype"_a, "row"_a, "block"_a, "format"_a, "first"_a,
        "second"_a, "nonfinite"_a, "amax"_a.none(), "axis"_a,
        nb::sig("def explain(x: object, dtype: str, row: int, block: int, format: str, first: "
                "str, second: str, nonfinite: str, "
                "amax: float | None, axis: int) -> str"));
  m.def("verify_gemm", &verify_gemm, "a"_a, "b"_a, "d"_a, "output"_a, "model"_a, "diagnosis"_a,
        "threads"_a,
        nb::sig("def verify_gemm(a: object, b: object, d: object, output: str, model: str, "
                "diagnosis: bool, threads: "
                "int) -> str"));
}

}  // namespace lowbit::python
