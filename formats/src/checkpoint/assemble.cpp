// SPDX-License-Identifier: MIT
#include "checkpoint/assemble.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "io/checked_json.hpp"
#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"

namespace lowbit::detail {
namespace {

/// One weight in the making; every check that fails adds a line.
class Assembly {
 public:
  Assembly(QuantizedTensor& tensor, const AssembleContext& context)
      : q_(tensor), context_(context) {}

  bool run() {
    if (q_.convention->name == "fouroversix") return assemble_fouroversix();
    if (q_.convention->name == "torchao" && !read_torchao_order()) return false;
    const bool known = q_.convention->is_gguf ? assemble_gguf() : assemble_pair();
    return known && read_tensor_scales() && agrees_with_config();
  }

 private:
  bool fail(const TensorInfo& at, std::string_view kind, std::string text) {
    context_.faults->push_back({at.file, at.name, std::string(kind), std::move(text)});
    return false;
  }

  /// The weight's dimensions: those of the codes, with the last one given.
  void set_shape(std::uint64_t columns) {
    q_.shape = q_.codes->shape;
    q_.shape.back() = columns;
    q_.columns = q_.stored_columns = columns;
    q_.rows = q_.stored_rows = q_.codes->rows();
  }

  bool assemble_gguf() {
    const bool is_nv = *q_.codes->dtype == dtype_ggml_nvfp4;
    q_.format = find_block_format(is_nv ? "nvfp4" : "mxfp4");
    q_.layout.fused_blocks = is_nv ? 4 : 1;
    if (!is_nv) q_.layout.scale_type = ScaleType::f8_e8m0;
    if (q_.codes->shape.empty()) return fail(*q_.codes, "shape", "blocks without a dimension");
    set_shape(q_.codes->columns());
    return true;
  }

  /// torchao says in the file's metadata, as JSON under the weight's name, how scales are stored.
  bool read_torchao_order() {
    const auto found = context_.metadata->find(q_.name);
    if (found == context_.metadata->end()) return true;
    try {
      const CheckedJson json = parse_json(found->second, q_.codes->file, 0, 16, 1024);
      const auto data = json.value.find("_data");
      const bool swizzled = data != json.value.end() && data->is_object() &&
                            data->value("is_swizzled_scales", nlohmann::json(false)) == true;
      if (swizzled) q_.layout.scales = ScaleLayout::swizzled;
      return true;
    } catch (const Error&) {
      return fail(*q_.codes, "metadata", "the file's metadata under its name are no JSON");
    }
  }

  /// Columns that the codes hold; 0 where the dtype holds none.
  [[nodiscard]] std::uint64_t columns_of_codes(bool wide) const {
    const std::uint64_t last = q_.codes->columns();
    const Dtype& dtype = *q_.codes->dtype;
    if (dtype == dtype_f4) return last;
    if (dtype == dtype_u32) return last * (wide ? 4 : 8);
    if (wide)
      return dtype == dtype_u8 || dtype == dtype_f8_e4m3 || dtype == dtype_f8_e5m2 ? last : 0;
    return dtype == dtype_u8 || dtype == dtype_i8 ? last * 2 : 0;
  }

  bool assemble_pair() {
    const TensorInfo& codes = *q_.codes;
    const TensorInfo& scales = *q_.scales;
    if (codes.shape.size() < 2 || codes.elements() == 0) {
      return fail(
          codes, "shape",
          fmt::format("codes of shape [{}]; a weight has two dimensions or more, and elements",
                      shape_text(codes.shape)));
    }
    const bool is_e4m3 = *scales.dtype == dtype_f8_e4m3;
    if (!is_e4m3 && *scales.dtype != dtype_u8 && *scales.dtype != dtype_f8_e8m0) {
      return fail(
          scales, "scale_dtype",
          fmt::format("scales of dtype {}, not F8_E4M3, F8_E8M0 or U8", scales.dtype->name));
    }
    const bool is_mlx = q_.convention->name == "mlx";
    const bool is_gpt_oss = q_.convention->name == "gpt-oss";
    // gpt-oss keeps blocks apart: [.., groups, 16 bytes].
    const std::uint64_t groups = is_gpt_oss ? codes.shape[codes.shape.size() - 2] : 0;
    const bool is_float8 = *codes.dtype == dtype_f8_e4m3 || *codes.dtype == dtype_f8_e5m2;
    bool wide = is_float8;
    bool is_nv = is_e4m3;
    if (is_mlx) {
      // Words of 32 bits: 2 per scale in nvfp4, 4 in mxfp4, 8 in mxfp8.
      const std::uint64_t words = codes.columns();
      const std::uint64_t held = scales.columns();
      is_nv = held != 0 && words == 2 * held;
      wide = held != 0 && words == 8 * held;
      if (!is_nv && !wide && (held == 0 || words != 4 * held)) {
        return fail(scales, "scale_shape",
                    fmt::format("{} scales per row beside {} words of codes: nvfp4 has one for 2 "
                                "words, mxfp4 for 4, mxfp8 for 8",
                                held, words));
      }
    }
    const std::uint64_t columns = is_gpt_oss ? groups * 32 : columns_of_codes(wide);
    if (columns == 0) {
      return fail(codes, "code_dtype",
                  fmt::format("codes of dtype {}; 4-bit codes are U8 or F4, 8-bit ones F8_E4M3 or "
                              "F8_E5M2",
                              codes.dtype->name));
    }
    if (is_gpt_oss && (codes.columns() != 16 || *codes.dtype != dtype_u8)) {
      return fail(
          codes, "shape",
          fmt::format("blocks of {} of {}, not 16 of U8", codes.columns(), codes.dtype->name));
    }
    if (wide && is_nv) {
      return fail(scales, "scale_dtype", "E4M3 scales beside 8-bit codes; their scales are E8M0");
    }
    q_.format = find_block_format(wide ? *codes.dtype == dtype_f8_e5m2 ? "mxfp8_e5m2" : "mxfp8_e4m3"
                                  : is_nv ? "nvfp4"
                                          : "mxfp4");
    if (!is_nv) {
      q_.layout.scale_type = *scales.dtype == dtype_u8 ? ScaleType::u8 : ScaleType::f8_e8m0;
      q_.layout.tensor_scale = TensorScaleKind::none;
    }
    if (is_gpt_oss) {
      q_.shape.assign(codes.shape.begin(), codes.shape.end() - 2);
      q_.shape.push_back(columns);
      q_.columns = q_.stored_columns = columns;
      q_.rows = q_.stored_rows = codes.elements() / 16 / groups;
    } else {
      set_shape(columns);
    }
    return has_scales_for(scales, columns);
  }

  bool has_scales_for(const TensorInfo& scales, std::uint64_t columns) {
    const auto size = static_cast<std::uint64_t>(q_.format->block_size);
    if (columns % size != 0) {
      return fail(
          *q_.codes, "shape",
          fmt::format("rows of {} elements, no multiple of the {} of a block", columns, size));
    }
    std::vector<std::uint64_t> wanted = q_.shape;
    wanted.back() = columns / size;
    if (q_.layout.scales == ScaleLayout::swizzled) {
      const std::size_t bytes = scale_bytes_of(ScaleLayout::swizzled, q_.rows, columns / size);
      if (scales.bytes.size() == bytes) return true;
      return fail(scales, "scale_shape",
                  fmt::format("{} swizzled scale bytes where {} x {} needs {}", scales.bytes.size(),
                              q_.rows, q_.columns, bytes));
    }
    if (scales.shape == wanted) return true;
    std::uint64_t elements = 1;
    for (const std::uint64_t n : wanted) elements *= n;
    std::string text = fmt::format("scales of shape [{}] where {} needs [{}]",
                                   shape_text(scales.shape), q_.format->name, shape_text(wanted));
    if (scales.elements() * 2 == elements) {
      text += fmt::format(": half the size; are they of blocks of {}?", 2 * size);
    } else if (elements * 2 == scales.elements()) {
      text += ": twice the size; are the codes 8 bits wide?";
    } else {
      try {
        const auto found = consistent_layouts(*q_.format, q_.rows, q_.columns,
                                              q_.codes->bytes.size(), scales.shape);
        text += fmt::format(": they would fit the order {}; write them linear",
                            name_of(found.front().scales));
      } catch (const Error&) {
        text += ": they fit no known order";
      }
    }
    return fail(scales, "scale_shape", std::move(text));
  }

  bool read_tensor_scales() {
    const bool is_nv = q_.format->family() == ScaleFamily::nv;
    if (q_.tensor_scale == nullptr) {
      q_.layout.tensor_scale = TensorScaleKind::none;
      // ggml and torchao have NVFP4 of one level, too.
      const bool needed = is_nv && !q_.convention->is_gguf && q_.convention->name != "torchao" &&
                          !q_.convention->tensor_scale.empty();
      if (!needed) return true;
      return fail(
          *q_.codes, "missing_tensor_scale",
          fmt::format("no {} beside it: NVFP4 of {} has a second scale; the weight cannot be "
                      "read without it",
                      q_.convention->tensor_scale, q_.convention->library));
    }
    const TensorInfo& scale = *q_.tensor_scale;
    if (!is_nv && !q_.convention->is_gguf) {
      return fail(scale, "tensor_scale", "a tensor scale beside E8M0 scales, which have none");
    }
    const std::uint64_t count = scale.elements();
    // One per tensor, or one per expert, which the first dimension counts.
    const bool fits = count == 1 || (q_.shape.size() > 2 && count == q_.shape.front());
    if (!fits || !scale.dtype->is_float()) {
      return fail(scale, "tensor_scale",
                  fmt::format("{} of shape [{}], not one number", scale.dtype->name,
                              shape_text(scale.shape)));
    }
    q_.tensor_scales = to_f32(scale);
    for (const float number : q_.tensor_scales) {
      const bool is_divisor = q_.layout.tensor_scale == TensorScaleKind::divisor;
      if (std::isfinite(number) && (is_divisor ? number > 0.0F : number >= 0.0F)) continue;
      return fail(scale, "tensor_scale",
                  fmt::format("the tensor scale is {}, not a {} number", number,
                              is_divisor ? "finite positive" : "finite non-negative"));
    }
    return true;
  }

  bool agrees_with_config() {
    const CheckpointConfig& config = *context_.config;
    if (config.method().empty() || q_.convention->is_gguf) return true;
    std::string module = q_.name;
    if (module.ends_with(".weight")) module.resize(module.size() - 7);
    if (config.ignores(module)) {
      return fail(*q_.codes, "config",
                  fmt::format("{} lists it among the modules that are not quantized",
                              printable(config.file())));
    }
    const auto declared = config.declared_for(module);
    if (!declared) return true;
    if (declared->group_size && *declared->group_size != q_.format->block_size) {
      return fail(
          *q_.codes, "config",
          fmt::format("{} says groups of {} ({}), the shapes say {}", printable(config.file()),
                      *declared->group_size, printable(declared->source), q_.format->block_size));
    }
    if (declared->bits && *declared->bits != q_.format->element->bits) {
      return fail(
          *q_.codes, "config",
          fmt::format("{} says {} bits ({}), the shapes say {}", printable(config.file()),
                      *declared->bits, printable(declared->source), q_.format->element->bits));
    }
    return true;
  }

  /// Integers of the metadata tensor of fouroversix.
  [[nodiscard]] std::vector<std::int64_t> integers(const TensorInfo& tensor) const {
    std::vector<std::int64_t> values;
    const bool wide = *tensor.dtype == dtype_i64;
    if (!wide && *tensor.dtype != dtype_i32) return values;
    for (std::size_t i = 0; i < tensor.elements() && i < 8; ++i) {
      if (wide) {
        std::int64_t value = 0;
        std::memcpy(&value, tensor.bytes.data() + i * 8, 8);
        values.push_back(value);
      } else {
        std::int32_t value = 0;
        std::memcpy(&value, tensor.bytes.data() + i * 4, 4);
        values.push_back(value);
      }
    }
    return values;
  }

  bool assemble_fouroversix() {
    const CheckpointConfig& config = *context_.config;
    const std::string dtype = config.dtype().empty() ? "nvfp4" : config.dtype();
    q_.format = find_block_format(dtype);
    if (q_.format == nullptr) {
      return fail(*q_.codes, "config",
                  fmt::format("{}: dtype '{:.40}' is no format that lowbit has",
                              printable(config.file()), printable(dtype)));
    }
    if (q_.extra == nullptr) {
      return fail(*q_.codes, "missing_metadata",
                  "no quantized_weight_metadata beside it: its shape is unknown");
    }
    const std::vector<std::int64_t> sizes = integers(*q_.extra);
    constexpr std::int64_t most = std::int64_t{1} << 40;
    const bool valid = sizes.size() >= 4 && sizes[0] >= 1 && sizes[1] >= 1 &&
                       sizes[0] <= sizes[2] && sizes[1] <= sizes[3] && sizes[2] < most &&
                       sizes[3] < most;
    if (!valid) {
      return fail(*q_.extra, "shape", "not four integers: rows, columns, and both with padding");
    }
    q_.rows = static_cast<std::size_t>(sizes[0]);
    q_.columns = static_cast<std::size_t>(sizes[1]);
    q_.stored_rows = static_cast<std::size_t>(sizes[2]);
    q_.stored_columns = static_cast<std::size_t>(sizes[3]);
    q_.shape = {q_.rows, q_.columns};
    const bool is_float = !q_.format->is_adaptive() && !q_.format->element->is_integer();
    const bool swizzled = sizes.size() > 5 ? sizes[5] == 1 : is_float;
    q_.layout.scales = swizzled ? ScaleLayout::swizzled : ScaleLayout::linear;
    if (q_.format->family() == ScaleFamily::mx) {
      q_.layout.scale_type = ScaleType::f8_e8m0;
      q_.layout.tensor_scale = TensorScaleKind::none;
    }
    const auto wanted = stored_sizes(q_.layout, *q_.format, q_.stored_rows, q_.stored_columns);
    if (!wanted || q_.codes->bytes.size() != wanted->values ||
        q_.scales->bytes.size() != wanted->scales) {
      return fail(
          *q_.codes, "shape",
          fmt::format("{} bytes of codes and {} of scales, where {} x {} of {} take {} and {}",
                      q_.codes->bytes.size(), q_.scales->bytes.size(), q_.stored_rows,
                      q_.stored_columns, q_.format->name, wanted ? wanted->values : 0,
                      wanted ? wanted->scales : 0));
    }
    if (q_.format->family() == ScaleFamily::mx) return true;
    const std::string rule = config.scale_rule().empty() ? "mse" : config.scale_rule();
    q_.rule = find_scale_rule(rule);
    const bool selects = rule == "mse" || rule == "mae" || rule == "abs_max";
    const bool headroom = selects && q_.format->element == &e2m1 && !q_.format->is_adaptive();
    const float q = rule == "static_4" ? 4.0F : q_.format->largest_element();
    q_.encode_constant = q * (headroom ? q_.format->headroom_scale() : q_.format->largest_scale());
    return read_tensor_scales();
  }

  QuantizedTensor& q_;
  const AssembleContext& context_;
};

}  // namespace

bool assemble(QuantizedTensor& tensor, const AssembleContext& context) {
  return Assembly(tensor, context).run();
}

}  // namespace lowbit::detail
