// SPDX-License-Identifier: MIT
#include "mac/model_baselines.hpp"

#include <array>
#include <bit>
#include <cmath>

#include "mac/round_to_f32.hpp"

namespace lowbit::sim {
namespace {

using enum MacDefect;

constexpr std::uint32_t quiet_nan = 0x7FC00000;

std::uint32_t word(float value) {
  return std::isnan(value) ? quiet_nan : std::bit_cast<std::uint32_t>(value);
}

/// Sums of one segment, of whichever unit.
struct Sums {
  Int128 integer = 0;
  std::array<float, 64> lane{};
  std::array<double, 64> lane_wide{};
  bool nan = false;
};

class Baseline {
 public:
  Baseline(const BeatStream& stream, MacDefect defect)
      : s_(stream),
        shape_(stream.shape()),
        element_(*shape_.format->element),
        weight_bits_(weight_bits(*shape_.format)),
        defect_(defect),
        lanes_(defect == top_lane_lost ? shape_.lanes - 1 : shape_.lanes) {}

  std::vector<MacResult> run() {
    std::vector<MacResult> results;
    results.reserve(s_.segments());
    Sums sums;
    bool open = false;
    for (std::size_t beat = 0; beat < s_.size(); ++beat) {
      if ((!open || s_.first(beat)) && defect_ != first_ignored) sums = {};
      open = !s_.last(beat);
      if (!(s_.last(beat) && defect_ == last_beat_lost)) add(beat, sums);
      if (s_.last(beat)) results.push_back(finish(sums));
    }
    return results;
  }

 private:
  void add(std::size_t beat, Sums& sums) const {
    switch (shape_.unit) {
      case MacUnit::bf16_fma:
        return add_fma(beat, sums);
      case MacUnit::fp8_fp32:
        return add_fp8(beat, sums);
      default:
        for (int lane = 0; lane < lanes_; ++lane)
          sums.integer += signed_code(s_.a_code(beat, lane), element_.bits) *
                          signed_code(s_.w_code(beat, lane), weight_bits_);
    }
  }

  /// The low bits of a code as two's complement.
  [[nodiscard]] std::int64_t signed_code(unsigned code, int bits) const {
    const std::int64_t sign = std::int64_t{1} << (bits - 1);
    const std::int64_t value = code & static_cast<unsigned>(2 * sign - 1);
    if (value == sign && defect_ == code_8_zero) return 0;
    return (value ^ sign) - sign;
  }

  void add_fma(std::size_t beat, Sums& sums) const {
    for (int lane = 0; lane < lanes_; ++lane) {
      const auto at = static_cast<std::size_t>(lane);
      const float a = std::bit_cast<float>(std::uint32_t{s_.a_code(beat, lane)} << 16);
      const float w = std::bit_cast<float>(std::uint32_t{s_.w_code(beat, lane)} << 16);
      float& acc = sums.lane[at];
      acc = defect_ == product_rounded ? a * w + acc : std::fma(a, w, acc);
      double& wide = sums.lane_wide[at];
      wide = std::fma(static_cast<double>(a), static_cast<double>(w), wide);
    }
  }

  void add_fp8(std::size_t beat, Sums& sums) const {
    Int128 sum = 0;  // in units of 2^(2 * unit_exponent)
    for (int lane = 0; lane < lanes_; ++lane) {
      const Number a = decode(element_, s_.a_code(beat, lane));
      const Number w = decode(element_, s_.w_code(beat, lane));
      sums.nan =
          sums.nan || a.number_class == NumberClass::nan || w.number_class == NumberClass::nan;
      if (a.number_class != NumberClass::finite || w.number_class != NumberClass::finite) continue;
      const Int128 product = static_cast<Int128>(a.significand * w.significand)
                             << (a.exponent + w.exponent - 2 * element_.unit_exponent());
      sum += a.negative != w.negative ? -product : product;
    }
    const float rounded = std::bit_cast<float>(round_to_f32(sum, 2 * element_.unit_exponent()));
    sums.lane[0] = sums.lane[0] + rounded;
    sums.lane_wide[0] += static_cast<double>(rounded);
  }

  [[nodiscard]] MacResult finish(const Sums& sums) const {
    MacResult r;
    switch (shape_.unit) {
      case MacUnit::bf16_fma:
        r.fp32 = word(tree(sums));
        break;
      case MacUnit::fp8_fp32:
        r.flags = sums.nan ? 1 : 0;
        r.fp32 = sums.nan                     ? quiet_nan
                 : defect_ == sum_not_rounded ? word(static_cast<float>(sums.lane_wide[0]))
                                              : word(sums.lane[0]);
        break;
      default: {
        // The register wraps.
        const int unused = 128 - accumulator_bits(shape_);
        r.acc = static_cast<Int128>(static_cast<UInt128>(sums.integer) << unused) >> unused;
        r.fp32 = round_to_f32(r.acc, 0);
      }
    }
    return r;
  }

  /// ((0+1)+(2+3))+..., each sum rounded.
  [[nodiscard]] float tree(const Sums& sums) const {
    std::array<float, 64> node = sums.lane;
    int count = shape_.lanes;
    for (int i = 0; defect_ == sum_not_rounded && i < count; ++i)
      node[static_cast<std::size_t>(i)] =
          static_cast<float>(sums.lane_wide[static_cast<std::size_t>(i)]);
    if (defect_ == tree_in_sequence) {
      for (std::size_t i = 1; i < static_cast<std::size_t>(count); ++i) node[0] = node[0] + node[i];
      return node[0];
    }
    for (; count > 1; count /= 2) {
      for (std::size_t i = 0; i < static_cast<std::size_t>(count / 2); ++i)
        node[i] = node[2 * i] + node[2 * i + 1];
    }
    return node[0];
  }

  const BeatStream& s_;
  MacShape shape_;
  const ElementFormat& element_;
  int weight_bits_;
  MacDefect defect_;
  int lanes_;
};

}  // namespace

std::vector<MacResult> baseline_model(const BeatStream& stream, MacDefect defect) {
  return Baseline(stream, defect).run();
}

}  // namespace lowbit::sim
