// SPDX-License-Identifier: MIT
#include "lowbit/checkpoint_convert.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>

#include "checkpoint/gguf_writer.hpp"
#include "io/checked_json.hpp"
#include "io/mapped_file.hpp"
#include "lowbit/block_tensor_file.hpp"
#include "lowbit/checkpoint_lint.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/error.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/quantize.hpp"

namespace lowbit {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

/// Which formats each convention has a place for.
bool has_place(const CheckpointConvention& to, const BlockFormat& format) {
  if (to.name == "lowbit") return true;
  if (format.name == "nvfp4" || format.name == "mxfp4") return true;
  return !to.is_gguf && format.name == "mxfp8_e4m3";
}

/// "model.layers.0.mlp.up_proj" of "model.layers.0.mlp.up_proj.weight".
std::string module_of(const std::string& weight) {
  return weight.ends_with(".weight") ? weight.substr(0, weight.size() - 7) : weight;
}

/// The share of the weight that differs, in decibels: 10 log10(sum x^2 / sum (q - x)^2).
double sqnr_db(std::span<const float> x, std::span<const float> q) {
  double signal = 0.0;
  double noise = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    signal += static_cast<double>(x[i]) * x[i];
    noise += (static_cast<double>(q[i]) - x[i]) * (static_cast<double>(q[i]) - x[i]);
  }
  return 10.0 * std::log10(signal / noise);
}

class Converter {
 public:
  Converter(const Checkpoint& checkpoint, const CheckpointConvention& to,
            const Checkpoint* original)
      : in_(checkpoint), to_(to), original_(original) {}

  Conversion run(const fs::path& out) {
    for (const QuantizedTensor& tensor : in_.quantized()) convert(tensor);
    for (const ForeignTensor& foreign : in_.foreign()) copy(*foreign.tensor);
    for (const TensorInfo* tensor : in_.plain()) copy(*tensor);
    write(out);
    return std::move(result_);
  }

 private:
  void note(const QuantizedTensor& tensor, std::string text, bool is_loss) {
    result_.notes.push_back({tensor.name, std::move(text), is_loss});
  }
  void emit(std::string name, const Dtype& dtype, std::vector<std::uint64_t> shape,
            std::span<const std::byte> bytes) {
    buffers_.emplace_back(bytes.begin(), bytes.end());
    tensors_.push_back({std::move(name), &dtype, std::move(shape), buffers_.back()});
  }
  void emit_numbers(std::string name, std::span<const float> numbers) {
    emit(std::move(name), dtype_f32, {numbers.size()}, std::as_bytes(numbers));
  }
  void copy(const TensorInfo& tensor) {
    tensors_.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
    if (tensor.fortran_order) {
      throw Error(ErrorKind::usage,
                  fmt::format("{}: tensor \"{}\": in Fortran order; write it in C order",
                              printable(tensor.file), printable(tensor.name)));
    }
    ++result_.copied;
  }

  /// Why the target has no place for the tensor, or nothing.
  [[nodiscard]] std::string obstacle(const QuantizedTensor& tensor) const {
    if (!has_place(to_, *tensor.format)) {
      return fmt::format("{} has no {}", to_.name, tensor.format->name);
    }
    const std::size_t whole = to_.is_gguf && tensor.format->family() == ScaleFamily::nv ? 64 : 32;
    const std::size_t size = to_.is_gguf || to_.name == "mlx"
                                 ? whole
                                 : static_cast<std::size_t>(tensor.format->block_size);
    if (to_.name != "lowbit" && tensor.columns % size != 0) {
      return fmt::format("{} needs rows of a multiple of {}, not {}", to_.name, size,
                         tensor.columns);
    }
    return {};
  }

  void convert(const QuantizedTensor& tensor) {
    ++result_.weights;
    if (const std::string why = obstacle(tensor); !why.empty()) {
      const std::vector<float> values = in_.dequantize(tensor);
      emit(tensor.name, dtype_f32, tensor.shape, std::as_bytes(std::span(values)));
      note(tensor,
           fmt::format("{}: written in F32, no longer in blocks; the values are the same", why),
           false);
      ++result_.exact;
      return;
    }
    std::vector<BlockTensor> parts;
    for (std::size_t part = 0; part < tensor.parts(); ++part) {
      parts.push_back(in_.read(tensor, part));
    }
    if (to_.name == "lowbit") return convert_to_lowbit(tensor, std::move(parts));
    formats_[module_of(tensor.name)] = tensor.format;
    bool exact = true;
    const bool is_nv = tensor.format->family() == ScaleFamily::nv;
    const TensorScaleKind kind = is_nv ? to_.layout.tensor_scale : TensorScaleKind::none;
    std::vector<float> numbers;
    if (kind == TensorScaleKind::none) {
      if (is_nv) exact = fold_tensor_scales(tensor, parts);
    } else {
      exact = convert_tensor_scales(tensor, parts, kind, numbers);
    }
    if (to_.is_gguf) exact = note_what_ggml_reads(tensor, parts) && exact;
    emit_blocks(tensor, parts, numbers);
    convert_input_scale(tensor);
    result_.exact += exact ? 1 : 0;
  }

  void convert_to_lowbit(const QuantizedTensor& tensor, std::vector<BlockTensor> parts) {
    for (std::size_t part = 0; part < parts.size(); ++part) {
      NamedBlockTensor named;
      named.name = parts.size() == 1 ? tensor.name : fmt::format("{}.{}", tensor.name, part);
      named.tensor = std::move(parts[part]);
      named.record.format = tensor.format;
      named.record.shape = tensor.shape;
      if (parts.size() > 1) {
        named.record.shape = {named.tensor.rows, named.tensor.columns};
      }
      own_.push_back(std::move(named));
    }
    if (parts.size() > 1) {
      note(tensor, fmt::format("written as {} tensors, one per tensor scale", parts.size()), false);
    }
    if (tensor.input_scale != nullptr) note(tensor, "lowbit has no input scale: left out", true);
    ++result_.exact;
  }

  bool convert_tensor_scales(const QuantizedTensor& tensor, std::span<const BlockTensor> parts,
                             TensorScaleKind kind, std::vector<float>& numbers) {
    double worst = 0.0;
    bool exact = true;
    for (const BlockTensor& part : parts) {
      const ConvertedScale scale = stored_tensor_scale(part, kind, 1.0F);
      numbers.push_back(scale.number);
      exact = exact && scale.exact;
      worst = std::max(worst, scale.relative_error);
    }
    if (exact) return true;
    std::string text = fmt::format(
        "its tensor scale as a {} is rounded: {} for {} {}, relative error {:.2g}", name_of(kind),
        numbers[0], name_of(tensor.layout.tensor_scale), tensor.tensor_scales[0], worst);
    std::vector<BlockTensor> after(parts.begin(), parts.end());
    for (std::size_t i = 0; i < after.size(); ++i) {
      set_tensor_scale(after[i], kind, numbers[i], 1.0F);
    }
    note(tensor, text + loss_in_db(tensor, after), true);
    return false;
  }

  /// A convention without tensor scales: scale bytes take it over, each rounded once.
  bool fold_tensor_scales(const QuantizedTensor& tensor, std::vector<BlockTensor>& parts) {
    std::size_t changed = 0;
    std::size_t blocks = 0;
    double noise = 0.0;
    double signal = 0.0;
    for (BlockTensor& part : parts) {
      if (part.amax == part.encode_constant) continue;
      std::vector<float> before(part.rows * part.columns);
      std::vector<float> after(before.size());
      dequantize(part, before);
      const double factor =
          static_cast<double>(part.amax) / static_cast<double>(part.encode_constant);
      for (std::uint8_t& byte : part.scales) {
        const double wanted = to_double(*part.format->scale, byte) * factor;
        byte = static_cast<std::uint8_t>(from_double(*part.format->scale, wanted, {}));
        changed += to_double(*part.format->scale, byte) != wanted ? 1 : 0;
        ++blocks;
      }
      set_tensor_scale(part, TensorScaleKind::none, 1.0F, 1.0F);
      dequantize(part, after);
      for (std::size_t i = 0; i < before.size(); ++i) {
        const double difference = static_cast<double>(after[i]) - before[i];
        noise += difference * difference;
        signal += static_cast<double>(before[i]) * before[i];
      }
    }
    if (changed == 0) return true;
    note(tensor,
         fmt::format(
             "{} has no tensor scale; {} of {} scale bytes that take it over are rounded, the "
             "weight moves by {:.3g} of itself",
             to_.name, changed, blocks, signal > 0.0 ? std::sqrt(noise / signal) : 0.0) +
             loss_in_db(tensor, parts),
         true);
    return false;
  }

  [[nodiscard]] std::string loss_in_db(const QuantizedTensor& tensor,
                                       std::span<const BlockTensor> after) const {
    if (original_ == nullptr) return {};
    const auto x = original_of(tensor, *original_);
    if (!x) return "; the reference has no such weight";
    std::vector<float> values(x->size());
    const std::size_t size = values.size() / after.size();
    for (std::size_t i = 0; i < after.size(); ++i) {
      dequantize(after[i], std::span(values).subspan(i * size, size));
    }
    return fmt::format("; SQNR {:.4f} dB becomes {:.4f} dB", sqnr_db(*x, in_.dequantize(tensor)),
                       sqnr_db(*x, values));
  }

  /// ggml reads NaN scale bytes as numbers: docs/files.md.
  bool note_what_ggml_reads(const QuantizedTensor& tensor, std::span<const BlockTensor> parts) {
    std::size_t nan = 0;
    for (const BlockTensor& part : parts) {
      for (const std::uint8_t byte : part.scales) {
        nan += std::isnan(to_float(*part.format->scale, byte)) ? 1 : 0;
      }
    }
    if (nan == 0) return true;
    note(tensor, fmt::format("{} scale bytes are NaN, which ggml reads as numbers", nan), true);
    return false;
  }

  void emit_blocks(const QuantizedTensor& tensor, std::span<const BlockTensor> parts,
                   std::span<const float> numbers) {
    const BlockFormat& format = *tensor.format;
    const bool is_nv = format.family() == ScaleFamily::nv;
    const bool is_wide = format.storage_bits() == 8;
    Layout layout = to_.layout;
    if (to_.is_gguf) layout.fused_blocks = is_nv ? 4 : 1;
    std::vector<std::uint8_t> values;
    std::vector<std::uint8_t> scales;
    for (const BlockTensor& part : parts) {
      const StoredBlocks stored = pack(layout, part);
      values.insert(values.end(), stored.values.begin(), stored.values.end());
      scales.insert(scales.end(), stored.scales.begin(), stored.scales.end());
    }
    const auto bytes = std::as_bytes(std::span(values));
    std::vector<std::uint64_t> shape = tensor.shape;
    if (to_.is_gguf) {
      emit(tensor.name, is_nv ? dtype_ggml_nvfp4 : dtype_ggml_mxfp4, shape, bytes);
    } else {
      shape.back() = is_wide ? tensor.columns : tensor.columns / 2;
      const Dtype* dtype = is_wide ? &dtype_f8_e4m3 : &dtype_u8;
      if (to_.name == "mlx") {
        shape.back() /= 4;
        dtype = &dtype_u32;
      }
      emit(entry_name(tensor, is_wide ? to_.wide_codes : to_.codes), *dtype, shape, bytes);
      shape.back() = tensor.columns / static_cast<std::size_t>(format.block_size);
      const bool is_e4m3 = is_nv && layout.scale_type == ScaleType::f8_e4m3;
      emit(entry_name(tensor, to_.scales), is_e4m3 ? dtype_f8_e4m3 : dtype_u8, shape,
           std::as_bytes(std::span(scales)));
    }
    const bool is_needed = !to_.is_gguf || std::any_of(numbers.begin(), numbers.end(),
                                                       [](float n) { return n != 1.0F; });
    if (!numbers.empty() && is_needed) emit_numbers(entry_name(tensor, to_.tensor_scale), numbers);
  }

  /// "model.layers.0.mlp.up_proj." and an ending.
  [[nodiscard]] std::string entry_name(const QuantizedTensor& tensor,
                                       std::string_view ending) const {
    std::string stem = module_of(tensor.name);
    if (tensor.name != "weight") stem += '.';
    if (tensor.name == "weight") stem.clear();
    return stem + std::string(ending);
  }

  void convert_input_scale(const QuantizedTensor& tensor) {
    if (tensor.input_scale == nullptr) return;
    if (to_.input_scale.empty() || tensor.format->family() != ScaleFamily::nv) {
      return note(tensor, fmt::format("{} has no input scale: left out", to_.name), true);
    }
    std::vector<float> numbers = to_f32(*tensor.input_scale);
    // It is stored as the tensor scale is.
    const TensorScaleKind from = tensor.convention->layout.tensor_scale;
    if (from != to_.layout.tensor_scale) {
      bool exact = true;
      for (float& number : numbers) {
        BlockTensor holder;
        holder.format = tensor.format;
        set_tensor_scale(holder, from, number, 1.0F);
        const ConvertedScale scale = stored_tensor_scale(holder, to_.layout.tensor_scale, 1.0F);
        number = scale.number;
        exact = exact && scale.exact;
      }
      if (!exact) note(tensor, "its input scale is rounded to a reciprocal", true);
    }
    emit(entry_name(tensor, to_.input_scale), dtype_f32, tensor.input_scale->shape,
         std::as_bytes(std::span(numbers)));
  }

  /// config.json of the input, without what it says about quantization.
  [[nodiscard]] ordered_json config_of_input() const {
    std::error_code ignored;
    fs::path folder = in_.path();
    if (!fs::is_directory(folder, ignored)) folder = folder.parent_path();
    const fs::path path = (folder.empty() ? fs::path(".") : folder) / "config.json";
    ordered_json config = ordered_json::object();
    if (!fs::is_regular_file(path, ignored)) return config;
    const MappedFile file(path);
    const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                                file.bytes().size());
    static_cast<void>(parse_json(text, file.name(), 0, 32, 1'000'000));
    config = ordered_json::parse(text);
    if (!config.is_object()) return ordered_json::object();
    config.erase("quantization_config");
    config.erase("quantization");
    return config;
  }

  /// What the target's loader reads about the blocks.
  [[nodiscard]] ordered_json config() const {
    ordered_json config = config_of_input();
    std::map<const BlockFormat*, std::vector<std::string>> modules;
    for (const auto& [module, format] : formats_) modules[format].push_back(module);
    if (to_.name == "mlx") {
      ordered_json q = ordered_json::object();
      for (const auto& [module, format] : formats_) {
        const std::string mode = format->name == "mxfp8_e4m3" ? "mxfp8" : std::string(format->name);
        ordered_json entry{
            {"group_size", format->block_size}, {"bits", format->element->bits}, {"mode", mode}};
        if (q.empty()) q = entry;
        q[module] = std::move(entry);
      }
      config["quantization"] = std::move(q);
      return config;
    }
    const bool is_modelopt = to_.name == "modelopt";
    ordered_json q{{"quant_method", to_.name}};
    ordered_json groups = ordered_json::object();
    for (const auto& [format, names] : modules) {
      const bool is_nv = format->family() == ScaleFamily::nv;
      ordered_json weights{{"num_bits", format->element->bits},
                           {"type", "float"},
                           {"group_size", format->block_size}};
      if (!is_modelopt) {
        weights["strategy"] = is_nv ? "tensor_group" : "group";
        weights["symmetric"] = true;
        weights["dynamic"] = false;
        weights["scale_dtype"] = is_nv ? "torch.float8_e4m3fn" : "torch.uint8";
      }
      ordered_json group{{"weights", std::move(weights)}, {"targets", names}};
      if (!is_modelopt) {
        group["format"] = format->name == "mxfp8_e4m3"
                              ? "mxfp8-quantized"
                              : fmt::format("{}-pack-quantized", format->name);
      }
      groups[fmt::format("group_{}", groups.size())] = std::move(group);
    }
    if (is_modelopt) {
      q["quant_algo"] = modules.size() != 1                       ? "MIXED_PRECISION"
                        : modules.begin()->first->name == "nvfp4" ? "NVFP4"
                        : modules.begin()->first->name == "mxfp4" ? "MXFP4"
                                                                  : "MXFP8";
    } else {
      q["format"] =
          groups.size() == 1 ? groups["group_0"]["format"] : ordered_json("mixed-precision");
      q["quantization_status"] = "compressed";
    }
    q["config_groups"] = std::move(groups);
    q["ignore"] = ordered_json::array();
    for (const TensorInfo* tensor : in_.plain()) {
      if (tensor->shape.size() == 2 && tensor->name.ends_with(".weight")) {
        q["ignore"].push_back(module_of(tensor->name));
      }
    }
    config["quantization_config"] = std::move(q);
    return config;
  }

  void write(const fs::path& out) {
    if (to_.is_gguf) return detail::write_gguf(out, tensors_);
    if (to_.name == "lowbit") return write_block_tensors(out, own_, {}, tensors_);
    std::map<std::string, std::string> metadata{{"format", to_.name == "mlx" ? "mlx" : "pt"}};
    if (out.extension() == ".safetensors") return write_safetensors(out, tensors_, metadata);
    std::error_code failure;
    fs::create_directories(out, failure);
    if (failure) {
      throw Error(ErrorKind::invalid_input,
                  fmt::format("{}: cannot be made a folder: {}", printable(out.string()),
                              failure.message()));
    }
    OutputFile file(out / "config.json");
    file.write(config().dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n");
    write_safetensors(out / "model.safetensors", tensors_, metadata);
    file.commit();
  }

  const Checkpoint& in_;
  const CheckpointConvention& to_;
  const Checkpoint* original_;
  Conversion result_;
  std::deque<std::vector<std::byte>> buffers_;  // keeps its elements where they are
  std::vector<OutputTensor> tensors_;
  std::vector<NamedBlockTensor> own_;
  std::map<std::string, const BlockFormat*> formats_;  ///< by module
};

}  // namespace

std::vector<std::string_view> conversion_targets() {
  return {"modelopt", "compressed-tensors", "gguf", "mlx", "lowbit"};
}

Conversion convert_checkpoint(const Checkpoint& checkpoint, const CheckpointConvention& to,
                              const fs::path& out, const Checkpoint* original) {
  const std::vector<std::string_view> targets = conversion_targets();
  if (std::find(targets.begin(), targets.end(), to.name) == targets.end()) {
    throw Error(ErrorKind::usage, fmt::format("{} is read only", to.name));
  }
  require_no_faults(checkpoint);
  return Converter(checkpoint, to, original).run(out);
}

}  // namespace lowbit
