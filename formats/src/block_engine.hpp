// SPDX-License-Identifier: MIT
// One block of a tensor, from its elements to its codes and scale byte, as the dialect says.
// The engine is specialised on the element formats; the dialect's axes are looked at once a block,
// outside the loops over elements.
#pragma once

#include <cstring>
#include <span>

#include "element_rounding.hpp"
#include "lowbit/block_trace.hpp"
#include "mx_scale.hpp"
#include "tensor_constants.hpp"

namespace lowbit::detail {

inline constexpr int max_block_elements = 32 * 32;

/// A block's elements x' with its padding (zeros), and the numbers of stochastic rounding.
struct BlockInput {
  const float* x = nullptr;
  int count = 0;
  const float* random0 = nullptr;
  const float* random1 = nullptr;
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

/// Scratch memory of one thread; nothing is allocated a block.
struct BlockScratch {
  Candidate first;
  Candidate second;
};

inline float amax_of(const float* x, int count) {
  float amax = 0.0F;
  for (int i = 0; i < count; ++i) amax = std::max(amax, std::fabs(x[i]));
  return amax;
}

/// Element: of every block, or of float blocks; Integer: of integer blocks, where the format has
/// them (else the same as Element).
template <const ElementFormat& Element, const ElementFormat& Integer = Element>
class BlockEngine {
  static constexpr bool is_adaptive = &Element != &Integer;

 public:
  BlockEngine(const TensorConstants& constants, BlockScratch& scratch)
      : t_(constants), first_(scratch.first), second_(scratch.second) {}

  /// \return the chosen candidate; its scale byte has the integer flag where it is one.
  const Candidate& run(const BlockInput& in, BlockTrace* trace = nullptr) {
    const float b = amax_of(in.x, in.count);
    const Candidate* chosen = &first_;
    if (t_.format->family == ScaleFamily::mx) {
      run_mx(in, b);
    } else if constexpr (is_adaptive) {
      chosen = run_adaptive(in, b);
    } else {
      chosen = run_nv(in, b);
    }
    if (trace != nullptr) record(in, b, *chosen, *trace);
    return *chosen;
  }

 private:
  void run_mx(const BlockInput& in, float b) {
    Candidate& c = first_;
    c.kind = BlockChoice::only;
    c.scale_byte = mx_scale_byte(t_, b);
    c.h = 0.0F;
    const int e = c.scale_byte - 127;
    c.scale = std::ldexp(1.0F, e);
    const double multiplier = std::ldexp(1.0, -e - t_.format->element_exponent);
    c.inverse = b == 0.0F ? 0.0F : std::ldexp(1.0F, -e);
    if (b == 0.0F) return clear(c, in.count);
    // The product is exact in double. In binary32 it can underflow, but only far below the smallest
    // rounding boundary of any element format.
    for (int i = 0; i < in.count; ++i) c.y[i] = static_cast<float>(in.x[i] * multiplier);
    if (t_.rounding == ElementRounding::nearest) return round<Element>(c, in.count, nullptr);
    for (int i = 0; i < in.count; ++i) {
      c.codes[i] = static_cast<std::uint8_t>(
          from_double(Element, in.x[i] * multiplier, stochastic, in.random0[i]));
      c.q[i] = value_table<Element>[c.codes[i]];
    }
  }

  const Candidate* run_nv(const BlockInput& in, float b) {
    const float h = b / t_.largest_element * t_.encode_scale;
    first_.kind = t_.selects ? BlockChoice::six : BlockChoice::only;
    scale_elements(first_, h, in);
    round<Element>(first_, in.count, in.random0);
    if (!t_.selects) return &first_;
    second_.kind = BlockChoice::four;
    scale_elements(second_, h * 1.5F, in);
    round<Element>(second_, in.count, in.random1);
    evaluate(first_, in);
    evaluate(second_, in);
    return second_.error < first_.error ? &second_ : &first_;
  }

  const Candidate* run_adaptive(const BlockInput& in, float b) {
    const float h = b / t_.largest_element * t_.encode_scale;
    first_.kind = BlockChoice::floating;
    scale_elements(first_, h, in);
    second_.kind = BlockChoice::integer;
    second_.h = h;
    second_.scale_byte = first_.scale_byte | 0x80;
    second_.scale = first_.scale;
    second_.inverse = first_.inverse;
    for (int i = 0; i < in.count; ++i) second_.y[i] = first_.y[i] * t_.integer_shrink;
    round<Element>(first_, in.count, in.random0);
    round<Integer>(second_, in.count, in.random1);
    evaluate(first_, in);
    evaluate(second_, in);
    return second_.error < first_.error ? &second_ : &first_;
  }

  /// The scale byte and y = fl(x * inv).
  void scale_elements(Candidate& c, float h, const BlockInput& in) {
    c.h = h;
    c.scale_byte = static_cast<std::uint8_t>(from_float(e4m3, h));
    c.scale = value_table<e4m3>[c.scale_byte];
    c.inverse = c.scale_byte != 0 ? 1.0F / (t_.decode_scale * c.scale) : 0.0F;
    for (int i = 0; i < in.count; ++i) c.y[i] = in.x[i] * c.inverse;
  }

  void clear(Candidate& c, int count) {
    std::fill_n(c.y.begin(), count, 0.0F);
    std::fill_n(c.q.begin(), count, 0.0F);
    std::fill_n(c.codes.begin(), count, std::uint8_t{0});
  }

  template <const ElementFormat& Format>
  void round(Candidate& c, int count, const float* random) {
    // A scale that is 0 gives 0, not the -0 that a negative element times 0 would.
    if (c.inverse == 0.0F) return clear(c, count);
    if (t_.rounding == ElementRounding::nearest) {
      for (int i = 0; i < count; ++i) c.codes[i] = nearest_even_code<Format>(c.y[i]);
    } else {
      for (int i = 0; i < count; ++i) {
        c.codes[i] = static_cast<std::uint8_t>(from_float(Format, c.y[i], stochastic, random[i]));
      }
    }
    for (int i = 0; i < count; ++i) c.q[i] = value_table<Format>[c.codes[i]];
  }

  void evaluate(Candidate& c, const BlockInput& in) {
    for (int i = 0; i < in.count; ++i) c.value[i] = c.q[i] * c.scale * t_.scaled_amax;
    if (c.kind == BlockChoice::integer) {
      for (int i = 0; i < in.count; ++i) c.value[i] = c.value[i] * t_.integer_expand;
    }
    for (int i = 0; i < in.count; ++i) c.value[i] = c.value[i] / t_.error_constant;
    float e = 0.0F;
    switch (t_.rule) {
      case ScaleRule::mse:
        for (int i = 0; i < in.count; ++i) {
          const float d = c.value[i] - in.x[i];
          e = e + d * d;
        }
        break;
      case ScaleRule::mae:
        for (int i = 0; i < in.count; ++i) e = e + std::fabs(c.value[i] - in.x[i]);
        break;
      default:
        for (int i = 0; i < in.count; ++i) e = std::max(e, std::fabs(c.value[i] - in.x[i]));
        break;
    }
    c.error = e;
  }

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
      out.scale_byte = c->kind == BlockChoice::integer ? c->scale_byte & 0x7F : c->scale_byte;
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

  static constexpr ConversionPolicy stochastic{.rounding = Rounding::stochastic};

  const TensorConstants& t_;
  Candidate& first_;
  Candidate& second_;
};

}  // namespace lowbit::detail
