// SPDX-License-Identifier: MIT
// Exact products, and tensor-core instructions.
#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <bit>
#include <thread>

#include "arrays.hpp"
#include "float_environment.hpp"
#include "lowbit/error.hpp"
#include "lowbit/sim/exact.hpp"
#include "lowbit/sim/gemm_model.hpp"
#include "lowbit/sim/mma.hpp"
#include "matrix.hpp"
#include "module.hpp"
#include "quantized.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace lowbit::python {
namespace {

/// Words of the format in unsigned integers of its width.
nb::object words_as_array(const ElementFormat& format, const std::vector<std::uint32_t>& words,
                          std::size_t rows, std::size_t columns) {
  if (format.bits == 32) return numpy_from(std::vector<std::uint32_t>(words), {rows, columns});
  return numpy_from(std::vector<std::uint16_t>(words.begin(), words.end()), {rows, columns});
}

sim::NanScale nan_scale_named(const std::string& name) {
  if (name == "error") return sim::NanScale::error;
  if (name == "nan") return sim::NanScale::nan;
  if (name == "448") return sim::NanScale::largest;
  throw Error(ErrorKind::usage, fmt::format("nan_scale='{:.40}': not error, nan or 448", name));
}

sim::TensorScale tensor_scale_named(const std::string& name) {
  if (name == "exact") return sim::TensorScale::exact;
  if (name == "fp32") return sim::TensorScale::fp32;
  if (name == "none") return sim::TensorScale::none;
  throw Error(ErrorKind::usage,
              fmt::format("tensor_scale='{:.40}': not exact, fp32 or none", name));
}

nb::object exact_gemm_words(const Quantized& a, const Quantized& b, const std::string& output,
                            const std::string& nan_scale, const std::string& tensor_scale,
                            unsigned threads) {
  sim::ExactOptions options;
  options.output = &output_named(output);
  options.nan_scale = nan_scale_named(nan_scale);
  options.tensor_scale = tensor_scale_named(tensor_scale);
  options.threads = threads;
  std::vector<std::uint32_t> words;
  {
    const Computing computing;
    words = sim::exact_gemm(a.tensor(), b.tensor(), options);
  }
  return words_as_array(*options.output, words, a.tensor().rows, b.tensor().rows);
}

using ByteMatrix = nb::ndarray<const std::uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using WordArray = nb::ndarray<const std::uint32_t, nb::c_contig, nb::device::cpu>;

std::span<const std::uint8_t> bytes(const std::optional<ByteMatrix>& array) {
  return array ? std::span<const std::uint8_t>(array->data(), array->size())
               : std::span<const std::uint8_t>();
}

/// D = A B + C. A and the transpose of B as bytes, K contiguous; C and D as words of the D format.
nb::object mma_words(const std::string& name, const ByteMatrix& a, const ByteMatrix& b_transposed,
                     std::size_t k, const std::optional<WordArray>& c,
                     const std::optional<ByteMatrix>& scale_a,
                     const std::optional<ByteMatrix>& scale_b, unsigned threads) {
  const sim::Instruction instruction = sim::instruction(name);
  const std::size_t m = a.shape(0);
  const std::size_t n = b_transposed.shape(0);
  std::vector<std::uint32_t> d(m * n);
  {
    const Computing computing;
    if (c) {
      if (c->size() != d.size()) {
        throw Error(ErrorKind::usage,
                    fmt::format("c has {} elements where {} x {} are needed", c->size(), m, n));
      }
      d.assign(c->data(), c->data() + c->size());
      if (instruction.c != instruction.d) {
        for (std::uint32_t& word : d) word = std::bit_cast<std::uint32_t>(to_float(f16, word));
      }
    }
    const sim::MmaOperand left(instruction, sim::MmaSide::a, {a.data(), a.size()}, m, k,
                               bytes(scale_a));
    const sim::MmaOperand right(instruction, sim::MmaSide::b,
                                {b_transposed.data(), b_transposed.size()}, n, k, bytes(scale_b));
    sim::mma(instruction, left, right, d, {},
             threads != 0 ? threads : std::thread::hardware_concurrency());
  }
  return words_as_array(*instruction.d, d, m, n);
}

/// What `mma` needs to know of an instruction.
nb::dict instruction_facts(const std::string& name) {
  const sim::Instruction i = sim::instruction(name);
  nb::dict d;
  d["name"] = i.name;
  d["a"] = std::string(i.a->name);
  d["b"] = std::string(i.b->name);
  d["c"] = std::string(i.c->name);
  d["d"] = std::string(i.d->name);
  d["a_bits"] = sim::container_bits(*i.a);
  d["b_bits"] = sim::container_bits(*i.b);
  d["block"] = i.block;
  d["k"] = i.k;
  d["scale"] = i.scale == nullptr ? nb::object(nb::none()) : nb::cast(std::string(i.scale->name));
  return d;
}

}  // namespace

void add_sim(nb::module_& m) {
  m.def("exact_gemm", &exact_gemm_words, "a"_a, "b"_a, nb::kw_only(), "output"_a, "nan_scale"_a,
        "tensor_scale"_a, "threads"_a);
  m.def("mma", &mma_words, "instruction"_a, "a"_a, "b_transposed"_a, "k"_a, "c"_a.none(),
        "scale_a"_a.none(), "scale_b"_a.none(), "threads"_a);
  m.def("instruction", &instruction_facts, "name"_a);
}

}  // namespace lowbit::python
