// SPDX-License-Identifier: MIT
// Files of golden/dialects: INPUT.CONFIG.FIELD, with @cuda after CONFIG for runs on CUDA.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "capture/capture_causes.hpp"
#include "capture/golden_file.hpp"
#include "capture/sha256.hpp"
#include "dequantize/value_table.hpp"
#include "lowbit/axis_view.hpp"
#include "lowbit/capture.hpp"
#include "lowbit/error.hpp"
#include "lowbit/hadamard.hpp"
#include "lowbit/row_scaled.hpp"
#include "lowbit/tensor_file.hpp"
#include "quantize/engine.hpp"

namespace lowbit {
namespace {

using Bytes = std::span<const std::uint8_t>;

Bytes bytes_of(const TensorInfo& tensor) {
  return {reinterpret_cast<const std::uint8_t*>(tensor.bytes.data()), tensor.bytes.size()};
}

Bytes bytes_of(std::span<const float> values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(float)};
}

struct Input {
  std::vector<float> values;
  std::size_t rows = 0;
  std::size_t columns = 0;
  InputType type = InputType::float32;
};

/// The captured inputs, wherever they lie.
class Inputs {
 public:
  explicit Inputs(std::filesystem::path folder) : folder_(std::move(folder)) {
    const std::filesystem::path generated = folder_ / "inputs.safetensors";
    if (std::filesystem::exists(generated)) {
      files_.emplace("", std::make_unique<TensorFile>(TensorFile::open(generated)));
    }
  }

  const Input& at(const std::string& name) {
    const auto known = inputs_.find(name);
    if (known != inputs_.end()) return known->second;
    const TensorInfo& tensor = find(name);
    Input input{to_f32(tensor), tensor.rows(), tensor.columns(), input_type_of(*tensor.dtype)};
    return inputs_.emplace(name, std::move(input)).first->second;
  }

 private:
  const TensorInfo& find(const std::string& name) {
    if (const auto generated = files_.find(""); generated != files_.end()) {
      if (const TensorInfo* tensor = generated->second->find(name)) return *tensor;
    }
    const std::string file = name + ".safetensors";
    for (const auto& folder : {folder_, folder_ / ".." / "fouroversix"}) {
      if (!std::filesystem::exists(folder / file)) continue;
      files_[name] = std::make_unique<TensorFile>(TensorFile::open(folder / file));
      return files_[name]->at("input");
    }
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: no input {}; put inputs.safetensors or {} there, or into a folder "
                            "fouroversix beside it",
                            folder_.string(), name, file));
  }

  std::filesystem::path folder_;
  std::map<std::string, std::unique_ptr<TensorFile>> files_;
  std::map<std::string, Input> inputs_;
};

/// What the library computes for one input and configuration.
struct Computed {
  std::size_t blocks = 0;
  std::vector<std::uint8_t> values;
  std::vector<std::uint8_t> scales;
  std::vector<float> tensor_scale;
  std::vector<float> dequantized;
};

/// block_nvfp4 and block_mxfp4 of ggml: scale bytes, then codes j and j + half of each block.
std::vector<std::uint8_t> ggml_blocks(const BlockTensor& t) {
  const auto size = static_cast<std::size_t>(t.format->block_size);
  const std::size_t scales = t.format->family() == ScaleFamily::nv ? 4 : 1;
  std::vector<std::uint8_t> out;
  for (std::size_t r = 0; r < t.rows; ++r) {
    for (std::size_t k = 0; k < t.blocks_per_row(); k += scales) {
      for (std::size_t s = 0; s < scales; ++s) out.push_back(t.scale(r, k + s));
      for (std::size_t s = 0; s < scales; ++s) {
        for (std::size_t j = 0; j < size / 2; ++j) {
          const std::size_t at = (k + s) * size + j;
          out.push_back(static_cast<std::uint8_t>(t.code(r, at) | t.code(r, at + size / 2) << 4));
        }
      }
    }
  }
  return out;
}

float captured_scale(const CaptureConfiguration& c, const QuantizeOptions& o, const BlockTensor& t,
                     float amax) {
  const auto scales = detail::tensor_scales(*o.dialect, t.encode_constant, amax, o.input_type);
  switch (c.scale) {
    case CapturedScale::encode:
      return scales.encode;
    case CapturedScale::decode:
      return scales.decode;
    default:
      return amax;
  }
}

void append(const CaptureConfiguration& c, const QuantizeOptions& options,
            std::span<const float> values, const BlockTensor& t, Computed& out) {
  const std::size_t rows = t.rows;
  const std::size_t columns = t.columns;
  out.blocks += t.scales.size();
  const std::vector<std::uint8_t> raw = c.has_ggml_blocks ? ggml_blocks(t) : t.values;
  out.values.insert(out.values.end(), raw.begin(), raw.end());
  out.scales.insert(out.scales.end(), t.scales.begin(), t.scales.end());
  out.tensor_scale.push_back(
      captured_scale(c, options, t, measure_amax(values, rows, columns, options)));
  detail::ValueTable table(*t.format, t.amax, t.encode_constant, *options.dialect,
                           options.input_type);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < columns; ++i) {
      const std::size_t block = i / static_cast<std::size_t>(t.format->block_size);
      out.dequantized.push_back(table.row(t.scale(r, block))[t.code(r, i)]);
    }
  }
}

/// Codes under the captured scale byte and tensor scale, which a search has chosen.
void encode_given(const QuantizeOptions& options, const Input& in, Bytes scales, float tensor_scale,
                  Computed& out) {
  detail::TensorConstants constants = detail::make_constants(options, 1.0F);
  constants.encode_scale = tensor_scale;
  constants.decode_scale = 1.0F / tensor_scale;
  const detail::Engine& engine = detail::scalar_engine(*options.format);
  const auto scratch = std::make_unique<detail::BlockScratch>();
  constexpr int size = 16;
  std::array<std::uint8_t, size> codes;
  out.blocks = scales.size();
  for (std::size_t b = 0; b < scales.size(); ++b) {
    engine.encode(constants, scales[b], in.values.data() + b * size, size, *scratch, codes.data());
    for (int i = 0; i < size; i += 2) {
      out.values.push_back(static_cast<std::uint8_t>(codes[i] | codes[i + 1] << 4));
    }
  }
  out.scales.assign(scales.begin(), scales.end());
  out.tensor_scale = {tensor_scale};
}

QuantizeOptions options_of(const CaptureConfiguration& c, const Dialect& dialect, const Input& in) {
  QuantizeOptions o;
  o.format = find_block_format(c.format);
  o.rule = c.rule;
  o.dialect = &dialect;
  if (c.scale_max != 0.0F) o.scale_max = c.scale_max;
  o.block_2d = c.shape == CapturedShape::square;
  o.nonfinite = NonFinite::propagate;
  o.input_type = c.casts_input ? InputType::float32 : in.type;
  return o;
}

Computed compute(const CaptureConfiguration& c, const QuantizeOptions& o, const Input& in) {
  Computed out;
  if (c.shape == CapturedShape::row_scaled) {
    const RowScaledTensor all = quantize_row_scaled(in.values, in.rows, in.columns, o, 1);
    for (std::size_t r = 0; r < in.rows; ++r) {
      append(c, o, std::span(in.values).subspan(r * in.columns, in.columns), all.row(r), out);
    }
  } else if (c.shape == CapturedShape::hadamard_columns) {
    std::vector<float> columns(in.values.size());
    transpose(in.values, in.rows, in.columns, columns);
    QuantizeOptions transformed = o;
    transformed.transforms = {hadamard()};
    append(c, transformed, columns, quantize(columns, in.columns, in.rows, transformed), out);
  } else {
    append(c, o, in.values, quantize(in.values, in.rows, in.columns, o), out);
  }
  return out;
}

/// The sign bits of the codes of elements that are NaN when they are scaled: those that change with
/// the rule of NaN elements.
std::vector<std::uint8_t> nan_signs(const CaptureConfiguration& c, QuantizeOptions o,
                                    const Input& in) {
  Dialect dialect = *o.dialect;
  o.dialect = &dialect;
  dialect.nan_element = NanElement::zero;
  std::vector<std::uint8_t> signs = compute(c, o, in).values;
  dialect.nan_element = NanElement::negative_zero;
  const std::vector<std::uint8_t> negative = compute(c, o, in).values;
  for (std::size_t i = 0; i < signs.size(); ++i) signs[i] ^= negative[i];
  return signs;
}

bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

/// Compares one input of a run with what was computed.
class Comparison {
 public:
  Comparison(const TensorFile& file, std::string input, std::string configuration, bool on_cuda)
      : file_(file),
        input_(std::move(input)),
        configuration_(std::move(configuration)),
        on_cuda_(on_cuda) {}

  /// The run's field, or where it has no form of that field: the CPU's, which CUDA equals, and of a
  /// configuration whose input was cast to FP32 first, that without the cast.
  [[nodiscard]] const TensorInfo* find(std::string_view field, std::string_view form = "") const {
    std::vector<std::string> prefixes;
    if (on_cuda_) prefixes.push_back(fmt::format("{}.{}@cuda.", input_, configuration_));
    prefixes.push_back(fmt::format("{}.{}.", input_, configuration_));
    if (configuration_.ends_with("_f32")) {
      const std::string plain = configuration_.substr(0, configuration_.size() - 4);
      if (on_cuda_) prefixes.push_back(fmt::format("{}.{}@cuda.", input_, plain));
      prefixes.push_back(fmt::format("{}.{}.", input_, plain));
    }
    for (const std::string& prefix : prefixes) {
      for (const std::string_view other : {"", "_bf16", "_sha256"}) {
        if (file_.find(fmt::format("{}{}{}", prefix, field, other)) == nullptr) continue;
        return file_.find(fmt::format("{}{}{}", prefix, field, form));
      }
    }
    return nullptr;
  }

  /// Marks the blocks in which the bytes differ. \return whether the field was captured.
  bool compare_bytes(const std::string& field, Bytes mine, std::vector<bool>& differs) const {
    if (const TensorInfo* wanted = find(field)) {
      const Bytes bytes = bytes_of(*wanted);
      if (bytes.size() != mine.size()) {
        differs.assign(differs.size(), true);
        return true;
      }
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (bytes[i] != mine[i]) differs[i * differs.size() / bytes.size()] = true;
      }
      return true;
    }
    const TensorInfo* digest = find(field, "_sha256");
    if (digest == nullptr) return false;
    const auto own = golden::sha256(mine);
    const Bytes bytes = bytes_of(*digest);
    if (!std::equal(bytes.begin(), bytes.end(), own.begin(), own.end())) {
      differs.assign(differs.size(), true);
    }
    return true;
  }

  /// \return whether a dequantization was captured.
  bool compare_dequantized(std::span<const float> mine, std::vector<bool>& differs) const {
    if (const TensorInfo* wanted = find("dequant")) {
      const std::vector<float> values = to_f32(*wanted);
      mark(values, mine, differs);
      return true;
    }
    if (const TensorInfo* wanted = find("dequant", "_bf16")) {
      const Bytes bytes = bytes_of(*wanted);
      std::vector<float> values(bytes.size() / 2);
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = std::bit_cast<float>(static_cast<std::uint32_t>(bytes[2 * i]) << 16 |
                                         static_cast<std::uint32_t>(bytes[2 * i + 1]) << 24);
      }
      mark(values, mine, differs);
      return true;
    }
    if (!compare_bytes("dequant", bytes_of(mine), differs)) return false;
    if (std::none_of(mine.begin(), mine.end(), [](float v) { return std::isnan(v); })) return true;
    // The sign of NaN is not part of a value.
    for (const std::uint32_t nan : {0x7FC00000U, 0xFFC00000U, 0x7FF00000U, 0xFFF00000U, 0x7FFFFFFFU,
                                    0x7FFF0000U, 0xFFFF0000U}) {
      std::vector<float> other(mine.begin(), mine.end());
      for (float& v : other) {
        if (std::isnan(v)) v = std::bit_cast<float>(nan);
      }
      std::vector<bool> differs_then(differs.size());
      compare_bytes("dequant", bytes_of(other), differs_then);
      if (std::none_of(differs_then.begin(), differs_then.end(), [](bool d) { return d; })) {
        differs = differs_then;
      }
    }
    return true;
  }

  /// Whether the captured bytes or their digest are these, with other signs of NaN.
  /// \param signs  the bits that may differ
  [[nodiscard]] bool equals_but_for(const std::string& field, Bytes mine, Bytes signs) const {
    for (int variant = 0; variant < 4; ++variant) {
      std::vector<std::uint8_t> bytes(mine.begin(), mine.end());
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (variant == 1) bytes[i] ^= signs[i];
        if (variant == 2) bytes[i] |= signs[i];
        if (variant == 3) bytes[i] &= static_cast<std::uint8_t>(~signs[i]);
      }
      std::vector<bool> differs(1);
      if (!compare_bytes(field, bytes, differs) || !differs[0]) return true;
    }
    return false;
  }

 private:
  static void mark(std::span<const float> wanted, std::span<const float> mine,
                   std::vector<bool>& differs) {
    if (wanted.size() != mine.size()) {
      differs.assign(differs.size(), true);
      return;
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (!same_bits(wanted[i], mine[i])) differs[i * differs.size() / wanted.size()] = true;
    }
  }

  const TensorFile& file_;
  std::string input_;
  std::string configuration_;
  bool on_cuda_;
};

Bytes bytes_or_none(const TensorInfo* tensor) {
  return tensor != nullptr ? bytes_of(*tensor) : Bytes();
}

/// The inputs that the run has keys of. On CUDA the keys of the CPU count too where both ran.
std::set<std::string> inputs_of(const TensorFile& file, const CaptureConfiguration& c,
                                bool on_cuda) {
  std::string_view plain = c.configuration;
  if (plain.ends_with("_f32")) plain.remove_suffix(4);
  std::set<std::string> names;
  for (const TensorInfo& tensor : file.tensors()) {
    for (const std::string_view configuration : {c.configuration, plain}) {
      std::size_t at = tensor.name.find(fmt::format(".{}.", configuration));
      if (at == std::string::npos && on_cuda) {
        at = tensor.name.find(fmt::format(".{}@cuda.", configuration));
      }
      if (at != std::string::npos) names.insert(tensor.name.substr(0, at));
    }
  }
  return names;
}

/// Of the blocks that differ, those that only have other signs of NaN. A digest says so of all
/// blocks at once, if every sign is positive, negative or the other one.
std::size_t nan_sign_blocks(const Comparison& comparison, const Computed& mine,
                            const std::vector<std::uint8_t>& nan_signs,
                            const std::vector<bool>& differs) {
  const TensorInfo* const scales = comparison.find("scales");
  const TensorInfo* const values = comparison.find("values");
  if (scales != nullptr && values != nullptr) {
    return detail::nan_sign_only({bytes_of(*scales), bytes_of(*values)}, {mine.scales, mine.values},
                                 nan_signs, differs);
  }
  std::vector<std::uint8_t> scale_signs(mine.scales.size());
  for (std::size_t b = 0; b < scale_signs.size(); ++b) {
    scale_signs[b] = (mine.scales[b] & 0x7FU) == 0x7FU ? 0x80 : 0;
  }
  if (!comparison.equals_but_for("scales", mine.scales, scale_signs) ||
      !comparison.equals_but_for("values", mine.values, nan_signs)) {
    return 0;
  }
  return static_cast<std::size_t>(std::count(differs.begin(), differs.end(), true));
}

std::string hexadecimal(Bytes bytes) {
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

/// Block `block` of `blocks` in an array that has its bytes in the order of the blocks.
Bytes part(Bytes bytes, std::size_t block, std::size_t blocks) {
  const std::size_t width = bytes.size() / blocks;
  return bytes.subspan(block * width, width);
}

std::string describe(const std::string& input, std::size_t block, std::span<const float> x,
                     Bytes wanted_scales, Bytes wanted_values, const Computed& mine) {
  std::vector<std::string> elements;
  const std::size_t width = x.size() / mine.blocks;
  for (const float v : x.subspan(block * width, width)) {
    elements.push_back(fmt::format("{:08x}", std::bit_cast<std::uint32_t>(v)));
  }
  return fmt::format("{} block {}: x {}; captured {} {}; here {} {}", input, block,
                     fmt::join(elements, " "), hexadecimal(part(wanted_scales, block, mine.blocks)),
                     hexadecimal(part(wanted_values, block, mine.blocks)),
                     hexadecimal(part(mine.scales, block, mine.blocks)),
                     hexadecimal(part(mine.values, block, mine.blocks)));
}

CaptureResult compare_run(const TensorFile& file, const std::string& library,
                          const CaptureConfiguration& c, const Dialect& dialect, bool on_cuda,
                          Inputs& inputs, std::size_t examples) {
  CaptureResult result;
  result.library = library;
  result.configuration = fmt::format("{}{}", c.configuration, on_cuda ? "@cuda" : "");
  result.dialect = dialect.name;
  for (const std::string& name : inputs_of(file, c, on_cuda)) {
    const Input& input = inputs.at(name);
    const Comparison comparison(file, name, std::string(c.configuration), on_cuda);
    const QuantizeOptions options = options_of(c, dialect, input);
    Computed mine;
    const TensorInfo* const tensor_scale = comparison.find("tensor_scale");
    if (c.gives_scale) {
      encode_given(options, input, bytes_of(*comparison.find("scales")),
                   to_f32(*tensor_scale).at(0), mine);
    } else {
      mine = compute(c, options, input);
    }
    ++result.tensors;
    result.blocks += mine.blocks;
    std::vector<bool> differs(mine.blocks);
    if (!c.has_ggml_blocks) comparison.compare_bytes("scales", mine.scales, differs);
    comparison.compare_bytes("values", mine.values, differs);
    const auto count = static_cast<std::size_t>(std::count(differs.begin(), differs.end(), true));
    for (std::size_t b = 0; b < mine.blocks && result.examples.size() < examples; ++b) {
      if (!differs[b]) continue;
      result.examples.push_back(describe(name, b, input.values,
                                         bytes_or_none(comparison.find("scales")),
                                         bytes_or_none(comparison.find("values")), mine));
    }
    std::string where;
    if (count != 0) {
      where = fmt::format("{} block {}", name,
                          std::find(differs.begin(), differs.end(), true) - differs.begin());
    }
    const std::string_view cause = detail::allowed_cause(library, result.configuration);
    if (tensor_scale != nullptr && cause.empty()) {
      const std::vector<float> wanted = to_f32(*tensor_scale);
      const bool same =
          wanted.size() == mine.tensor_scale.size() &&
          std::equal(wanted.begin(), wanted.end(), mine.tensor_scale.begin(), same_bits);
      if (!same) {
        ++result.wrong_tensor_scales;
        if (where.empty()) {
          std::size_t i = 0;
          while (i < wanted.size() && i < mine.tensor_scale.size() &&
                 same_bits(wanted[i], mine.tensor_scale[i])) {
            ++i;
          }
          where = fmt::format("{} tensor scale {} of {}: {:a}, here {:a}", name, i, wanted.size(),
                              i < wanted.size() ? wanted[i] : 0.0F,
                              i < mine.tensor_scale.size() ? mine.tensor_scale[i] : 0.0F);
        }
      }
    }
    if (c.keeps_nan) {
      for (std::size_t i = 0; i < mine.dequantized.size(); ++i) {
        if (std::isnan(input.values[i])) mine.dequantized[i] = input.values[i];
      }
    }
    std::vector<bool> other(mine.blocks);
    if (!mine.dequantized.empty() && comparison.compare_dequantized(mine.dequantized, other)) {
      ++result.dequantized;
      // Of blocks with other codes nothing is known; a digest is of all blocks.
      const bool is_digest = std::all_of(other.begin(), other.end(), [](bool d) { return d; });
      for (std::size_t b = 0; b < other.size(); ++b) {
        if (differs[b] || (is_digest && count != 0)) other[b] = false;
      }
      const auto n = static_cast<std::size_t>(std::count(other.begin(), other.end(), true));
      if (n != 0) {
        ++result.wrong_dequantized;
        if (where.empty()) {
          where = fmt::format("{} dequantized block {} ({})", name,
                              std::find(other.begin(), other.end(), true) - other.begin(), n);
        }
      }
    }
    if (count != 0) {
      const std::size_t n =
          on_cuda || c.gives_scale
              ? 0
              : nan_sign_blocks(comparison, mine, nan_signs(c, options, input), differs);
      if (n != 0) result.causes["sign of NaN on the CPU"] += n;
      if (!cause.empty()) {
        result.causes[std::string(cause)] += count - n;
      } else {
        result.unexplained += count - n;
        if (n == count) where.clear();
      }
    }
    if (result.first.empty()) result.first = where;
    result.mismatches += count;
  }
  return result;
}

/// A file of fouroversix: FORMAT.RULE.VARIANT, one input, `backend` in the metadata.
void compare_golden(const std::filesystem::path& path,
                    const std::function<void(const CaptureResult&)>& report) {
  const golden::File file(path);
  for (const golden::Configuration& c : file.configurations()) {
    const Dialect* const dialect = golden::dialect_of(c.backend);
    if (dialect == nullptr) continue;
    const golden::Comparison r = file.compare(c, *dialect);
    CaptureResult result;
    result.library = "fouroversix";
    result.configuration = fmt::format("{} {}", path.stem().string(), c.prefix);
    result.dialect = dialect->name;
    result.tensors = 1;
    result.blocks = r.blocks;
    result.mismatches = r.different_blocks;
    result.unexplained = r.different_blocks;
    result.wrong_tensor_scales = r.amax_differs ? 1 : 0;
    result.dequantized = r.has_dequantization ? 1 : 0;
    result.wrong_dequantized = r.dequantization_differs ? 1 : 0;
    if (r.first) result.first = fmt::format("block {}", *r.first);
    report(result);
  }
}

}  // namespace

void compare_captures(const std::filesystem::path& path,
                      const std::function<void(const CaptureResult&)>& report, std::size_t examples,
                      const std::function<const Dialect*(const Dialect&)>& substitute) {
  const auto dialect_of = [&](std::string_view name) {
    const Dialect* const known = find_dialect(name);
    return known != nullptr && substitute ? substitute(*known) : known;
  };
  const TensorFile file = TensorFile::open(path);
  const std::string stem = path.stem().string();
  const auto& metadata = file.metadata();
  if (metadata.contains("backend")) return compare_golden(path, report);
  const auto text = [&](const std::string& key) {
    const auto at = metadata.find(key);
    return at != metadata.end() ? at->second : std::string();
  };
  const std::string ran_on_cuda = "," + text("ran_on_cuda_too") + "," + text("cuda_only") + ",";
  Inputs inputs(path.parent_path());
  bool is_known = false;
  for (const CaptureConfiguration& c : capture_configurations()) {
    if (c.file != stem) continue;
    is_known = true;
    const Dialect* const on_cpu = c.dialect.empty() ? nullptr : dialect_of(c.dialect);
    if (on_cpu != nullptr) report(compare_run(file, stem, c, *on_cpu, false, inputs, examples));
    if (c.cuda_dialect.empty() ||
        ran_on_cuda.find(fmt::format(",{},", c.configuration)) == std::string::npos) {
      continue;
    }
    const Dialect* const on_cuda = dialect_of(c.cuda_dialect);
    if (on_cuda != nullptr) report(compare_run(file, stem, c, *on_cuda, true, inputs, examples));
  }
  if (!is_known) {
    throw Error(
        ErrorKind::invalid_input,
        fmt::format("{}: no library of that name is known; docs/dialects.md says how to add "
                    "one",
                    path.string()));
  }
}

}  // namespace lowbit
