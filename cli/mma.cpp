// SPDX-License-Identifier: MIT
// lowbit mma: the tensor-core instructions, listed, or run on tensors of a file.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "commands.hpp"
#include "file_arguments.hpp"
#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/sim/mma.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit::cli {
namespace {

using sim::Instruction;

struct Options {
  bool list = false;
  bool json = false;
  bool rowwise = false;
  std::string instruction;
  std::string in;
  std::string out;
  std::vector<std::string> alternatives;
};

nlohmann::ordered_json describe(const Instruction& i) {
  const auto& p = i.parameters;
  nlohmann::ordered_json j{{"name", i.name},
                           {"architecture", i.architecture},
                           {"a", i.a->name},
                           {"b", i.b->name},
                           {"c", i.c->name},
                           {"d", i.d->name},
                           {"scale", nullptr},
                           {"m", i.m},
                           {"n", i.n},
                           {"k", i.k},
                           {"block", i.block},
                           {"rule", to_string(p.rule)},
                           {"terms", p.terms},
                           {"fraction_bits", p.fraction_bits},
                           {"rounding", to_string(p.rounding)},
                           {"exponent_of_zero", p.exponent_of_zero},
                           {"group", p.group},
                           {"zero_sum", to_string(p.zero_sum)},
                           {"underflow_sign", p.underflow_keeps_sign ? "keep" : "drop"},
                           {"window", to_string(p.window)},
                           {"evidence", to_string(i.evidence)}};
  if (i.scale != nullptr) j["scale"] = i.scale == &e8m0 ? "ue8m0" : i.scale->name;
  j["open_points"] = nlohmann::ordered_json::array();
  for (const sim::OpenPoint& point : i.open_points) {
    j["open_points"].push_back(
        {{"name", point.name}, {"alternative", point.alternative}, {"status", point.status}});
  }
  return j;
}

/// The type that a step's sum is rounded to, in three letters.
std::string_view short_rounding(sim::FinalRounding rounding) {
  if (rounding == sim::FinalRounding::f32_toward_zero) return "f32";
  return rounding == sim::FinalRounding::e8m13_toward_zero ? "e13" : "f16";
}

void print_legend() {
  fmt::print(R"(
K      products of one instruction, per output     terms  products that are summed in one step
bits   fraction bits kept below the largest exponent of a step
to     what the sum of a step is rounded to: f32 FP32, toward zero; e13 FP32 with 13 fraction
       bits, toward zero; f16 FP16, to nearest even
evidence, from the strongest:
)");
  for (const sim::MmaEvidence evidence : sim::mma_evidences) {
    fmt::print("  {:<7}{}: {}\n", short_name(evidence), to_string(evidence), meaning(evidence));
  }
}

void list(const Options& o) {
  const auto found = sim::instructions_matching(o.instruction);
  if (found.empty()) {
    throw Error(ErrorKind::usage,
                fmt::format("no instruction's name holds '{}'; `lowbit mma --list` shows all",
                            printable(o.instruction)));
  }
  if (o.json) {
    auto all = nlohmann::ordered_json::array();
    for (const Instruction* i : found) all.push_back(describe(*i));
    fmt::print("{}\n", all.dump(1));
    return;
  }
  fmt::print("{:<70}{:>4}{:>6}{:>5} {:<3} {}\n", "instruction", "K", "terms", "bits", "to",
             "evidence");
  for (const Instruction* i : found) {
    const auto& p = i->parameters;
    fmt::print("{:<70}{:>4}{:>6}{:>5} {} {}\n", i->name, i->k, p.terms, p.fraction_bits,
               short_rounding(p.rounding), short_name(i->evidence));
  }
  print_legend();
}

std::string shape_text(std::span<const std::uint64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

/// The file types that hold codes of a format, the usual one first: the format's own, or its bits.
std::vector<std::string_view> dtypes_of(const ElementFormat& format) {
  switch (sim::container_bits(format)) {
    case 32:
      return {"F32", "U32", "I32"};
    case 16:
      return {format == f16 ? "F16" : "BF16", "U16", "I16"};
    case 8:
      if (format == e4m3 || format == ue4m3) return {"U8", "F8_E4M3"};
      if (format == e5m2) return {"U8", "F8_E5M2"};
      if (format == e8m0) return {"U8", "F8_E8M0"};
      return {"U8"};
    default:
      return {"U8", "I8"};
  }
}

class Inputs {
 public:
  Inputs(const std::string& path, const Instruction& instruction)
      : path_(path), instruction_(instruction), file_(TensorFile::open(path)) {}

  /// The tensor, checked; with an empty shape, any matrix (or vector) of `dimensions` dimensions.
  [[nodiscard]] const TensorInfo& get(std::string_view name, const ElementFormat& format,
                                      std::size_t dimensions,
                                      std::span<const std::uint64_t> shape = {}) const {
    const TensorInfo* tensor = file_.find(name);
    if (tensor == nullptr)
      fail(fmt::format("has no tensor '{}', which {} needs", name, instruction_.name));
    const auto allowed = dtypes_of(format);
    if (std::ranges::find(allowed, tensor->dtype->name) == allowed.end()) {
      fail(fmt::format("tensor '{}' is {} where {} takes {} as {}", name, tensor->dtype->name,
                       instruction_.name, format.name, fmt::join(allowed, " or ")));
    }
    if (tensor->shape.size() != dimensions) {
      fail(fmt::format("tensor '{}' has shape {} where {} dimensions are needed", name,
                       shape_text(tensor->shape), dimensions));
    }
    if (!shape.empty() && !std::ranges::equal(tensor->shape, shape)) {
      fail(fmt::format("tensor '{}' has shape {} where {} is needed", name,
                       shape_text(tensor->shape), shape_text(shape)));
    }
    return *tensor;
  }
  [[nodiscard]] bool has(std::string_view name) const { return file_.find(name) != nullptr; }
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::invalid_input, fmt::format("{}: {}", path_, what));
  }

 private:
  std::string path_;
  const Instruction& instruction_;
  TensorFile file_;
};

std::span<const std::uint8_t> bytes_of(const TensorInfo& tensor) {
  return {reinterpret_cast<const std::uint8_t*>(tensor.bytes.data()), tensor.bytes.size()};
}

/// [rows, columns] of `width`-byte items to [columns, rows].
std::vector<std::uint8_t> transposed(std::span<const std::uint8_t> bytes, std::size_t columns,
                                     std::size_t width) {
  std::vector<std::uint8_t> out(bytes.size());
  const std::size_t rows = columns == 0 ? 0 : bytes.size() / columns / width;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      std::memcpy(&out[(c * rows + r) * width], &bytes[(r * columns + c) * width], width);
    }
  }
  return out;
}

/// Items of the file along K that hold `k` elements, and back.
std::uint64_t elements_of(const ElementFormat& format, std::uint64_t items) {
  return sim::container_bits(format) == 4 ? items * 2 : items;
}
std::uint64_t items_of(const ElementFormat& format, std::uint64_t elements) {
  return sim::container_bits(format) == 4 ? (elements + 1) / 2 : elements;
}

void write(const Options& o, const Instruction& i, const std::vector<std::uint64_t>& shape,
           const std::vector<std::uint32_t>& d) {
  OutputTensor tensor{"D", i.d == &f16 ? &dtype_f16 : &dtype_f32, shape, {}};
  std::vector<std::uint16_t> halves;
  if (i.d == &f16) {
    halves.assign(d.begin(), d.end());
    tensor.bytes = std::as_bytes(std::span(halves));
  } else {
    tensor.bytes = std::as_bytes(std::span(d));
  }
  write_safetensors(o.out, std::span(&tensor, 1), {{"instruction", i.name}});
}

void run(const Options& o) {
  Instruction i = sim::instruction(o.instruction);
  for (const std::string& alternative : o.alternatives)
    sim::select_alternative(i.parameters, alternative);
  const Inputs in(o.in, i);
  for (const char* scale : {"scale_A", "scale_B"}) {
    if (i.scale == nullptr && in.has(scale)) {
      in.fail(fmt::format(
          "holds '{}', but {} takes no scales: remove it or name a block-scaled instruction", scale,
          i.name));
    }
  }
  const TensorInfo& a = in.get("A", *i.a, 2);
  const TensorInfo& b = in.get("B", *i.b, 2);
  const std::uint64_t m = a.shape[0];
  const std::uint64_t n = o.rowwise ? m : b.shape[1];
  const std::uint64_t k = elements_of(*i.a, a.shape[1]);
  const std::uint64_t b_items = o.rowwise ? b.shape[1] : b.shape[0];
  if (items_of(*i.b, k) != b_items || (o.rowwise && b.shape[0] != m)) {
    in.fail(fmt::format("A {} and B {} do not multiply: A has {} elements along K, B has {}{}",
                        shape_text(a.shape), shape_text(b.shape), k, elements_of(*i.b, b_items),
                        o.rowwise ? " (with --rowwise both are [n, K])" : ""));
  }
  const std::vector<std::uint64_t> d_shape =
      o.rowwise ? std::vector<std::uint64_t>{m} : std::vector<std::uint64_t>{m, n};
  std::vector<std::uint32_t> d(o.rowwise ? m : m * n, 0);
  if (in.has("C")) {
    const TensorInfo& c = in.get("C", *i.c, d_shape.size(), d_shape);
    d = sim::unpack_codes(*i.c, bytes_of(c), d.size());
  }
  std::vector<std::uint8_t> scale_a;
  std::vector<std::uint8_t> scale_b;
  std::uint64_t blocks = 0;
  if (i.scale != nullptr) {
    blocks = (k + static_cast<std::uint64_t>(i.block) - 1) / static_cast<std::uint64_t>(i.block);
    const std::uint64_t along[2] = {m, blocks};
    const std::uint64_t down[2] = {blocks, n};
    const auto sa = bytes_of(in.get("scale_A", *i.scale, 2, along));
    scale_a.assign(sa.begin(), sa.end());
    const auto sb = bytes_of(in.get("scale_B", *i.scale, 2, o.rowwise ? along : down));
    scale_b = o.rowwise ? std::vector<std::uint8_t>(sb.begin(), sb.end()) : transposed(sb, n, 1);
  }
  if (o.rowwise) {
    const std::size_t a_bytes = m == 0 ? 0 : a.bytes.size() / m;
    const std::size_t b_bytes = m == 0 ? 0 : b.bytes.size() / m;
    for (std::uint64_t row = 0; row < m; ++row) {
      const auto as = sim::unpack_codes(*i.a, bytes_of(a).subspan(row * a_bytes, a_bytes), k);
      const auto bs = sim::unpack_codes(*i.b, bytes_of(b).subspan(row * b_bytes, b_bytes), k);
      d[row] = sim::dot(i, as, bs, d[row], std::span(scale_a).subspan(row * blocks, blocks),
                        std::span(scale_b).subspan(row * blocks, blocks));
    }
  } else {
    if (i.c != i.d) {
      for (std::uint32_t& word : d) word = std::bit_cast<std::uint32_t>(to_float(f16, word));
    }
    const sim::MmaOperand left(i, sim::MmaSide::a, bytes_of(a), m, k, scale_a);
    const std::size_t width =
        std::max<std::size_t>(1, static_cast<std::size_t>(sim::container_bits(*i.b)) / 8);
    const sim::MmaOperand right(i, sim::MmaSide::b, transposed(bytes_of(b), n, width), n, k,
                                scale_b);
    sim::mma(i, left, right, d, {}, std::thread::hardware_concurrency());
  }
  write(o, i, d_shape, d);
  fmt::print("{}: D {} {}, K = {} in {} instructions of {}", i.name, shape_text(d_shape), i.d->name,
             k, (k + static_cast<std::uint64_t>(i.k) - 1) / static_cast<std::uint64_t>(i.k), i.k);
  if (k % static_cast<std::uint64_t>(i.k) != 0) fmt::print(", the last one zero-padded");
  fmt::print("\n");
}

}  // namespace

void add_mma(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("mma", "Tensor-core instructions: list them, or compute D = A B + C");
  command
      ->add_option("instruction", o->instruction,
                   "name, as --list prints it (any mM and nN); with --list: words that the names "
                   "to list hold")
      ->type_name("NAME|PATTERN");
  command->add_flag("--list", o->list, "list the instructions and their parameters");
  command->add_flag("--json", o->json, "with --list: as JSON, open points included");
  FileArguments files(*command);
  CLI::Option* in = files.reads(command->add_option(
      "--in", o->in, "safetensors with A, B and, as needed, C, scale_A, scale_B"));
  CLI::Option* out =
      files.writes(command->add_option("--out", o->out, "safetensors to write D to"));
  in->needs(out);
  out->needs(in);
  command->add_flag("--rowwise", o->rowwise,
                    "A and B are [n, K], C is [n]: one dot product per row");
  command->add_option(
      "--alternative", o->alternatives,
      "change a parameter, NAME=VALUE (exponent_of_zero=-132, window=products, ...)");
  command->callback([o] {
    if (o->list) return list(*o);
    if (o->instruction.empty()) {
      throw Error(ErrorKind::usage, "mma: name an instruction, or ask for --list");
    }
    if (o->in.empty())
      throw Error(ErrorKind::usage, "mma: --in and --out are needed with an instruction");
    run(*o);
  });
}

}  // namespace lowbit::cli
