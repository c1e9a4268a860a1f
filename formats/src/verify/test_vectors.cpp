// SPDX-License-Identifier: MIT
#include "lowbit/test_vectors.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <deque>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "capture/sha256.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/dialect_axis.hpp"
#include "lowbit/dialect_formats.hpp"
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

/// Edges need few rows; the files stay small.
constexpr std::size_t few_rows = 4;

VectorInput matrix(const char* name, const Dtype& dtype, std::size_t rows = height) {
  return {name, &dtype, rows, width, std::vector<float>(rows * width)};
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
  VectorInput zeros = matrix("zeros", dtype_bf16, height / 2);
  for (std::size_t i = 0; i < zeros.values.size(); ++i) {
    const std::size_t block = i / 32 % 4;
    zeros.values[i] = block == 0 ? 0.0F : block == 1 ? -0.0F : draw.number(-4, 0);
    if (block == 3 && i % 3 == 0) zeros.values[i] = i % 2 == 0 ? -0.0F : -std::ldexp(1.0F, -12);
  }
  all.push_back(std::move(zeros));
  VectorInput empty = matrix("only_zeros", dtype_bf16, few_rows);
  for (std::size_t i = 0; i < empty.values.size(); i += 3) empty.values[i] = -0.0F;
  all.push_back(std::move(empty));
  VectorInput nan = fill(matrix("nan", dtype_bf16, few_rows), -4, 0);
  for (std::size_t i = 5; i < nan.values.size(); i += 97) {
    nan.values[i] = std::bit_cast<float>(i % 2 == 0 ? 0x7FC00000U : 0xFFC00000U);
  }
  all.push_back(std::move(nan));
  VectorInput infinity = fill(matrix("infinity", dtype_bf16, few_rows), -4, 0);
  for (std::size_t i = 7; i < infinity.values.size(); i += 131) {
    infinity.values[i] = std::copysign(std::numeric_limits<float>::infinity(), infinity.values[i]);
  }
  all.push_back(std::move(infinity));
  VectorInput huge = fill(matrix("huge", dtype_f32, few_rows), 100, 126);
  huge.values[3] = std::numeric_limits<float>::max();
  all.push_back(std::move(huge));
  VectorInput tiny = fill(matrix("tiny", dtype_f32, few_rows), -149, -125);
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

/// The values as they are stored: they are of that type, NaN keeps its sign, which dialects code.
std::vector<std::byte> stored(const VectorInput& input) {
  if (*input.dtype != dtype_bf16) return from_f32(*input.dtype, input.values);
  std::vector<std::byte> bytes;
  for (const float x : input.values) {
    const auto half = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16);
    bytes.push_back(static_cast<std::byte>(half & 0xFFU));
    bytes.push_back(static_cast<std::byte>(half >> 8));
  }
  return bytes;
}

/// A file's tensors, whose bytes it keeps.
class Entries {
 public:
  /// \return the SHA-256 of the bytes
  std::string add(std::string name, const Dtype& dtype, std::vector<std::uint64_t> shape,
                  std::vector<std::byte> bytes) {
    held_.push_back(std::move(bytes));
    tensors_.push_back({std::move(name), &dtype, std::move(shape), held_.back()});
    return hex_digest(held_.back());
  }
  void write(const std::filesystem::path& path) const { write_safetensors(path, tensors_, {}); }

 private:
  std::deque<std::vector<std::byte>> held_;
  std::vector<OutputTensor> tensors_;
};

std::string file_digest(const std::filesystem::path& path) {
  const TensorFile file =
      TensorFile::open(path, RawLayout{&dtype_u8, {std::filesystem::file_size(path)}});
  return hex_digest(file.tensors()[0].bytes);
}

/// What dialects make of one input in one format: each array once, however many dialects and rules
/// give it.
class Stack {
 public:
  /// \return its number
  std::size_t add(std::size_t rows, std::span<const std::uint8_t> bytes) {
    rows_ = rows;
    std::string held(bytes.begin(), bytes.end());
    const auto [at, is_new] = numbers_.emplace(std::move(held), numbers_.size());
    if (is_new) arrays_.push_back(&at->first);
    return at->second;
  }
  void write(std::string name, Entries& entries) const {
    std::vector<std::byte> all;
    for (const std::string* const array : arrays_) {
      const auto bytes = std::as_bytes(std::span(*array));
      all.insert(all.end(), bytes.begin(), bytes.end());
    }
    const std::uint64_t row_bytes = all.size() / (arrays_.size() * rows_);
    entries.add(std::move(name), dtype_u8, {arrays_.size(), rows_, row_bytes}, std::move(all));
  }

 private:
  std::size_t rows_ = 1;
  // Bytes as text: g++ 12 at -O3 warns of the comparison of two vectors of bytes.
  std::map<std::string, std::size_t> numbers_;
  std::vector<const std::string*> arrays_;
};

/// What the entries of a case are.
constexpr std::string_view case_keys =
    R"(["format", "rule", "input", "block_2d", "amax", "values", "scales", "decisions"])";

/// The cases of all dialects, each once, and the arrays that they expect.
class Cases {
 public:
  /// \return the case's number; nothing where the dialect refuses the input
  std::optional<std::size_t> add(const QuantizeOptions& options, const VectorInput& input) {
    const auto size = static_cast<std::size_t>(options.format->block_size);
    std::vector<BlockChoice> choices(input.rows * ((input.columns + size - 1) / size));
    BlockTensor t;
    try {
      t = quantize(input.values, input.rows, input.columns, options, choices);
    } catch (const Error&) {
      return std::nullopt;
    }
    std::vector<std::uint8_t> decisions(choices.size());
    for (std::size_t i = 0; i < choices.size(); ++i)
      decisions[i] = static_cast<std::uint8_t>(choices[i]);
    const auto expect = [&](std::string_view part, std::span<const std::uint8_t> bytes) {
      return stacks_[fmt::format("{}.{}.{}", options.format->name, input.name, part)].add(t.rows,
                                                                                          bytes);
    };
    // In the order of case_keys.
    const Json c{options.format->name,
                 name_of(*options.rule),
                 input.name,
                 options.block_2d,
                 fmt::format("{:08x}", std::bit_cast<std::uint32_t>(t.amax)),
                 expect("values", t.values),
                 expect("scales", t.scales),
                 expect("decisions", decisions)};
    const auto [at, is_new] = numbers_.emplace(c.dump(), texts_.size());
    if (is_new) texts_.push_back(at->first);
    return at->second;
  }
  void write_arrays(const std::filesystem::path& path) const {
    Entries entries;
    for (const auto& [name, stack] : stacks_) stack.write(name, entries);
    entries.write(path);
  }
  /// One JSON array for each case.
  [[nodiscard]] const std::vector<std::string>& texts() const { return texts_; }

 private:
  std::map<std::string, Stack> stacks_;
  std::map<std::string, std::size_t> numbers_;
  std::vector<std::string> texts_;
};

/// The dialect's cases, by number.
std::vector<std::size_t> cases_of(const Dialect& dialect, const BlockFormat* format,
                                  std::optional<ScaleRule> rule, Cases& cases) {
  std::vector<std::size_t> numbers;
  for (const BlockFormat& f : block_formats()) {
    if (format != nullptr && &f != format) continue;
    for (const ScaleRule r : scale_rules()) {
      if (rule ? r != *rule : searches(r)) continue;
      if (format != nullptr ? !is_valid_rule(f, r, &dialect) : !has_rule(dialect, f, r)) continue;
      for (const VectorInput& input : vector_inputs()) {
        for (const bool square : {false, true}) {
          QuantizeOptions options;
          options.format = &f;
          options.rule = r;
          options.dialect = &dialect;
          options.block_2d = square;
          options.nonfinite = NonFinite::propagate;
          options.input_type = input_type_of(*input.dtype);
          if (const auto number = cases.add(options, input)) numbers.push_back(*number);
        }
      }
    }
  }
  return numbers;
}

/// A list whose items have a line each.
std::string lines(std::span<const std::string> items) {
  return fmt::format("[\n  {}\n ]", fmt::join(items, ",\n  "));
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
  Cases cases;
  std::vector<std::string> dialect_texts;
  for (const Dialect& dialect : dialects) {
    const std::vector<std::size_t> numbers = cases_of(dialect, format, rule, cases);
    if (numbers.empty()) continue;
    Json axes = Json::object();  // where it is not canonical
    for (const DialectAxis& axis : dialect_axes()) {
      if (axis.get(dialect) != axis.get(canonical)) {
        axes[std::string(axis.name)] = axis.value_of(dialect).name;
      }
    }
    const Json d{{"name", dialect.name},         {"library", dialect.library},
                 {"versions", dialect.versions}, {"status", name_of(dialect.status)},
                 {"axes", std::move(axes)},      {"cases", numbers}};
    dialect_texts.push_back(d.dump());
  }
  if (cases.texts().empty()) {
    throw Error(ErrorKind::usage, "no dialect has the format and rule that were asked for");
  }
  Entries inputs;
  std::vector<std::string> input_texts;
  for (const VectorInput& input : vector_inputs()) {
    const Json i{{"name", input.name},
                 {"dtype", input.dtype->name},
                 {"rows", input.rows},
                 {"columns", input.columns},
                 {"sha256", inputs.add(input.name, *input.dtype, {input.rows, input.columns},
                                       stored(input))}};
    input_texts.push_back(i.dump());
  }
  VectorSummary summary;
  summary.cases = cases.texts().size();
  summary.dialects = dialect_texts.size();
  std::string files;
  const auto file = [&](const char* key, const char* name, const auto& write) {
    write(folder / name);
    files += fmt::format(" \"{}\": {{\"file\": \"{}\", \"sha256\": \"{}\"}},\n", key, name,
                         file_digest(folder / name));
    summary.bytes += std::filesystem::file_size(folder / name);
  };
  file("inputs", "inputs.safetensors", [&](const auto& path) { inputs.write(path); });
  file("expected", "expected.safetensors", [&](const auto& path) { cases.write_arrays(path); });
  const std::string text = fmt::format(
      "{{\n \"vectors\": 2,\n \"lowbit\": \"{}\",\n{} \"tensors\": {},\n \"dialects\": {},\n"
      " \"case_keys\": {},\n \"cases\": {}\n}}\n",
      LOWBIT_VERSION, files, lines(input_texts), lines(dialect_texts), case_keys,
      lines(cases.texts()));
  OutputFile index(folder / "vectors.json");
  index.write(text);
  index.commit();
  summary.bytes += text.size();
  return summary;
}

}  // namespace lowbit
