// SPDX-License-Identifier: MIT
#include "lowbit/test_vectors.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <deque>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "capture/sha256.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/error.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/tensor_file.hpp"
#include "lowbit/version.hpp"

namespace lowbit {
namespace {

using Json = nlohmann::ordered_json;

std::string hex_digest(std::span<const std::byte> bytes) {
  const auto digest =
      golden::sha256({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  std::string text;
  for (const std::uint8_t byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

/// Draws that are the same with every standard library.
class Draw {
 public:
  explicit Draw(unsigned seed) : engine_(seed) {}
  [[nodiscard]] std::uint32_t below(std::uint32_t limit) { return engine_() % limit; }
  /// A BF16 number of either sign with an exponent of [low, high].
  [[nodiscard]] float number(int low, int high) {
    const auto exponent = low + static_cast<int>(below(static_cast<std::uint32_t>(high - low + 1)));
    const float m = 1.0F + static_cast<float>(below(128)) / 128.0F;
    return std::ldexp(below(2) != 0 ? -m : m, exponent);
  }

 private:
  std::mt19937 engine_;
};

constexpr std::size_t height = 16;
constexpr std::size_t width = 64;

VectorInput matrix(const char* name, const Dtype& dtype) {
  return {name, &dtype, height, width, std::vector<float>(height * width)};
}

/// Block maxima b for which 448 b / A is halfway between two E4M3 numbers, elements on E2M1 ties.
VectorInput ties() {
  VectorInput t = matrix("ties", dtype_bf16);
  Draw draw(1);
  for (std::size_t block = 0; block < height * width / 16; ++block) {
    float* const x = t.values.data() + block * 16;
    // A = 2688, so S = 1 and h = b / 6: (2n + 1) / 16 of a power of two is a tie of 3 mantissa
    // bits.
    const auto odd = static_cast<float>(17 + 2 * draw.below(8));
    const float h = std::ldexp(odd, static_cast<int>(draw.below(8)) - 8);
    x[0] = block == 0 ? 2688.0F : 6.0F * h;
    constexpr float tie[] = {0.25F, 0.75F, 1.25F, 1.75F, 2.5F, 3.5F, 5.0F};
    // Under the scale below the tie, and the one above it.
    const float scale = std::ldexp(draw.below(2) != 0 ? odd - 1 : odd + 1, std::ilogb(h) - 4);
    for (std::size_t i = 1; i < 16; ++i) {
      const float v = tie[draw.below(7)] * scale;
      x[i] = round_to_input_type(draw.below(2) != 0 ? -v : v, InputType::bfloat16);
    }
  }
  return t;
}

std::vector<VectorInput> make_inputs() {
  std::vector<VectorInput> all{ties()};
  Draw draw(2);
  const auto fill = [&](VectorInput t, int low, int high) {
    for (float& x : t.values) x = draw.number(low, high);
    return t;
  };
  all.push_back(fill(matrix("numbers", dtype_bf16), -6, 1));
  // Blocks whose scales fall to the subnormals and to 0.
  VectorInput underflow = matrix("underflow", dtype_bf16);
  for (std::size_t i = 0; i < underflow.values.size(); ++i) {
    underflow.values[i] = std::ldexp(draw.number(-2, 0), -static_cast<int>(i / 32 % 32));
  }
  underflow.values[0] = 4.0F;
  all.push_back(std::move(underflow));
  VectorInput zeros = matrix("zeros", dtype_bf16);
  for (std::size_t i = 0; i < zeros.values.size(); ++i) {
    const std::size_t block = i / 32 % 4;
    zeros.values[i] = block == 0 ? 0.0F : block == 1 ? -0.0F : draw.number(-4, 0);
    if (block == 3 && i % 3 == 0) zeros.values[i] = i % 2 == 0 ? -0.0F : -std::ldexp(1.0F, -12);
  }
  all.push_back(std::move(zeros));
  VectorInput empty = matrix("only_zeros", dtype_bf16);
  for (std::size_t i = 0; i < empty.values.size(); i += 3) empty.values[i] = -0.0F;
  all.push_back(std::move(empty));
  VectorInput nan = fill(matrix("nan", dtype_bf16), -4, 0);
  for (std::size_t i = 5; i < nan.values.size(); i += 97) {
    nan.values[i] = std::bit_cast<float>(i % 2 == 0 ? 0x7FC00000U : 0xFFC00000U);
  }
  all.push_back(std::move(nan));
  VectorInput infinity = fill(matrix("infinity", dtype_bf16), -4, 0);
  for (std::size_t i = 7; i < infinity.values.size(); i += 131) {
    infinity.values[i] = std::copysign(std::numeric_limits<float>::infinity(), infinity.values[i]);
  }
  all.push_back(std::move(infinity));
  VectorInput huge = fill(matrix("huge", dtype_f32), 100, 126);
  huge.values[3] = std::numeric_limits<float>::max();
  all.push_back(std::move(huge));
  VectorInput tiny = fill(matrix("tiny", dtype_f32), -149, -125);
  for (float& x : tiny.values) x = std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) | 1U);
  all.push_back(std::move(tiny));
  VectorInput partial{"partial", &dtype_f32, 5, 50, std::vector<float>(250)};
  for (float& x : partial.values) {
    x = std::bit_cast<float>(std::bit_cast<std::uint32_t>(draw.number(-5, 2)) |
                             draw.below(1U << 16));
  }
  all.push_back(std::move(partial));
  return all;
}

InputType type_of(const VectorInput& input) {
  return input_type_of(*input.dtype);
}

/// A file's tensors, whose bytes it keeps.
class Entries {
 public:
  template <typename T>
  std::string add(std::string name, const Dtype& dtype, std::vector<std::uint64_t> shape,
                  std::span<const T> items) {
    const auto bytes = std::as_bytes(items);
    held_.emplace_back(bytes.begin(), bytes.end());
    tensors_.push_back({std::move(name), &dtype, std::move(shape), held_.back()});
    return hex_digest(held_.back());
  }
  void write(const std::filesystem::path& path,
             const std::map<std::string, std::string>& metadata) const {
    write_safetensors(path, tensors_, metadata);
  }
  [[nodiscard]] bool empty() const { return tensors_.empty(); }

 private:
  std::deque<std::vector<std::byte>> held_;
  std::vector<OutputTensor> tensors_;
};

std::string file_digest(const std::filesystem::path& path) {
  const TensorFile file =
      TensorFile::open(path, RawLayout{&dtype_u8, {std::filesystem::file_size(path)}});
  return hex_digest(file.tensors()[0].bytes);
}

void add_case(const QuantizeOptions& options, const VectorInput& input, Entries& entries,
              Json& cases) {
  const std::size_t blocks =
      (input.columns + static_cast<std::size_t>(options.format->block_size) - 1) /
      static_cast<std::size_t>(options.format->block_size);
  std::vector<BlockChoice> choices(input.rows * blocks);
  BlockTensor t;
  try {
    t = quantize(input.values, input.rows, input.columns, options, choices);
  } catch (const Error&) {
    return;  // what the dialect refuses has no vector
  }
  std::vector<std::uint8_t> decisions(choices.size());
  for (std::size_t i = 0; i < choices.size(); ++i)
    decisions[i] = static_cast<std::uint8_t>(choices[i]);
  const std::string name = fmt::format("{}.{}.{}{}", input.name, options.format->name,
                                       name_of(*options.rule), options.block_2d ? ".2d" : "");
  Json c{{"name", name},
         {"dialect", options.dialect->name},
         {"format", options.format->name},
         {"rule", name_of(*options.rule)},
         {"input", input.name},
         {"block_2d", options.block_2d},
         {"amax_bits", fmt::format("0x{:08x}", std::bit_cast<std::uint32_t>(t.amax))},
         {"encode_constant", t.encode_constant}};
  c["sha256"] = {{"values", entries.add<std::uint8_t>(name + ".values", dtype_u8,
                                                      {t.rows, t.value_bytes_per_row()}, t.values)},
                 {"scales", entries.add<std::uint8_t>(name + ".scales", dtype_u8,
                                                      {t.rows, t.blocks_per_row()}, t.scales)},
                 {"decisions", entries.add<std::uint8_t>(name + ".decisions", dtype_u8,
                                                         {t.rows, t.blocks_per_row()}, decisions)}};
  cases.push_back(std::move(c));
}

}  // namespace

const std::vector<VectorInput>& vector_inputs() {
  static const std::vector<VectorInput> inputs = make_inputs();
  return inputs;
}

VectorSummary write_vectors(const std::filesystem::path& folder, std::span<const Dialect> dialects,
                            const BlockFormat* format, std::optional<ScaleRule> rule) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: {}", folder.string(), failure.message()));
  }
  VectorSummary summary;
  Json all{{"vectors", 1}, {"lowbit", LOWBIT_VERSION}, {"inputs", Json::object()}};
  Entries inputs;
  Json input_list = Json::array();
  for (const VectorInput& input : vector_inputs()) {
    const std::vector<std::byte> bytes = from_f32(*input.dtype, input.values);
    input_list.push_back({{"name", input.name},
                          {"dtype", input.dtype->name},
                          {"rows", input.rows},
                          {"columns", input.columns},
                          {"sha256", inputs.add<std::byte>(input.name, *input.dtype,
                                                           {input.rows, input.columns}, bytes)}});
  }
  inputs.write(folder / "inputs.safetensors", {});
  all["inputs"] = {{"file", "inputs.safetensors"},
                   {"sha256", file_digest(folder / "inputs.safetensors")},
                   {"tensors", std::move(input_list)}};
  summary.bytes += std::filesystem::file_size(folder / "inputs.safetensors");
  summary.files = 1;
  all["dialects"] = Json::array();
  for (const Dialect& dialect : dialects) {
    Entries entries;
    Json cases = Json::array();
    for (const BlockFormat& f : block_formats()) {
      if (format != nullptr && &f != format) continue;
      for (const ScaleRule r : scale_rules()) {
        if (rule ? r != *rule : searches(r)) continue;
        if (!is_valid_rule(f, r, &dialect)) continue;
        for (const VectorInput& input : vector_inputs()) {
          for (const bool square : {false, true}) {
            QuantizeOptions options;
            options.format = &f;
            options.rule = r;
            options.dialect = &dialect;
            options.block_2d = square;
            options.nonfinite = NonFinite::propagate;
            options.input_type = type_of(input);
            add_case(options, input, entries, cases);
          }
        }
      }
    }
    if (entries.empty()) continue;
    const std::string name = fmt::format("{}.safetensors", dialect.name);
    entries.write(folder / name, {{"dialect", std::string(dialect.name)}});
    summary.bytes += std::filesystem::file_size(folder / name);
    ++summary.files;
    summary.cases += cases.size();
    all["dialects"].push_back({{"name", dialect.name},
                               {"library", dialect.library},
                               {"versions", dialect.versions},
                               {"status", name_of(dialect.status)},
                               {"file", name},
                               {"sha256", file_digest(folder / name)},
                               {"cases", std::move(cases)}});
  }
  if (summary.cases == 0) {
    throw Error(ErrorKind::usage, "no dialect has the format and rule that were asked for");
  }
  OutputFile index(folder / "vectors.json");
  const std::string text = all.dump(1) + "\n";
  index.write(text);
  index.commit();
  summary.bytes += text.size();
  ++summary.files;
  return summary;
}

}  // namespace lowbit
