// SPDX-License-Identifier: MIT
#include "lowbit/sim/mac_stimulus.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "lowbit/error.hpp"

namespace lowbit::sim {
namespace {

using enum MacPattern;

/// splitmix64: small, seedable, the same everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  unsigned below(unsigned limit) { return static_cast<unsigned>((next() >> 32) * limit >> 32); }
  unsigned between(unsigned low, unsigned high) { return low + below(high - low + 1); }

 private:
  std::uint64_t state_;
};

class Generator {
 public:
  Generator(const MacShape& shape, std::uint64_t seed)
      : shape_(shape),
        element_(*shape.format->element),
        mx_(shape.format->family() == ScaleFamily::mx),
        ordinary_(element_.code_count()),
        random_(seed),
        stream_(shape) {
    for (unsigned code = 0; code < element_.code_count(); ++code) {
      const NumberClass c = decode(element_, code).number_class;
      ordinary_[code] = c == NumberClass::zero || c == NumberClass::finite;
    }
  }

  void segment(MacPattern pattern) {
    const unsigned kind = random_.below(64);
    const unsigned length = kind < 16 ? 1 : kind == 63 ? 200 : random_.between(1, 24);
    for (unsigned beat = 0; beat < length; ++beat) {
      push(pattern, beat, length);
    }
  }
  /// A full sum under small scales, a beat one group of which cancels under large ones, another
  /// small beat.
  void cancelled_segment() {
    const auto lanes = static_cast<unsigned>(shape_.lanes_used());
    const unsigned groups = static_cast<unsigned>(shape_.scale_bytes());
    for (unsigned beat = 0; beat < 3; ++beat) {
      const unsigned chosen = beat == 1 ? random_.below(groups) : groups;
      std::uint32_t a = 0;
      std::uint32_t w = 0;
      for (unsigned g = 0; g < groups; ++g) {
        const unsigned low = mx_ ? 112 : 1;
        const unsigned high = mx_ ? 140 : 0x70;
        a |= (g == chosen ? random_.between(high, high + 14) : random_.between(low, low + 15))
             << (8 * g);
        w |= (g == chosen ? random_.between(high, high + 14) : random_.between(low, low + 15))
             << (8 * g);
      }
      stream_.push(beat == 0, beat == 2, a, w);
      for (unsigned lane = 0; lane < lanes; ++lane) {
        const int l = static_cast<int>(lane);
        if (lane / 16 == chosen && lane % 2 == 1) {
          stream_.set_a(l, stream_.a_code(stream_.size() - 1, l - 1) ^ element_.sign_mask());
          stream_.set_w(l, stream_.w_code(stream_.size() - 1, l - 1));
        } else {
          stream_.set_a(l, any());
          stream_.set_w(l, any());
        }
      }
    }
  }
  void longest_segment() {
    const unsigned length = random_.between(1, 3);
    for (unsigned beat = 0; beat < length; ++beat) {
      const auto scale = [&] {
        return mx_ ? random_.between(120, 134)
                   : random_.between(1, 14) << 3 | 5 | random_.below(2) << 1;
      };
      std::uint32_t a = 0;
      std::uint32_t w = 0;
      for (int i = 0; i < shape_.scale_bytes(); ++i)
        a |= scale() << (8 * i), w |= scale() << (8 * i);
      stream_.push(beat == 0, beat + 1 == length, a, w);
      for (int lane = 0; lane < shape_.lanes_used(); ++lane) {
        // Largest magnitudes are even in most formats: a few ones make the sum odd.
        const unsigned code = random_.below(16) == 0 ? 1 : element_.max_code();
        stream_.set_a(lane, code);
        stream_.set_w(lane, code);
      }
    }
  }
  [[nodiscard]] std::size_t size() const { return stream_.size(); }
  BeatStream take() { return std::move(stream_); }

 private:
  std::uint32_t scale(MacPattern pattern, unsigned beat) {
    // Every operand's own scale byte: adaptive formats draw the integer flag too.
    std::uint32_t bytes = 0;
    for (int i = 0; i < shape_.scale_bytes(); ++i) bytes |= scale_byte(pattern, beat) << (8 * i);
    return bytes;
  }

  unsigned scale_byte(MacPattern pattern, unsigned beat) {
    if (mx_) {
      switch (pattern) {
        case uniform:
          return random_.below(16) == 0 ? random_.below(256) : random_.between(107, 147);
        case subnormal_scales:
          return random_.between(90, 112);
        case largest_scales:
          return random_.between(140, 165);
        case wide_scales:
          return beat % 2 == 0 ? random_.between(104, 112) : random_.between(136, 144);
        default:
          return random_.between(120, 134);
      }
    }
    const ElementFormat& format = *shape_.format->scale;
    const unsigned flag =
        shape_.format->is_adaptive() ? random_.below(2) * shape_.format->integer_flag() : 0;
    const unsigned binade = 1U << format.mantissa_bits;
    const unsigned highest =
        format.nan_code() & ~(binade - 1);  // codes from here on have the largest exponent
    // A NaN hides the rest of a tensor-core sum, so NaN scales are rare for `gst`.
    const unsigned top = shape_.unit == MacUnit::gst && random_.below(32) != 0 ? format.max_code()
                                                                               : format.nan_code();
    switch (pattern) {
      case uniform:
        return random_.below(top + 1) |
               (shape_.format->is_adaptive() ? flag : random_.below(2) * format.sign_mask());
      case zero_blocks:
        return flag | (random_.below(3) == 0 ? 0 : random_.below(top + 1));
      case subnormal_scales:
        return flag | random_.below(binade);
      case largest_scales:
        return flag | random_.between(highest, top);
      case wide_scales:
        return flag | (beat % 2 == 0 ? random_.below(12) : random_.between(highest - binade, top));
      case maximal:
        return flag | format.max_code();
      default:
        return flag | random_.between(0x28, 0x48);
    }
  }

  unsigned element_code(MacPattern pattern) {
    const unsigned sign = element_.sign_mask();
    switch (pattern) {
      case zero_blocks:
        return random_.below(4) != 0 ? random_.below(2) * sign : any();
      case code_8:
        return random_.below(8) != 0 ? sign : any();
      case maximal:
        return random_.below(8) != 0 ? element_.max_code() : any();
      default:
        return any();
    }
  }

  unsigned any() {
    // Of formats with many binades, sums of numbers far apart are one number, and products of any
    // two overflow: but for `uniform`, exponents lie near that of 1.
    if (element_.bits > 8 && pattern_ != uniform) {
      const unsigned field = static_cast<unsigned>(element_.bias) - 12 + random_.below(25);
      return random_.below(2) * element_.sign_mask() | field << element_.mantissa_bits |
             random_.below(1U << element_.mantissa_bits);
    }
    // FP8's NaN and infinity only now and then.
    for (int tries = 0; tries < 4; ++tries) {
      const unsigned code = random_.below(element_.code_count());
      if (ordinary_[code]) return code;
    }
    return random_.below(element_.code_count());
  }

  /// The code of the negative value in the same kind of block, or the same code where there is
  /// none.
  unsigned negated(unsigned code, std::uint32_t scale_bytes, int lane) const {
    const unsigned byte = (scale_bytes >> (8 * (lane / 16 % shape_.scale_bytes()))) & 0xFF;
    const bool integer = shape_.format->is_integer_block(static_cast<std::uint8_t>(byte));
    const ElementFormat& e = integer ? *shape_.format->integer : element_;
    if (e.coding == Coding::twos_complement) return (0U - code) & e.code_mask();
    return code ^ e.sign_mask();
  }

  void push(MacPattern pattern, unsigned beat, unsigned length) {
    pattern_ = pattern;
    const bool last = beat + 1 == length;
    const std::size_t before = stream_.size() - 1;
    const int lanes = shape_.lanes_used();
    if (pattern == cancellation && beat % 2 == 1) {
      // The previous beat negated, one lane redrawn: what remains is a rounding residue or a lane.
      const std::uint32_t a = stream_.a_scale(before);
      const std::uint32_t w = stream_.w_scale(before);
      stream_.push(false, last, a, w);
      const int redrawn = static_cast<int>(random_.below(static_cast<unsigned>(lanes)));
      for (int lane = 0; lane < lanes; ++lane) {
        stream_.set_a(lane,
                      lane == redrawn ? any() : negated(stream_.a_code(before, lane), a, lane));
        stream_.set_w(lane, stream_.w_code(before, lane));
      }
      return;
    }
    const MacPattern scales = pattern == cancellation && beat % 4 == 0 ? wide_scales : pattern;
    const std::uint32_t a = scale(scales, beat / 2);
    stream_.push(beat == 0, last, a, scale(scales, beat / 2));
    for (int lane = 0; lane < lanes; ++lane) {
      stream_.set_a(lane, element_code(pattern));
      stream_.set_w(lane, element_code(pattern));
    }
  }

  MacShape shape_;
  const ElementFormat& element_;
  MacPattern pattern_ = uniform;
  bool mx_;
  std::vector<bool> ordinary_;  // codes that are zero or finite
  Random random_;
  BeatStream stream_;
};

}  // namespace

std::string_view name_of(MacPattern pattern) {
  constexpr std::array<std::string_view, mac_pattern_count> names{
      "uniform",        "ordinary",    "cancellation", "zero_blocks", "subnormal_scales",
      "largest_scales", "wide_scales", "code_8",       "maximal"};
  return names[static_cast<std::size_t>(pattern)];
}

BeatStream random_stream(const MacShape& shape, std::size_t beats, std::uint64_t seed,
                         MacPattern pattern) {
  Generator generator(shape, seed);
  while (generator.size() < beats) generator.segment(pattern);
  return generator.take();
}

BeatStream random_stream(const MacShape& shape, std::size_t beats, std::uint64_t seed) {
  Generator generator(shape, seed);
  for (unsigned i = 0; generator.size() < beats; ++i) {
    generator.segment(static_cast<MacPattern>(i % mac_pattern_count));
  }
  return generator.take();
}

BeatStream cancelled_groups(const MacShape& shape, std::size_t segments, std::uint64_t seed) {
  Generator generator(shape, seed);
  for (std::size_t i = 0; i < segments; ++i) generator.cancelled_segment();
  return generator.take();
}

BeatStream longest_blocks(const MacShape& shape, std::size_t segments, std::uint64_t seed) {
  Generator generator(shape, seed);
  for (std::size_t i = 0; i < segments; ++i) generator.longest_segment();
  return generator.take();
}

BeatStream every_lane_product(const MacShape& shape) {
  const ElementFormat& e = *shape.format->element;
  const bool mx = shape.format->family() == ScaleFamily::mx;
  const unsigned one = mx ? 127 : 0x38;
  const unsigned flags = shape.format->is_adaptive() ? 4 : 1;
  BeatStream stream(shape);
  const int lanes = shape.lanes_used();
  for (int lane = 0; lane < lanes; ++lane) {
    if (e.bits > 4 && lane != 0 && lane != lanes - 1) continue;
    if (e.bits > 8) {
      // Every code as often as there are binades, against a walk through all codes.
      for (unsigned x = 0; x < e.code_count(); ++x) {
        stream.push(true, true, one, one);
        stream.set_a(lane, x);
        stream.set_w(lane, (x * 40503U + 97U * static_cast<unsigned>(lane)) & e.code_mask());
      }
      continue;
    }
    for (unsigned flag = 0; flag < flags; ++flag) {
      std::uint32_t a = one | (flag & 1) << 7;
      std::uint32_t w = one | (flag & 2) << 6;
      if (shape.scale_bytes() == 4) a *= 0x01010101U, w *= 0x01010101U;
      for (unsigned x = 0; x < e.code_count(); ++x) {
        for (unsigned y = 0; y < e.code_count(); ++y) {
          stream.push(true, true, a, w);
          stream.set_a(lane, x);
          stream.set_w(lane, y);
        }
      }
    }
  }
  return stream;
}

BeatStream every_scale_pair(const MacShape& shape, unsigned a_code, unsigned w_code,
                            unsigned first_byte, unsigned last_byte) {
  BeatStream stream(shape);
  const std::uint32_t repeat = shape.scale_bytes() == 4 ? 0x01010101U : 1U;
  for (std::uint32_t a = first_byte; a < last_byte; ++a) {
    for (std::uint32_t w = 0; w < 256; ++w) {
      stream.push(true, true, a * repeat, w * repeat);
      for (int lane = 0; lane < shape.lanes_used(); ++lane) {
        stream.set_a(lane, a_code);
        stream.set_w(lane, w_code);
      }
    }
  }
  return stream;
}

BeatStream product_stream(const MacShape& shape, const BlockTensor& a, const BlockTensor& w,
                          std::size_t first_row, std::size_t last_row) {
  const auto fail = [](const std::string& what) -> Error { return {ErrorKind::usage, what}; };
  for (const BlockTensor* t : {&a, &w}) {
    if (t->format != shape.format) {
      throw fail("tensor of format " + std::string(t->format->name) + " on a unit built for " +
                 std::string(shape.format->name) + ": quantize both operands to one format");
    }
  }
  if (a.columns != w.columns) {
    throw fail("A has K = " + std::to_string(a.columns) + " columns and W " +
               std::to_string(w.columns));
  }
  if (!supports(shape.unit, *shape.format)) {
    throw fail("unit " + std::string(name_of(shape.unit)) + " has no arithmetic for " +
               std::string(shape.format->name));
  }
  BeatStream stream(shape);
  const auto step = static_cast<std::size_t>(shape.lanes_used());
  const auto block = static_cast<std::size_t>(shape.format->block_size);
  const std::size_t columns = a.padded_columns();
  for (std::size_t m = first_row; m < last_row; ++m) {
    for (std::size_t n = 0; n < w.rows; ++n) {
      for (std::size_t k = 0; k < columns; k += step) {
        std::uint32_t a_scale = 0;
        std::uint32_t w_scale = 0;
        for (int g = 0; g < shape.scale_bytes(); ++g) {
          const std::size_t at = k / block + static_cast<std::size_t>(g);
          if (at >= a.blocks_per_row()) continue;
          a_scale |= std::uint32_t{a.scale(m, at)} << (8 * g);
          w_scale |= std::uint32_t{w.scale(n, at)} << (8 * g);
        }
        stream.push(k == 0, k + step >= columns, a_scale, w_scale);
        for (std::size_t lane = 0; lane < step && k + lane < columns; ++lane) {
          stream.set_a(static_cast<int>(lane), a.code(m, k + lane));
          stream.set_w(static_cast<int>(lane), w.code(n, k + lane));
        }
      }
    }
  }
  return stream;
}

}  // namespace lowbit::sim
