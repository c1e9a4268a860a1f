// SPDX-License-Identifier: MIT
// One block of a tensor, from its elements to its codes and scale byte, as the dialect says.
// The engine is specialised on the element formats; the dialect's axes are looked at once per
// block, outside the loops over elements.
#pragma once

#include <limits>
#include <span>
#include <string_view>

#include "lowbit/block_trace.hpp"
#include "quantize/element_rounding.hpp"
#include "quantize/error_sum.hpp"
#include "quantize/mx_scale.hpp"
#include "quantize/scale_chain.hpp"
#include "quantize/static_fake_quantizer.hpp"
#include "quantize/tensor_constants.hpp"

namespace lowbit::detail {

/// Of a 2D block, the largest.
inline constexpr int max_block_elements = max_block_size * max_block_size;

/// Magnitudes of finite floats are in the order of their bits.
inline float amax_of(std::span<const float> x) {
  std::int32_t top = 0;
  for (const float v : x) top = std::max(top, std::bit_cast<std::int32_t>(v) & 0x7FFFFFFF);
  return std::bit_cast<float>(top);
}

/// A block's elements x' with its padding (zeros), and the numbers of stochastic rounding.
struct BlockInput {
  const float* x = nullptr;
  int count = 0;
  const float* random0 = nullptr;
  const float* random1 = nullptr;
  const float* importance = nullptr;  ///< per element of a row; the same for each row

  [[nodiscard]] float amax() const { return amax_of({x, static_cast<std::size_t>(count)}); }
  /// \param keeps_all  whether a block of NaN alone has the amax NaN
  [[nodiscard]] float amax_skipping_nan(bool keeps_all) const {
    float top = 0.0F;
    if (keeps_all && std::all_of(x, x + count, [](float v) { return std::isnan(v); })) return x[0];
    for (int i = 0; i < count; ++i) top = std::fabs(x[i]) > top ? std::fabs(x[i]) : top;
    return top;
  }
};

struct Candidate {
  BlockChoice kind = BlockChoice::only;
  std::uint8_t scale_byte = 0;
  float h = 0.0F;
  float scale = 0.0F;
  float inverse = 0.0F;
  float error = 0.0F;
  alignas(64) std::array<float, max_block_elements> y;
  alignas(64) std::array<float, max_block_elements> q;
  alignas(64) std::array<float, max_block_elements> value;
  alignas(64) std::array<std::uint8_t, max_block_elements> codes;
};

/// Scratch memory of one thread; nothing is allocated per block.
struct BlockScratch {
  Candidate first;
  Candidate second;
};

/// Element: of every block, or of float blocks; Integer: of integer blocks, where the format has
/// them (else the same as Element).
template <const ElementFormat& Element, const ElementFormat& Integer = Element>
class BlockEngine {
  static constexpr bool is_adaptive = !(Element == Integer);

 public:
  static constexpr std::string_view engine_name = "scalar";

  BlockEngine(const TensorConstants& constants, BlockScratch& scratch)
      : t_(constants), first_(scratch.first), second_(scratch.second) {}

  /// \return the chosen candidate; its scale byte has the integer flag where it is one.
  Candidate& run(const BlockInput& in, BlockTrace* trace = nullptr) {
    const float b = amax(in);
    Candidate* chosen = &first_;
    if (t_.format->family() == ScaleFamily::mx) {
      run_mx(in, b);
    } else if constexpr (is_adaptive) {
      chosen = &run_adaptive(in, b);
    } else {
      chosen = &run_nv(in, b);
    }
    if (trace != nullptr) record(in, b, *chosen, *trace);
    return *chosen;
  }

  /// The scale byte that the rule gives the block.
  std::uint8_t choose(const BlockInput& in) {
    if (t_.selects) return run(in).scale_byte;
    const float b = amax(in);
    if (t_.format->family() == ScaleFamily::mx) return mx_scale_byte(t_, b);
    if (t_.plain_chain) return rounded_scale_of(scale(b));
    return chain_scale_byte(t_, chain_scale(t_, {in.x, in.count, b}, false), b);
  }

  /// The block's codes under that scale byte, whatever the rule would choose.
  Candidate& encode(const BlockInput& in, std::uint8_t scale_byte) {
    Candidate& c = first_;
    c.kind = BlockChoice::only;
    c.h = 0.0F;
    if (t_.format->family() == ScaleFamily::mx) {
      encode_mx(c, in, amax(in), scale_byte);
      return c;
    }
    set_scale(c, t_.format->scale_magnitude(scale_byte));
    scale_elements(c, in, amax(in));
    if constexpr (is_adaptive) {
      if (t_.format->is_integer_block(scale_byte)) {
        c.kind = BlockChoice::integer;
        for (int i = 0; i < in.count; ++i) c.y[i] = c.y[i] * t_.integer_shrink;
        round<Integer>(c, in.count, in.random1);
        c.scale_byte = scale_byte;
        return c;
      }
      c.kind = BlockChoice::floating;
    }
    code(c, in, in.random0);
    return c;
  }

  /// What run() did, for people.
  void record(const BlockInput& in, float b, const Candidate& chosen, BlockTrace& trace) const {
    trace.elements.assign(in.x, in.x + in.count);
    trace.block_amax = b;
    trace.chosen = &chosen == &second_ ? 1 : 0;
    trace.scale_byte = chosen.scale_byte;
    for (const Candidate* c : {&first_, &second_}) {
      if (c == &second_ && !t_.selects) break;
      const auto n = static_cast<std::size_t>(in.count);
      CandidateTrace& out = trace.candidates.emplace_back();
      out.kind = c->kind;
      out.h = c->h;
      out.scale_byte = t_.format->scale_magnitude(c->scale_byte);
      out.scale = c->scale;
      out.inverse = c->inverse;
      out.scaled.assign(c->y.data(), c->y.data() + n);
      out.codes.assign(c->codes.data(), c->codes.data() + n);
      out.quantized.assign(c->q.data(), c->q.data() + n);
      if (!t_.selects) continue;
      out.values.assign(c->value.data(), c->value.data() + n);
      out.error = c->error;
    }
  }

 private:
  void run_mx(const BlockInput& in, float b) {
    first_.kind = BlockChoice::only;
    first_.h = 0.0F;
    encode_mx(first_, in, b, mx_scale_byte(t_, b));
  }

  void encode_mx(Candidate& c, const BlockInput& in, float b, std::uint8_t scale_byte) {
    c.scale_byte = scale_byte;
    const int e = scale_byte - t_.format->scale->bias;
    c.scale = std::ldexp(1.0F, e);
    c.inverse = std::ldexp(1.0F, -e);
    const Dialect& d = *t_.dialect;
    const bool exact = d.mx_element_scale == MxElementScale::exact;
    if (exact && d.nonfinite == Nonfinite::nan_block) {
      if (b == 0.0F && d.mx_empty == MxEmpty::zero) {
        clear(c, in.count);
        return round<Element>(c, in.count, in.random0);
      }
    } else {
      c.inverse = scale_mx_elements(t_, {in.x, in.count, b}, scale_byte, c.y.data());
      return code(c, in, in.random0);
    }
    // The product is exact in double. In binary32 it can underflow, but only far below the smallest
    // rounding boundary of any element format.
    const double multiplier = std::ldexp(1.0, -e - t_.format->element_exponent);
    for (int i = 0; i < in.count; ++i) c.y[i] = static_cast<float>(in.x[i] * multiplier);
    if (t_.rounding == ElementRounding::nearest) return code(c, in, in.random0);
    for (int i = 0; i < in.count; ++i) {
      c.codes[i] = static_cast<std::uint8_t>(
          from_double(Element, in.x[i] * multiplier, stochastic, in.random0[i]));
      c.q[i] = value_table<Element>[c.codes[i]];
    }
  }

  /// h: the scale before it is rounded to its format.
  [[nodiscard]] float scale(float b) const { return b / t_.largest_element * t_.encode_scale; }

  Candidate& run_nv(const BlockInput& in, float b) {
    const float h = t_.plain_chain ? scale(b) : chain_scale(t_, {in.x, in.count, b}, t_.selects);
    first_.kind = t_.selects ? BlockChoice::six : BlockChoice::only;
    round_scale(first_, h, b);
    scale_elements(first_, in, b);
    code(first_, in, in.random0);
    if (!t_.selects) return first_;
    second_.kind = BlockChoice::four;
    if (t_.dialect->selected_scale == SelectedScale::normalized_candidates) {
      const float larger = b * t_.second_ratio;
      round_scale(second_, chain_scale(t_, {in.x, in.count, larger}, true), larger);
    } else {
      round_scale(second_, h * t_.second_ratio, b);
    }
    scale_elements(second_, in, b);
    code(second_, in, in.random1);
    return better(in);
  }

  Candidate& run_adaptive(const BlockInput& in, float b) {
    first_.kind = BlockChoice::floating;
    round_scale(first_, t_.plain_chain ? scale(b) : chain_scale(t_, {in.x, in.count, b}, true), b);
    scale_elements(first_, in, b);
    second_.kind = BlockChoice::integer;
    second_.h = first_.h;
    second_.scale_byte = first_.scale_byte | t_.format->integer_flag();
    second_.scale = first_.scale;
    second_.inverse = first_.inverse;
    for (int i = 0; i < in.count; ++i) second_.y[i] = first_.y[i] * t_.integer_shrink;
    round<Element>(first_, in.count, in.random0);
    round<Integer>(second_, in.count, in.random1);
    return better(in);
  }

  /// The second candidate only where its error is strictly smaller.
  Candidate& better(const BlockInput& in) {
    evaluate(first_, in);
    evaluate(second_, in);
    return second_.error < first_.error ? second_ : first_;
  }

  void round_scale(Candidate& c, float h, float b) {
    c.h = h;
    set_scale(c, t_.plain_chain ? rounded_scale_of(h) : chain_scale_byte(t_, h, b));
  }

  void set_scale(Candidate& c, std::uint8_t scale_byte) {
    c.scale_byte = scale_byte;
    c.scale = t_.scale_is_e4m3 && (scale_byte & 0x7FU) != e4m3.nan_code()
                  ? value_table<e4m3>[scale_byte]
                  : to_float(*t_.format->scale, scale_byte);
    c.inverse = scale_byte != 0 ? 1.0F / (t_.decode_scale * c.scale) : 0.0F;
  }

  /// y = fl(x * inv)
  void scale_elements(Candidate& c, const BlockInput& in, float b) const {
    if (!t_.plain_chain) {
      c.inverse = chain_elements(t_, {in.x, in.count, b}, c.h, c.scale, c.y.data());
      return;
    }
    if (c.scale_byte == 0) return clear(c, in.count);
    for (int i = 0; i < in.count; ++i) c.y[i] = in.x[i] * c.inverse;
  }

  [[nodiscard]] std::uint8_t rounded_scale_of(float h) const {
    if (!t_.scale_is_e4m3 || t_.dialect->scale_overflow != ScaleOverflow::saturate) {
      return rounded_scale(t_, h);
    }
    return static_cast<std::uint8_t>(from_float(e4m3, h, ConversionPolicy{}));
  }

  [[nodiscard]] float amax(const BlockInput& in) const {
    const Nonfinite policy = t_.dialect->nonfinite;
    return policy == Nonfinite::nan_block || policy == Nonfinite::computed
               ? in.amax()
               : in.amax_skipping_nan(policy == Nonfinite::computed_skipping_nan_in_blocks ||
                                      policy == Nonfinite::computed_skipping_nan_unless_all);
  }

  /// y = 0 where the scale is 0, not the -0 that a negative element times 0 would be.
  static void clear(Candidate& c, int count) { std::fill_n(c.y.begin(), count, 0.0F); }

  template <const ElementFormat& Format>
  void round(Candidate& c, int count, const float* random) {
    if (t_.rounding == ElementRounding::nearest) {
      if (t_.dialect->element_ties == ElementTies::even) {
        for (int i = 0; i < count; ++i) c.codes[i] = nearest_even_code<Format>(c.y[i]);
      } else if (t_.dialect->element_ties == ElementTies::truncated) {
        for (int i = 0; i < count; ++i) c.codes[i] = truncated_code<Format>(c.y[i]);
      } else if (t_.dialect->element_ties == ElementTies::away_typed ||
                 t_.dialect->element_ties == ElementTies::even_typed) {
        const bool even = t_.dialect->element_ties == ElementTies::even_typed;
        for (int i = 0; i < count; ++i) {
          c.codes[i] = typed_code<Format>(c.y[i], t_.input_type, even);
        }
      } else if (t_.dialect->element_ties == ElementTies::least_scaled_difference) {
        for (int i = 0; i < count; ++i) c.codes[i] = least_difference_code<Format>(c.y[i]);
      } else {
        const ConversionPolicy policy{.rounding = rounding_of(t_.dialect->element_ties)};
        for (int i = 0; i < count; ++i) {
          c.codes[i] = static_cast<std::uint8_t>(from_float(Format, c.y[i], policy));
        }
      }
    } else if (t_.dialect->stochastic == StochasticRule::eight_bits && Format == e2m1) {
      for (int i = 0; i < count; ++i) c.codes[i] = eight_bit_code(c.y[i], random[i]);
    } else if (t_.dialect->stochastic == StochasticRule::jitter) {
      for (int i = 0; i < count; ++i) c.codes[i] = jittered_code<Format>(c.y[i], random[i]);
    } else {
      for (int i = 0; i < count; ++i) {
        c.codes[i] = static_cast<std::uint8_t>(from_float(Format, c.y[i], stochastic, random[i]));
      }
    }
    for (int i = 0; i < count; ++i) c.q[i] = value_table<Format>[c.codes[i]];
    if (!t_.plain_elements) apply_deviations<Format>(c, count);
  }

  /// The codes of the elements y, or where the dialect compares values, of x.
  void code(Candidate& c, const BlockInput& in, const float* random) {
    round<Element>(c, in.count, random);
    const bool compares = t_.dialect->element_ties == ElementTies::least_difference;
    if (compares && t_.rounding == ElementRounding::nearest) code_by_difference(c, in);
  }

  /// The first code whose value under the scale is nearest to x in binary32; positive codes come
  /// first, so nothing becomes -0.
  void code_by_difference(Candidate& c, const BlockInput& in) {
    // Twice the code's value times half the scale: the scale may be 2^128.
    const float half = t_.format->family() == ScaleFamily::mx
                           ? std::ldexp(0.5F, c.scale_byte - t_.format->scale->bias)
                           : 0.5F * c.scale;
    for (int i = 0; i < in.count; ++i) {
      std::uint32_t best = 0;
      float least = std::fabs(in.x[i]);
      for (std::uint32_t code = 1; code < Element.code_count(); ++code) {
        const float d = std::fabs(2.0F * value_table<Element>[code] * half - in.x[i]);
        if (d < least) {
          least = d;
          best = code;
        }
      }
      set<Element>(c, i, static_cast<std::uint8_t>(best));
    }
  }

  static constexpr Rounding rounding_of(ElementTies ties) {
    switch (ties) {
      case ElementTies::toward_zero:
        return Rounding::nearest_toward_zero;
      case ElementTies::away:
        return Rounding::nearest_away;
      case ElementTies::even:
      case ElementTies::truncated:
      case ElementTies::least_difference:
      case ElementTies::least_scaled_difference:
      case ElementTies::away_typed:
      case ElementTies::even_typed:
        break;
    }
    return Rounding::nearest_even;
  }

  /// For dialects whose element conversion differs from nearest_even_code.
  template <const ElementFormat& Format>
  void apply_deviations(Candidate& c, int count) {
    const Dialect& d = *t_.dialect;
    const bool nearest = t_.rounding == ElementRounding::nearest;
    if constexpr (Format == e2m0) {
      if (d.e2m0_ties == E2m0Ties::down) {
        for (int i = 0; i < count; ++i) {
          const float magnitude = std::fabs(c.y[i]);
          if (magnitude != 1.5F) continue;
          set<Format>(c, i, signed_code<Format>(1, std::signbit(c.y[i]) ? 1 : 0));
        }
      }
    }
    if constexpr (!Format.is_integer()) {
      if (d.negative_zero == NegativeZero::dropped) {
        for (int i = 0; i < count; ++i) {
          if (c.y[i] == 0.0F && nearest) set<Format>(c, i, 0);
        }
      } else if (d.negative_zero != NegativeZero::kept) {
        const bool drops = d.negative_zero == NegativeZero::all_dropped;
        for (int i = 0; i < count; ++i) {
          const bool is_zero = (c.codes[i] & Format.magnitude_mask()) == 0;
          if (drops && is_zero) set<Format>(c, i, 0);
          if (!drops && c.y[i] == 0.0F) set<Format>(c, i, Format.sign_mask());
        }
      }
    }
    if constexpr (Format == e2m1) {
      // Round half to even in steps of 2 goes to 8 from 7 on, where hardware saturates at 6.
      if (d.element_overflow == ElementOverflow::wrap_e2m1 && nearest) {
        for (int i = 0; i < count; ++i) {
          if (!(std::fabs(c.y[i]) >= 7.0F)) continue;
          const float q = 2.0F * std::nearbyint(std::fabs(c.y[i]) / 2.0F);
          c.codes[i] = wrapped_e2m1_code(std::copysign(q, c.y[i]));
          c.q[i] = std::copysign(q, c.y[i]);
        }
      }
    }
    if constexpr (Format == e4m3) {
      if (d.element_overflow == ElementOverflow::nan) {
        for (int i = 0; i < count; ++i) {
          if (!std::isinf(c.y[i])) continue;
          set<Format>(c, i, signed_code<Format>(Format.nan_code(), std::signbit(c.y[i]) ? 1 : 0));
        }
      }
    }
    if constexpr (Format == e2m3 || Format == e3m2) {
      if (d.subnormal_carry == SubnormalCarry::clamped_fp6) {
        constexpr float smallest_normal = power_of_two(Format.min_exponent());
        constexpr std::uint32_t largest_subnormal = (1U << Format.mantissa_bits) - 1;
        for (int i = 0; i < count; ++i) {
          const bool carried = (c.codes[i] & Format.magnitude_mask()) == largest_subnormal + 1;
          if (!carried || std::fabs(c.y[i]) >= smallest_normal) continue;
          set<Format>(c, i, signed_code<Format>(largest_subnormal, std::signbit(c.y[i]) ? 1 : 0));
        }
      }
    }
    if constexpr (Format == int3) {
      if (d.int3_coding == Int3Coding::sign_magnitude) {
        for (int i = 0; i < count; ++i) {
          const std::uint8_t code = c.codes[i];
          c.codes[i] = code < 4 ? code : static_cast<std::uint8_t>(4 | (8 - code));
        }
      }
    }
    if (d.nan_element != NanElement::largest || d.nonfinite != Nonfinite::nan_block) {
      for (int i = 0; i < count; ++i) {
        if (!std::isnan(c.y[i])) continue;
        set<Format>(c, i, nan_code<Format>(d.nan_element, c.scale_byte, std::signbit(c.y[i])));
        const bool is_nan = d.nan_element == NanElement::bf16_all_ones ||
                            d.nan_element == NanElement::bf16_positive;
        if (is_nan) c.q[i] = c.y[i];
      }
    }
  }

  template <const ElementFormat& Format>
  static void set(Candidate& c, int i, std::uint8_t code) {
    c.codes[i] = code;
    c.q[i] = value_table<Format>[code];
  }

  /// NaN as casts of binary32 write it: every bit of the magnitude, where the format has NaN.
  template <const ElementFormat& Format>
  static constexpr std::uint32_t all_ones() {
    return Format.has_nan() ? Format.magnitude_mask() : Format.max_code();
  }

  template <const ElementFormat& Format>
  [[nodiscard]] std::uint8_t nan_code(NanElement rule, std::uint8_t scale_byte,
                                      bool is_negative) const {
    const bool is_e2m1 = Format == e2m1;
    switch (rule) {
      case NanElement::bf16_all_ones:
        return is_e2m1 ? 11 : 0;
      case NanElement::bf16_positive:
        return is_e2m1 ? 3 : 0;
      case NanElement::zero:
        return 0;
      case NanElement::negative_zero:
        return signed_code<Format>(0, 1);
      case NanElement::negative_nan_or_zero:
        return Format.has_nan() ? signed_code<Format>(Format.magnitude_mask(), 1) : std::uint8_t{0};
      case NanElement::negative_largest:
        return signed_code<Format>(Format.max_code(), is_e2m1 || Format == int4 ? 1 : 0);
      case NanElement::signed_largest:
        return signed_code<Format>(all_ones<Format>(), is_negative ? 1 : 0);
      case NanElement::largest_finite:
        return static_cast<std::uint8_t>(Format.max_code());
      case NanElement::least:
        return signed_code<Format>(Format.max_code(), 1);
      case NanElement::fields_x86:
        if (!is_e2m1) return signed_code<Format>(all_ones<Format>(), is_negative ? 1 : 0);
        if (t_.format->family() == ScaleFamily::mx && t_.rule != ScaleRule::rceil) {
          return is_negative ? 12 : 4;
        }
        if (t_.format->family() == ScaleFamily::mx) return 3;
        if (std::isnan(t_.amax)) return 3;
        if ((scale_byte & t_.format->scale->magnitude_mask()) == t_.format->scale->nan_code()) {
          return (scale_byte & t_.format->scale->sign_mask()) != 0 ? 12 : 4;
        }
        return 11;
      case NanElement::fields_cuda:
        return is_e2m1 ? std::uint8_t{4} : static_cast<std::uint8_t>(all_ones<Format>());
      case NanElement::largest:
        break;
    }
    return static_cast<std::uint8_t>(Format.has_nan() ? Format.nan_code() : Format.max_code());
  }

  void evaluate(Candidate& c, const BlockInput& in) {
    if (t_.dialect->error_value != ErrorValue::amax_over_constant) return evaluate_scaled(c, in);
    for (int i = 0; i < in.count; ++i) c.value[i] = c.q[i] * c.scale * t_.scaled_amax;
    if (c.kind == BlockChoice::integer) {
      for (int i = 0; i < in.count; ++i) c.value[i] = c.value[i] * t_.integer_expand;
    }
    // The signed difference first; an infinite or NaN value makes the comparison of sums fail.
    alignas(64) std::array<float, max_block_elements> d;
    if (t_.multiplies_reciprocal && t_.dialect->error_fusion == ErrorFusion::difference) {
      for (int i = 0; i < in.count; ++i) d[i] = std::fma(c.value[i], t_.error_reciprocal, -in.x[i]);
    }
    if (t_.multiplies_reciprocal) {
      for (int i = 0; i < in.count; ++i) c.value[i] = c.value[i] * t_.error_reciprocal;
    } else {
      for (int i = 0; i < in.count; ++i) c.value[i] = c.value[i] / t_.error_constant;
    }
    if (!(t_.multiplies_reciprocal && t_.dialect->error_fusion == ErrorFusion::difference)) {
      for (int i = 0; i < in.count; ++i) d[i] = c.value[i] - in.x[i];
    }
    add_up(c, in.count, d.data());
  }

  /// The same with candidate values that do not go through A and C.
  void evaluate_scaled(Candidate& c, const BlockInput& in) {
    alignas(64) std::array<float, max_block_elements> d;
    if (t_.dialect->error_value == ErrorValue::scaled_half) {
      for (int i = 0; i < in.count; ++i) {
        c.value[i] = round_to_input_type(c.q[i] * c.scale, InputType::float16);
        d[i] = c.value[i] - in.x[i] * t_.encode_scale;
      }
    } else if (t_.dialect->error_value == ErrorValue::static_fake_quantizer) {
      const float ratio = c.kind == BlockChoice::four ? t_.second_ratio : 1.0F;
      fake_quantized_values(t_, {in.x, in.count, amax(in)}, amax(in) * ratio, c.value.data());
      for (int i = 0; i < in.count; ++i) d[i] = in.x[i] - c.value[i];
    } else {
      for (int i = 0; i < in.count; ++i) {
        c.value[i] = c.q[i] * c.scale * t_.decode_scale;
        d[i] = c.value[i] - in.x[i];
      }
    }
    add_up(c, in.count, d.data());
  }

  /// The error of a candidate from its signed differences.
  void add_up(Candidate& c, int count, float* d) {
    for (int i = 0; i < count; ++i) d[i] = std::fabs(d[i]);
    if (t_.rule == ScaleRule::mse || t_.rule == ScaleRule::mae) {
      if (t_.rule == ScaleRule::mse) {
        if (t_.dialect->error_fusion == ErrorFusion::square) {
          c.error = fused_square_sum(d, count, t_.format->block_size);
          return;
        }
        for (int i = 0; i < count; ++i) d[i] = d[i] * d[i];
      }
      c.error = sum(d, count);
      return;
    }
    float e = 0.0F;
    for (int i = 0; i < count; ++i) e = d[i] > e || std::isnan(d[i]) ? d[i] : e;
    c.error = e;
  }

  [[nodiscard]] float sum(const float* e, int count) const {
    return ordered_sum(t_.dialect->error_order, t_.input_type, e, count, t_.format->block_size);
  }

  static constexpr ConversionPolicy stochastic{.rounding = Rounding::stochastic};

  const TensorConstants& t_;
  Candidate& first_;
  Candidate& second_;
};

}  // namespace lowbit::detail
