// SPDX-License-Identifier: MIT
// The tensor-core MAC: each beat is one mxf4nvf4 instruction of mma.hpp on the previous result.
#pragma once

#include <array>

#include "lowbit/sim/mac_model.hpp"
#include "lowbit/sim/mma.hpp"

namespace lowbit::sim {

class GstAccumulator {
 public:
  void clear() { value_ = 0, nan_scale_ = false; }
  [[nodiscard]] std::uint32_t value() const { return value_; }
  [[nodiscard]] bool nan_scale() const { return nan_scale_; }

  void add(const BeatStream& stream, std::size_t beat, MacDefect defect) {
    const Instruction& i = mutated(defect);
    const int lanes = stream.shape().lanes;
    const ElementFormat& scales = *stream.shape().format->scale;
    std::array<std::uint32_t, 64> a{};
    std::array<std::uint32_t, 64> w{};
    std::array<std::uint8_t, 4> a_scale{};
    std::array<std::uint8_t, 4> w_scale{};
    for (int lane = 0; lane < lanes; ++lane) {
      if (defect == MacDefect::top_lane_lost && lane == lanes - 1) continue;
      a[static_cast<std::size_t>(lane)] = stream.a_code(beat, lane);
      w[static_cast<std::size_t>(lane)] = stream.w_code(beat, lane);
    }
    for (std::size_t g = 0; g < 4; ++g) {
      a_scale[g] = scale(scales, stream.a_scale(beat) >> (8 * g), defect);
      w_scale[g] = scale(scales, stream.w_scale(beat) >> (8 * g), defect);
    }
    value_ = dot(i, a, w, value_, a_scale, w_scale);
  }

 private:
  std::uint8_t scale(const ElementFormat& format, std::uint32_t byte, MacDefect defect) {
    byte &= format.magnitude_mask();
    if (byte == format.nan_code()) nan_scale_ = true;
    const bool subnormal = byte >> format.mantissa_bits == 0;
    return static_cast<std::uint8_t>(subnormal && defect == MacDefect::subnormal_scale_zero ? 0
                                                                                            : byte);
  }

  static const Instruction& mutated(MacDefect defect) {
    static const Instruction right =
        instruction("mma_block_scale.RTX_Blackwell.m16n8k64.block16.f32.e2m1.e2m1.f32.ue4m3");
    static const auto variant = [](auto change) {
      Instruction i = right;
      change(i.parameters);
      return i;
    };
    static const Instruction bits_34 = variant([](MmaParameters& p) { p.fraction_bits = 34; });
    static const Instruction bits_36 = variant([](MmaParameters& p) { p.fraction_bits = 36; });
    static const Instruction groups = variant([](MmaParameters& p) { p.group = 8; });
    static const Instruction nearest =
        variant([](MmaParameters& p) { p.rounding = FinalRounding::f32_nearest_even; });
    switch (defect) {
      case MacDefect::fraction_bits_34:
        return bits_34;
      case MacDefect::fraction_bits_36:
        return bits_36;
      case MacDefect::groups_of_8:
        return groups;
      case MacDefect::round_to_nearest:
        return nearest;
      default:
        return right;
    }
  }

  std::uint32_t value_ = 0;
  bool nan_scale_ = false;
};

}  // namespace lowbit::sim
