// SPDX-License-Identifier: MIT
#include "lowbit/sim/mac_model.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "lowbit/sim/exact.hpp"
#include "mac/model_baselines.hpp"
#include "mac/model_gst.hpp"
#include "mac/round_to_f32.hpp"
#include "mac/segmented_accumulator.hpp"

namespace lowbit::sim {
namespace {

using enum MacDefect;

constexpr std::array<std::string_view, 19> defect_names{"none",
                                                        "nan_scale_as_480",
                                                        "subnormal_scale_zero",
                                                        "subnormal_scale_doubled",
                                                        "code_8_zero",
                                                        "code_8_minus_8",
                                                        "integer_flag_ignored",
                                                        "two_integers_as_one",
                                                        "constant_last_place",
                                                        "top_lane_lost",
                                                        "first_ignored",
                                                        "last_beat_lost",
                                                        "tree_in_sequence",
                                                        "sum_not_rounded",
                                                        "fraction_bits_34",
                                                        "fraction_bits_36",
                                                        "groups_of_8",
                                                        "round_to_nearest",
                                                        "product_rounded"};

// exact with E8M0 scales: parameter WINDOW_LSB of the RTL.
constexpr int window_lsb = -48;

/// significand * 2^exponent of a scale byte.
struct Scale {
  int significand = 0;
  int exponent = 0;
  bool nan = false;
};

Scale decode_scale(const ElementFormat& format, unsigned byte, MacDefect defect) {
  const unsigned magnitude = byte & format.magnitude_mask();
  Scale s;
  s.nan = format.nan_code() == magnitude;
  if (format.is_exponent_only()) return {1, static_cast<int>(byte) - format.bias, s.nan};
  const bool as_480 = defect == nan_scale_as_480;
  const unsigned hidden = 1U << format.mantissa_bits;
  const unsigned field = magnitude >> format.mantissa_bits;
  const unsigned mantissa = (s.nan && !as_480 ? format.max_code() : magnitude) & (hidden - 1);
  s.significand = static_cast<int>(mantissa + (field != 0 ? hidden : 0));
  s.exponent = static_cast<int>(std::max(field, 1U)) - 1 + format.unit_exponent();
  if (field == 0 && defect == subnormal_scale_zero) s.significand = 0;
  if (field == 0 && defect == subnormal_scale_doubled) ++s.exponent;
  return s;
}

/// What a format's codes and scale bytes mean to the units, decoded once.
struct Decoded {
  /// Elements in units of 2^unit_exponent, float and integer blocks; non-finite ones read as 0.
  std::array<std::array<std::int64_t, 256>, 2> element{};
  std::array<bool, 256> not_finite{};
  std::array<Scale, 256> scale{};
  /// What the float and the integer unit count over the denominator d (IF4: 7 and 12).
  std::array<int, 2> factor{1, 1};

  Decoded(const BlockFormat& format, MacDefect defect) {
    const auto table = [&](const ElementFormat& e, bool integer) {
      for (unsigned code = 0; code < e.code_count(); ++code) {
        const Number n = decode(e, code);
        const bool finite = n.number_class == NumberClass::finite;
        std::int64_t value =
            finite ? std::int64_t{n.significand} << (n.exponent - e.unit_exponent()) : 0;
        if (integer && code == e.sign_mask() && defect == code_8_zero) value = 0;
        element[integer ? 1 : 0][code] = n.negative ? -value : value;
        if (!finite && n.number_class != NumberClass::zero) not_finite[code] = true;
      }
      if (!integer && e == e2m1 && defect == code_8_minus_8) element[0][8] = -16;
    };
    table(*format.element, false);
    if (format.is_adaptive()) {
      table(*format.integer, true);
      const int d = format.exact_denominator();
      const Ratio e = format.integer_unit();
      factor = {d, (e.numerator * d << -format.element->unit_exponent()) / e.denominator};
    }
    for (unsigned byte = 0; byte < 256; ++byte)
      scale[byte] = decode_scale(*format.scale, byte, defect);
  }
};

struct BeatFlags {
  int a_integer, w_integer;
};

class Model {
 public:
  Model(const BeatStream& stream, MacDefect defect)
      : s_(stream),
        shape_(stream.shape()),
        format_(*shape_.format),
        defect_(defect),
        d_(format_, defect) {
    if (shape_.unit == MacUnit::exact) register_ = SegmentedAccumulator(accumulator_bits(shape_));
    // Default widths of E4M3 scales cannot overflow in any stream that memory holds.
    plain_ = format_.family() != ScaleFamily::mx && shape_.accumulator_width == 0;
    counted_lanes_ = defect == top_lane_lost ? shape_.lanes_used() - 1 : shape_.lanes_used();
  }

  std::vector<MacResult> run() {
    std::vector<MacResult> results;
    results.reserve(s_.segments());
    bool open = false;
    for (std::size_t beat = 0; beat < s_.size(); ++beat) {
      if (!open || s_.first(beat)) start();
      open = !s_.last(beat);
      if (!(s_.last(beat) && defect_ == last_beat_lost)) add(beat);
      if (s_.last(beat)) results.push_back(finish());
    }
    return results;
  }

 private:
  void start() {
    flags_ = 0;
    if (defect_ == first_ignored) return;
    acc_ = 0;
    register_.clear();
    fp32_ = 0.0F;
    fp64_ = 0.0;
    lane32_.fill(0.0F);
    lane64_.fill(0.0);
    gst_.clear();
  }

  [[nodiscard]] int integer(std::uint32_t scale) const {
    return format_.is_integer_block(static_cast<std::uint8_t>(scale)) ? 1 : 0;
  }

  void add(std::size_t beat) {
    if (shape_.unit == MacUnit::gst) {
      gst_.add(s_, beat, defect_);
      return;
    }
    const Scale& a = d_.scale[s_.a_scale(beat)];
    const Scale& w = d_.scale[s_.w_scale(beat)];
    const BeatFlags f{integer(s_.a_scale(beat)), integer(s_.w_scale(beat))};
    if (a.nan || w.nan) flags_ |= 1;
    if (shape_.unit == MacUnit::published) {
      add_published(beat, a, w, f);
    } else {
      add_exact(beat, a, w, f);
    }
  }

  /// The published order of roundings, each operation one IEEE float operation.
  void add_published(std::size_t beat, const Scale& a, const Scale& w, const BeatFlags& f) {
    // Of one and of two integer blocks, each rounded once: 6/7 and 36/49 for IF4.
    const Ratio unit_ratio = format_.integer_unit();
    const auto n = static_cast<float>(unit_ratio.numerator);
    const auto d = static_cast<float>(unit_ratio.denominator);
    const float one = n / d;
    const float two = (n * n) / (d * d);
    const int ulp = defect_ == constant_last_place ? 1 : 0;
    float scale =
        std::ldexp(static_cast<float>(a.significand * w.significand), a.exponent + w.exponent);
    const int integers = defect_ == integer_flag_ignored ? 0 : f.a_integer + f.w_integer;
    if (integers == 1 || (integers == 2 && defect_ == two_integers_as_one)) {
      scale = scale * std::bit_cast<float>(std::bit_cast<std::uint32_t>(one) + ulp);
    } else if (integers == 2) {
      scale = scale * std::bit_cast<float>(std::bit_cast<std::uint32_t>(two) + ulp);
    }
    // Float codes count halves.
    const float unit =
        1.0F / static_cast<float>((f.a_integer != 0 ? 1 : 2) * (f.w_integer != 0 ? 1 : 2));
    for (int lane = 0; lane < counted_lanes_; ++lane) {
      const float product =
          unit * static_cast<float>(d_.element[f.a_integer][s_.a_code(beat, lane)] *
                                    d_.element[f.w_integer][s_.w_code(beat, lane)]);
      const float scaled = product * scale;
      lane32_[lane] = lane32_[lane] + scaled;
      lane64_[lane] = lane64_[lane] + static_cast<double>(scaled);
    }
  }

  void add_exact(std::size_t beat, const Scale& a, const Scale& w, const BeatFlags& f) {
    Int128 dot = 0;
    const auto& a_table = d_.element[f.a_integer];
    const auto& w_table = d_.element[f.w_integer];
    if (format_.element->bits == 4) {
      std::int64_t narrow = 0;
      for (int lane = 0; lane < counted_lanes_; ++lane) {
        narrow += a_table[s_.a_code(beat, lane)] * w_table[s_.w_code(beat, lane)];
      }
      dot = narrow;
    } else {
      for (int lane = 0; lane < counted_lanes_; ++lane) {
        const unsigned x = s_.a_code(beat, lane);
        const unsigned y = s_.w_code(beat, lane);
        dot += static_cast<Int128>(a_table[x]) * w_table[y];
        if (d_.not_finite[x] || d_.not_finite[y]) flags_ |= 1;
      }
    }
    int factor = d_.factor[f.a_integer] * d_.factor[f.w_integer];
    if (defect_ == integer_flag_ignored && format_.is_adaptive()) {
      // An integer counted as if its unit were a float 1: d over the float unit.
      const int plain = d_.factor[0] << -format_.element->unit_exponent();
      factor =
          (f.a_integer != 0 ? plain : d_.factor[0]) * (f.w_integer != 0 ? plain : d_.factor[0]);
    }
    if (defect_ == two_integers_as_one && f.a_integer + f.w_integer == 2) {
      factor = d_.factor[1] * (d_.factor[0] << -format_.element->unit_exponent());
    }
    if (defect_ == constant_last_place && f.a_integer + f.w_integer == 1) ++factor;
    dot *= factor;

    if (format_.family() == ScaleFamily::mx) {
      add_window(dot, a.exponent + w.exponent + 2 * format_.element->unit_exponent() +
                          2 * format_.element_exponent);
      return;
    }
    const Int128 block = (dot * (a.significand * w.significand)) << (a.exponent + w.exponent + 18);
    if (shape_.unit == MacUnit::exact) {
      accumulate(block);
      return;
    }
    // block_fp32: the block's exact value rounded once, then one FP32 addition.
    const float value = std::bit_cast<float>(round_to_f32(block, unit_exponent()));
    fp32_ = fp32_ + value;
    fp64_ = fp64_ + static_cast<double>(value);
  }

  /// E8M0 scales: a block that the window cannot hold is dropped whole and flagged.
  void add_window(Int128 sum, int exponent) {
    if (sum == 0) return;
    const int shift = exponent - window_lsb;
    const int bits =
        std::bit_width(static_cast<std::uint64_t>((sum < 0 ? ~sum : sum) >> 64)) != 0
            ? 64 + std::bit_width(static_cast<std::uint64_t>((sum < 0 ? ~sum : sum) >> 64))
            : std::bit_width(static_cast<std::uint64_t>(sum < 0 ? ~sum : sum));
    const bool below =
        shift < 0 && (-shift > 126 || (sum & ((Int128{1} << std::min(-shift, 126)) - 1)) != 0);
    if (below || bits + shift > accumulator_bits(shape_) - 1) {
      flags_ |= 2;
      return;
    }
    accumulate(shift < 0 ? sum >> -shift : sum << shift);
  }

  void accumulate(Int128 value) {
    if (plain_) {
      acc_ += value;
    } else if (register_.add(value)) {
      flags_ |= 2;
    }
  }

  [[nodiscard]] int unit_exponent() const {
    return mac_unit_scale(shape_.unit, format_).accumulator_exponent;
  }

  MacResult finish() {
    MacResult r;
    r.flags = flags_;
    switch (shape_.unit) {
      case MacUnit::published:
        r.fp32 = std::bit_cast<std::uint32_t>(tree());
        break;
      case MacUnit::exact:
        r.acc = plain_ ? acc_ : register_.value();
        if (!plain_ && register_.late_overflow()) r.flags |= 2;
        r.fp32 = round_to_f32(r.acc, unit_exponent());
        break;
      case MacUnit::block_fp32:
        r.fp32 = std::bit_cast<std::uint32_t>(defect_ == sum_not_rounded ? static_cast<float>(fp64_)
                                                                         : fp32_);
        break;
      case MacUnit::gst:
        r.fp32 = gst_.value();
        r.flags = gst_.nan_scale() ? 1 : 0;
        break;
      default:  // the baselines have a model of their own
        break;
    }
    return r;
  }

  /// ((0+1)+(2+3))+..., each sum rounded.
  [[nodiscard]] float tree() const {
    std::array<float, 64> node = lane32_;
    int count = shape_.lanes;
    if (defect_ == sum_not_rounded) {
      for (int i = 0; i < count; ++i) node[i] = static_cast<float>(lane64_[i]);
    }
    if (defect_ == tree_in_sequence) {
      for (int i = 1; i < count; ++i) node[0] = node[0] + node[i];
      return node[0];
    }
    for (; count > 1; count /= 2) {
      for (int i = 0; i < count / 2; ++i) node[i] = node[2 * i] + node[2 * i + 1];
    }
    return node[0];
  }

  const BeatStream& s_;
  MacShape shape_;
  const BlockFormat& format_;
  MacDefect defect_;
  Decoded d_;
  int counted_lanes_ = 0;
  std::uint8_t flags_ = 0;
  bool plain_ = false;
  SegmentedAccumulator register_{72};
  Int128 acc_ = 0;
  float fp32_ = 0.0F;
  double fp64_ = 0.0;
  std::array<float, 64> lane32_{};
  std::array<double, 64> lane64_{};
  GstAccumulator gst_;
};

}  // namespace

std::string_view name_of(MacDefect defect) {
  return defect_names[static_cast<std::size_t>(defect)];
}

std::vector<MacDefect> defects_of(MacUnit unit, const BlockFormat& format) {
  std::vector<MacDefect> list{top_lane_lost, first_ignored, last_beat_lost};
  const auto add = [&](std::initializer_list<MacDefect> more) {
    for (const MacDefect defect : more) list.push_back(defect);
  };
  if (is_baseline(unit)) {
    if (unit == MacUnit::bf16_fma) list.push_back(tree_in_sequence);
    if (unit == MacUnit::bf16_fma || unit == MacUnit::fp8_fp32) list.push_back(sum_not_rounded);
    if (unit == MacUnit::bf16_fma) list.push_back(product_rounded);
    if (format.element->coding == Coding::twos_complement) list.push_back(code_8_zero);
    return list;
  }
  if (unit == MacUnit::gst) {
    add({subnormal_scale_zero, fraction_bits_34, fraction_bits_36, groups_of_8, round_to_nearest});
    return list;
  }
  if (format.family() == ScaleFamily::nv) {
    add({nan_scale_as_480, subnormal_scale_zero, subnormal_scale_doubled});
  }
  if (*format.element == e2m1) list.push_back(code_8_minus_8);
  if (format.is_adaptive()) {
    add({integer_flag_ignored, two_integers_as_one, constant_last_place});
    if (format.integer->coding == Coding::twos_complement) list.push_back(code_8_zero);
  }
  if (unit == MacUnit::published) list.push_back(tree_in_sequence);
  if (unit != MacUnit::exact) list.push_back(sum_not_rounded);
  return list;
}

std::vector<MacResult> mac_model(const BeatStream& stream, MacDefect defect) {
  check_mac_shape(stream.shape());
  if (is_baseline(stream.shape().unit)) return baseline_model(stream, defect);
  return Model(stream, defect).run();
}

MacUnitScale mac_unit_scale(MacUnit unit, const BlockFormat& format) {
  if (unit == MacUnit::published || unit == MacUnit::gst || is_baseline(unit)) return {0, 1};
  if (format.family() == ScaleFamily::mx) return {window_lsb, 1};
  const ExactUnit unit_of_pair = exact_unit(format, format);
  return {unit_of_pair.exponent, unit_of_pair.denominator};
}

}  // namespace lowbit::sim
