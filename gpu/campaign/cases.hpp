// SPDX-License-Identifier: MIT
// Which dot products a campaign runs: tiles of 64 x 8 outputs, each of one family of inputs, drawn
// from a hash so that host and device make the same ones. Benign inputs hide most wrong models, so
// the families aim at windows, cancellation, floors and signs.
#pragma once

#include <cstdint>

#include "lowbit/element_format.hpp"
#include "lowbit/sim/mma_core.hpp"

namespace lowbit::campaign {

inline constexpr int tile_rows = 64;
inline constexpr int tile_columns = 8;
inline constexpr int vector_words = 8;  // every instruction here takes 32 bytes of a vector

enum class Family : int {
  raw,        // random bits, NaN and infinity included
  finite,     // random bits, finite
  narrow,     // exponents within a few binades
  paired,     // large products cancel in pairs; what remains lies about the window's end
  subnormal,  // smallest exponents
  floor,      // products about the exponent of zero
  zeros,      // zeros of both signs
  addend,     // C about the window's end above or below the products
  cancels,    // C is minus the dot product, a few last places off
  huge,       // overflow
};
inline constexpr int family_count = 10;

struct Case {
  ElementFormat a;
  ElementFormat b;
  sim::MmaShape shape;
  int container = 16;  // bits of an element in memory
};

class Draw {
 public:
  constexpr Draw(std::uint64_t seed, std::uint64_t tile, std::uint64_t stream, std::uint64_t index)
      : state_(mix(seed ^ mix(tile * 0x9E3779B97F4A7C15ULL + stream) ^ (index << 32 | index))) {}
  constexpr std::uint32_t next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    return static_cast<std::uint32_t>(mix(state_) >> 32);
  }
  constexpr int below(int n) {
    return static_cast<int>((static_cast<std::uint64_t>(next()) * static_cast<std::uint32_t>(n)) >>
                            32);
  }

 private:
  static constexpr std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
  }
  std::uint64_t state_;
};

constexpr int clamp(int x, int low, int high) {
  return x < low ? low : (x > high ? high : x);
}

/// The largest exponent field of a finite number.
constexpr int top_field(const ElementFormat& f) {
  return static_cast<int>(f.max_code() >> f.mantissa_bits);
}

constexpr std::uint32_t compose(const ElementFormat& f, bool negative, int field,
                                std::uint32_t mantissa) {
  const std::uint32_t magnitude =
      (static_cast<std::uint32_t>(clamp(field, 0, top_field(f))) << f.mantissa_bits) |
      (mantissa & ((1U << f.mantissa_bits) - 1));
  return (negative ? f.sign_mask() : 0) | (magnitude > f.max_code() ? f.max_code() : magnitude);
}

/// The same with sign and mantissa drawn. (One draw a statement: the order in which a call's
/// arguments are evaluated differs between host and device compilers.)
constexpr std::uint32_t random_code(const ElementFormat& f, int field, Draw& d) {
  const bool negative = d.below(2) != 0;
  const std::uint32_t mantissa = d.next();
  return compose(f, negative, field, mantissa);
}
constexpr std::uint32_t random_zero(const ElementFormat& f, Draw& d) {
  return compose(f, d.below(2) != 0, 0, 0);
}

/// What all elements of a tile share.
struct Plan {
  Family family = Family::raw;
  int field_a = 0;  // centre of the exponent fields
  int field_b = 0;
  int width = 1;      // of the range of fields
  int distance = 1;   // between the two of a cancelling pair
  int tail = 1;       // pairs that do not cancel
  int gap = 0;        // of their products below the others
  int zero_odds = 0;  // of 8
  bool tie = false;   // product 0 is half of an FP16 result's last place
};

constexpr Plan plan_of(const Case& c, std::uint64_t seed, std::uint64_t tile) {
  Draw d(seed, tile, 0, 0);
  Plan p;
  p.family = static_cast<Family>(static_cast<int>(tile % family_count));
  const int top_a = top_field(c.a);
  const int top_b = top_field(c.b);
  p.field_a = d.below(top_a + 1);
  p.field_b = d.below(top_b + 1);
  p.width = 1 << d.below(4);
  p.distance = c.shape.k >> (1 + d.below(5));
  if (p.distance < 1 || d.below(2) == 0) p.distance = 1 << d.below(2);
  p.tail = 1 + d.below(c.shape.k / 4);
  p.gap = c.shape.parameters.fraction_bits - 14 + d.below(20);
  p.zero_odds = d.below(8);
  const bool half = c.shape.half;
  if (p.family == Family::paired) {
    // The pairs must leave room below for the tail.
    p.field_a = top_a - d.below(top_a / 3 + 1);
    p.field_b = top_b - d.below(top_b / 3 + 1);
  }
  if (p.family == Family::floor) {
    const int floor = c.shape.parameters.exponent_of_zero;
    p.tie = half && d.below(2) == 0;
    const int below_floor = d.below(18);
    const int sum = floor - below_floor + d.below(6) + c.a.bias + c.b.bias;
    p.field_a = clamp(sum / 2 + d.below(9) - 4, 0, top_a);
    p.field_b = clamp(sum - p.field_a, 0, top_b);
    p.width = 1 + d.below(6);
  }
  if (p.family == Family::subnormal) p.field_a = p.field_b = d.below(3);
  if (p.family == Family::huge) {
    p.field_a = top_a - d.below(3);
    p.field_b = top_b - d.below(3);
    p.width = 2;
  }
  return p;
}

/// The code of element k of a row of A or a column of B, TF32 in its FP32 container.
constexpr std::uint32_t element(const Case& c, const Plan& p, bool side_b, std::uint64_t seed,
                                std::uint64_t tile, int vector, int k) {
  const ElementFormat& f = side_b ? c.b : c.a;
  const auto stream = static_cast<std::uint64_t>(side_b ? 2 : 1);
  const auto index_of = [&](int at) { return static_cast<std::uint64_t>(vector * 64 + at); };
  // The 13 bits that TF32 drops are never zero on purpose.
  const auto container = [&](std::uint32_t code, Draw& d) {
    return f.bits == 19 ? (code << 13) | (d.next() & 0x1FFFU) : code;
  };
  Draw d(seed, tile, stream, index_of(k));
  const int centre = side_b ? p.field_b : p.field_a;
  switch (p.family) {
    case Family::raw:
      return container(d.next() & f.code_mask(), d);
    case Family::finite: {
      const int field = d.below(top_field(f) + 1);
      return container(random_code(f, field, d), d);
    }
    case Family::paired: {
      const int leader = k & ~p.distance;
      if (leader < p.tail * 2) {
        const int drop = side_b ? p.gap - p.gap / 2 : p.gap / 2;
        const int field = centre - drop + d.below(3) - 1;
        return container(random_code(f, field, d), d);
      }
      Draw shared(seed, tile, stream + 2, index_of(leader));
      const bool flip = side_b && leader != k;
      const bool negative = shared.below(2) != 0;
      const int field = centre - shared.below(2);
      return container(compose(f, negative != flip, field, shared.next()), d);
    }
    case Family::floor: {
      if (p.tie) {
        // 2^-11 * 2^-14: half of the last place of an FP16 subnormal, and products far below it.
        if (k == 0)
          return compose(f, d.below(2) != 0, clamp((side_b ? -14 : -11) + f.bias, 0, top_field(f)),
                         0);
        if (d.below(8) < 6) return 0;
        const bool negative = d.below(2) != 0;
        return compose(f, negative, 0, 1 + static_cast<std::uint32_t>(d.below(4)));
      }
      if (d.below(8) < p.zero_odds) return container(random_zero(f, d), d);
      const int field = centre - p.width + d.below(2 * p.width + 1);
      return container(random_code(f, field, d), d);
    }
    case Family::zeros: {
      // Every fourth row of A is -0 throughout; columns of B then decide the products' signs.
      if (!side_b && vector % 4 == 0) return container(compose(f, true, 0, 0), d);
      const bool negative = side_b ? vector % 2 != 0 : d.below(2) != 0;
      if (side_b || d.below(8) < 7) {
        const int field = side_b ? d.below(4) : 0;
        const std::uint32_t mantissa = side_b ? d.next() : 0;
        return container(compose(f, negative, field, mantissa), d);
      }
      return container(compose(f, negative, d.below(2), 1), d);
    }
    default:
      break;
  }
  if (d.below(32) < p.zero_odds) return container(random_zero(f, d), d);
  const int field = centre - d.below(p.width);
  return container(random_code(f, field, d), d);
}

/// The addend of one output.
/// \param dot  what the instruction gives with an addend of +0 (used by Family::cancels).
constexpr std::uint32_t addend(const Case& c, const Plan& p, std::uint64_t seed, std::uint64_t tile,
                               int row, int column, std::uint32_t dot) {
  constexpr ElementFormat half_format = f16;
  constexpr ElementFormat single_format = f32;
  const ElementFormat& f = c.shape.half ? half_format : single_format;
  Draw d(seed, tile, 7, static_cast<std::uint64_t>(row * tile_columns + column));
  const bool negative = d.below(2) != 0;
  switch (p.family) {
    case Family::raw:
      return d.next() & f.code_mask();
    case Family::cancels: {
      const std::uint32_t flipped = dot ^ f.sign_mask();
      const int away = d.below(8) - 4;
      return d.below(4) == 0 ? flipped
                             : (flipped + static_cast<std::uint32_t>(away)) & f.code_mask();
    }
    case Family::zeros:
    case Family::floor:
      if (d.below(8) < 7) return negative ? f.sign_mask() : 0;
      break;
    default:
      break;
  }
  if (d.below(4) == 0) return d.below(3) == 0 ? f.sign_mask() : 0;
  const int products = p.field_a - c.a.bias + p.field_b - c.b.bias;
  const int window = c.shape.parameters.fraction_bits;
  int exponent = products + d.below(5) - 2;
  if (p.family == Family::addend) exponent = products + d.below(2 * window + 8) - window;
  if (p.family == Family::paired) exponent = products - p.gap + d.below(6) - 3;
  if (p.family == Family::finite) exponent = d.below(top_field(f) + 1) - f.bias;
  return compose(f, negative, exponent + f.bias, d.next());
}

}  // namespace lowbit::campaign
