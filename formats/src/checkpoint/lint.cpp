// SPDX-License-Identifier: MIT
#include "lowbit/checkpoint_lint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/fused_layers.hpp"
#include "checkpoint/weight_rows.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/quantize.hpp"

namespace lowbit {
namespace {

/// Sums over a weight x and what a checkpoint makes of it, q.
struct Likeness {
  double xx = 0.0;
  double qq = 0.0;
  double xq = 0.0;

  void add(std::span<const float> x, std::span<const float> q) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double a = x[i];
      const double b = std::isfinite(q[i]) ? q[i] : 0.0F;
      xx += a * a;
      qq += b * b;
      xq += a * b;
    }
  }
  /// The factor that fits q to x best.
  [[nodiscard]] double gain() const { return qq == 0.0 ? 0.0 : xq / qq; }
  /// |x - gain * q| / |x|: what no tensor scale can mend.
  [[nodiscard]] double rest() const {
    if (xx == 0.0) return 0.0;
    if (qq == 0.0) return 1.0;
    return std::sqrt(std::max(0.0, 1.0 - xq * xq / (xx * qq)));
  }
};

class Linter {
 public:
  Linter(const Checkpoint& checkpoint, const Checkpoint* original)
      : checkpoint_(checkpoint), original_(original) {}

  std::vector<LintFinding> run() {
    for (const CheckpointFault& fault : checkpoint_.faults()) {
      found_.push_back({fault.kind, fault.file, fault.tensor, fault.text});
    }
    for (const QuantizedTensor& tensor : checkpoint_.quantized()) {
      look_at_scales(tensor);
      if (original_ != nullptr) compare(tensor);
    }
    look_at_fused_layers();
    return std::move(found_);
  }

 private:
  void add(std::string_view kind, const QuantizedTensor& tensor, std::string text) {
    found_.push_back({std::string(kind), tensor.codes->file, tensor.name, std::move(text)});
  }

  static bool has_codes(const BlockTensor& t, std::size_t row, std::size_t block) {
    const auto size = static_cast<std::size_t>(t.format->block_size);
    const std::size_t end = std::min((block + 1) * size, t.columns);
    // The sign of a code alone is no value: -0.
    const std::uint32_t magnitude =
        t.format->element->is_signed ? t.format->element->sign_mask() - 1 : ~std::uint32_t{0};
    for (std::size_t c = block * size; c < end; ++c) {
      if ((t.code(row, c) & magnitude) != 0) return true;
    }
    return false;
  }

  /// Calls take() with each strip of each part, and the strip's place in the weight.
  template <typename Take>
  static void for_each_strip(const QuantizedTensor& tensor, Take take) {
    for (std::size_t part = 0; part < tensor.parts(); ++part) {
      const detail::StoredPart stored(tensor, part);
      for (const Rectangle& strip : stored.strips()) {
        take(stored.read(strip), stored.in_weight(strip));
      }
    }
  }

  void look_at_scales(const QuantizedTensor& tensor) {
    std::size_t blocks = 0;
    std::size_t nan = 0;
    std::size_t zero = 0;
    std::size_t saturated = 0;
    std::size_t negative = 0;
    const BlockFormat& format = *tensor.format;
    const bool is_nv = format.family() == ScaleFamily::nv;
    for_each_strip(tensor, [&](const BlockTensor& t, const Rectangle&) {
      blocks += t.scales.size();
      for (std::size_t r = 0; r < t.rows; ++r) {
        for (std::size_t b = 0; b < t.blocks_per_row(); ++b) {
          const std::uint8_t byte = t.scale(r, b);
          const float scale = to_float(*format.scale, format.scale_magnitude(byte));
          if (std::isnan(scale)) {
            ++nan;
          } else if (std::signbit(scale)) {
            ++negative;
          } else if (scale == 0.0F) {
            zero += has_codes(t, r, b) ? 1 : 0;
          } else {
            saturated += scale == format.largest_scale() ? 1 : 0;
          }
        }
      }
    });
    if (nan > 0) add("nan_scale", tensor, fmt::format("{} of {} scale bytes are NaN", nan, blocks));
    if (negative > 0) {
      add("negative_scale", tensor,
          fmt::format("{} of {} scale bytes are negative; is it an IF format?", negative, blocks));
    }
    if (zero > 0) {
      add("zero_scale", tensor,
          fmt::format("{} of {} scale bytes are 0 under codes that are not", zero, blocks));
    }
    // With a tensor scale from the amax, the blocks at the amax have the largest scale: a few.
    const bool has_level = is_nv && tensor.layout.tensor_scale != TensorScaleKind::none;
    const std::size_t usual = has_level ? std::max<std::size_t>(3, blocks / 100) : 0;
    if (saturated > usual) {
      add("saturated_scale", tensor,
          fmt::format("{} of {} scale bytes are {}, the largest: blocks may be clipped", saturated,
                      blocks, format.largest_scale()));
    }
    for (const float number : tensor.tensor_scales) {
      if (tensor.layout.tensor_scale == TensorScaleKind::none || number != 0.0F) continue;
      add("zero_tensor_scale", tensor, "its tensor scale is 0: the whole weight reads as 0");
      break;
    }
  }

  void compare(const QuantizedTensor& tensor) {
    const auto original = detail::original_matrix_of(tensor, *original_);
    if (!original) {
      add("no_original", tensor,
          tensor.is_rearranged
              ? "it was transformed or quantized along another axis; use `lowbit verify quantize`"
              : "the reference has no float tensor of that name and shape");
      return;
    }
    std::vector<float> x, q;
    const auto likeness_of = [&](const QuantizedTensor& stored) {
      Likeness sums;
      for_each_strip(stored, [&](const BlockTensor& t, const Rectangle& in_weight) {
        x.resize(t.rows * t.columns);
        q.resize(x.size());
        original->matrix().read(in_weight, x);
        dequantize(t, q);
        sums.add(x, q);
      });
      return sums;
    };
    Likeness best = likeness_of(tensor);
    Layout layout = tensor.layout;
    const double declared = best.rest();
    // Rounding alone leaves 0.1 or less in 4 bits: docs/checkpoints.md, "lint".
    constexpr double suspicious = 0.08;
    constexpr double clearly_less = 0.75;
    constexpr double unlike = 0.5;
    if (declared > suspicious && tensor.parts() == 1 && tensor.convention->name != "lowbit") {
      for (const Layout& other : other_layouts(tensor)) {
        QuantizedTensor as_other = tensor;
        as_other.layout = other;
        const Likeness sums = likeness_of(as_other);
        if (sums.rest() < std::min(best.rest(), clearly_less * declared)) {
          best = sums;
          layout = other;
        }
      }
    }
    if (layout.codes != tensor.layout.codes) {
      add("nibble_order", tensor,
          fmt::format(
              "its codes are {}, not {}: the error falls from {:.3g} to {:.3g} of the weight",
              name_of(layout.codes), name_of(tensor.layout.codes), declared, best.rest()));
    }
    if (layout.scales != tensor.layout.scales) {
      add("scale_layout", tensor,
          fmt::format(
              "its scale bytes are {}, not {}: the error falls from {:.3g} to {:.3g} of the "
              "weight",
              name_of(layout.scales), name_of(tensor.layout.scales), declared, best.rest()));
    }
    if (best.rest() > unlike) {
      add("other_weight", tensor,
          fmt::format("it is not the reference's: {:.3g} of the weight is left in every order",
                      best.rest()));
      return;
    }
    compare_gain(tensor, best.gain());
  }

  void compare_gain(const QuantizedTensor& tensor, double gain) {
    constexpr double near = 1.25;  // a right tensor scale leaves a gain within 2 % of 1
    const auto is_one = [](double value) { return value > 1.0 / near && value < near; };
    if (is_one(gain)) return;
    const TensorScaleKind kind = tensor.layout.tensor_scale;
    BlockTensor first;
    set_tensor_scale(first, kind, tensor.tensor_scales[0], tensor.encode_constant);
    const double factor =
        static_cast<double>(first.amax) / static_cast<double>(first.encode_constant);
    // With 1 / factor instead of factor the gain would be gain * factor^2.
    const bool can_invert = kind == TensorScaleKind::multiplier || kind == TensorScaleKind::divisor;
    if (can_invert && is_one(gain * factor * factor)) {
      const bool is_multiplier = kind == TensorScaleKind::multiplier;
      add("inverted_tensor_scale", tensor,
          fmt::format(
              "{} is stored where {} is expected: the tensor scale is {}, its reciprocal fits",
              is_multiplier ? "a divisor" : "a multiplier",
              is_multiplier ? "a multiplier" : "a divisor", tensor.tensor_scales[0]));
      return;
    }
    add("tensor_scale", tensor,
        fmt::format("the reference is {:.4g} times what the tensor scale says", gain));
  }

  /// Orders that the same bytes could have.
  static std::vector<Layout> other_layouts(const QuantizedTensor& tensor) {
    std::vector<Layout> layouts;
    const std::size_t bytes = tensor.scales == nullptr ? 0 : tensor.scales->bytes.size();
    for (const CodeOrder codes : code_orders()) {
      if (tensor.format->storage_bits() != 4 && codes != tensor.layout.codes) continue;
      for (const ScaleLayout scales : scale_layouts()) {
        Layout layout = tensor.layout;
        layout.codes = codes;
        layout.scales = scales;
        if (layout.fused_blocks != 0 && scales != ScaleLayout::linear) continue;
        const auto sizes =
            stored_sizes(layout, *tensor.format, tensor.stored_rows, tensor.stored_columns);
        if (sizes && (layout.fused_blocks != 0 || sizes->scales == bytes))
          layouts.push_back(layout);
      }
    }
    return layouts;
  }

  void look_at_fused_layers() {
    for (const auto& members : fused_layers(checkpoint_)) {
      for (std::size_t i = 1; i < members.size(); ++i) compare_fused(*members[0], *members[i]);
    }
  }

  void compare_fused(const QuantizedTensor& a, const QuantizedTensor& b) {
    if (a.format == b.format && a.tensor_scales != b.tensor_scales) {
      add("fused_scale", b,
          fmt::format("tensor scale {} where {} has {}: a kernel that fuses both layers needs one",
                      b.tensor_scales[0], printable(a.name), a.tensor_scales[0]));
    }
    if (a.input_scale == nullptr || b.input_scale == nullptr) return;
    if (!a.input_scale->dtype->is_float() || !b.input_scale->dtype->is_float()) return;
    if (to_f32(*a.input_scale) != to_f32(*b.input_scale)) {
      add("fused_input_scale", b,
          fmt::format("its input scale differs from that of {}, which has the same input",
                      printable(a.name)));
    }
  }

  const Checkpoint& checkpoint_;
  const Checkpoint* original_;
  std::vector<LintFinding> found_;
};

}  // namespace

std::string LintFinding::line() const {
  if (tensor.empty()) return fmt::format("{}: {}: {}", kind, printable(file), text);
  return fmt::format("{}: tensor \"{}\": {}", kind, printable(tensor), text);
}

std::optional<std::vector<float>> original_of(const QuantizedTensor& tensor,
                                              const Checkpoint& original) {
  const auto found = detail::original_matrix_of(tensor, original);
  if (!found) return std::nullopt;
  return matrix_of(found->tensor, found->view, false).values;
}

std::vector<LintFinding> lint(const Checkpoint& checkpoint, const Checkpoint* original) {
  return Linter(checkpoint, original).run();
}

}  // namespace lowbit
