// SPDX-License-Identifier: MIT
// The scale byte with the least exact error (docs/formats.md, "optimal and search:K").
//
// Three stages, each only where the one before leaves more than one byte: binary32 with a bound on
// its error; binary64, whose terms are exact and whose sum has a relative error of a few 2^-53;
// exact rationals. The first stage looks at groups of sixteen bytes, away from that of the byte of
// static_6 in both directions, and stops where what cannot improve any more exceeds the best error:
// - upwards, elements whose code is 0 keep it, as y = fl(x * inv) does not grow;
// - downwards, elements that saturate keep their code, and its value moves away from x.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>

#include "quantize/block_engine.hpp"
#include "search/candidate_errors.hpp"

namespace lowbit::detail {

template <const ElementFormat& Element, const ElementFormat& Integer = Element>
class ScaleSearch {
  static constexpr bool is_adaptive = !(Element == Integer);
  using Exact = boost::multiprecision::cpp_rational;

 public:
  explicit ScaleSearch(const TensorConstants& constants)
      : t_(constants),
        is_mx_(constants.format->family() == ScaleFamily::mx),
        errors_of_({candidate_errors(Element), candidate_errors(Integer)}) {}

  /// \param base  the byte of static_6 (MX: rceil)
  /// \param x  the block; zeros beyond the count are not read
  /// \param weights  one per element of a row of the block, the same for each row; null: all 1
  /// \return the best byte, with the flag of integer blocks
  std::uint8_t best(std::uint8_t base, const float* x, int count, const float* weights,
                    int row_elements) {
    const float amax = amax_of({x, static_cast<std::size_t>(count)});
    // Under every byte all codes of such a block are zeros; canonical's byte is 0.
    if (amax == 0.0F || (!is_mx_ && t_.amax == 0.0F)) return 0;
    if (weights != nullptr && count > row_elements) {
      for (int i = 0; i < count; ++i) repeated_[i] = weights[i % row_elements];
      weights = repeated_.data();
    }
    load(x, count, weights, amax);
    base_ = base;
    survivors_ = 0;
    const int radius = t_.search_radius == 0 ? 256 : t_.search_radius;
    const int lowest = is_mx_ ? 0 : 1;
    const int highest = static_cast<int>(t_.format->scale->max_code());
    lowest_ = std::max(lowest, base - radius);
    // Under the byte of rceil no element is above the largest value, and up to there its values
    // include those of every larger power of two: no larger byte has a smaller error.
    highest_ = is_mx_ ? base : std::min(highest, base + radius);
    upper_ = std::numeric_limits<double>::infinity();
    const int middle = std::max(int{base}, lowest_) / candidate_group;
    const Stops stops = try_group(middle);
    bool stop = stops.upwards;
    for (int g = middle + 1; !stop && g * candidate_group <= highest_; ++g) {
      stop = try_group(g).upwards;
    }
    stop = stops.downwards;
    for (int g = middle - 1; !stop && (g + 1) * candidate_group > lowest_; --g) {
      stop = try_group(g).downwards;
    }
    return decide();
  }

 private:
  struct Survivor {
    int byte = 0;
    bool integer = false;
    double lower = 0.0;  ///< bounds of sqrt(error) from below
  };
  /// Whether no byte further away can be better.
  struct Stops {
    bool upwards = true;
    bool downwards = true;
  };

  /// Computed when a block first asks for the group.
  void prepare(int group) {
    if (std::exchange(ready_[static_cast<std::size_t>(group)], true)) return;
    for (int byte = group * candidate_group; byte < (group + 1) * candidate_group; ++byte) {
      const auto at = static_cast<std::size_t>(byte);
      if (is_mx_) {
        const int e = byte - t_.format->scale->bias;
        inverse_[at] = std::ldexp(1.0F, -e);
        value_[0][at] = std::ldexp(1.0F, e + t_.format->element_exponent);
        continue;
      }
      const float scale = scale_of(byte);
      inverse_[at] = byte != 0 ? 1.0F / (t_.decode_scale * scale) : 0.0F;
      const double value = double{scale} * t_.scaled_amax / t_.encode_constant;
      const Ratio unit = t_.format->integer_unit();
      value_[0][at] = static_cast<float>(value);
      value_[1][at] = static_cast<float>(value * unit.numerator / unit.denominator);
    }
  }
  [[nodiscard]] float scale_of(int byte) const {
    return to_float(*t_.format->scale, static_cast<std::uint32_t>(byte));
  }

  void load(const float* x, int count, const float* weights, float amax) {
    count_ = count;
    x_ = x;
    weights_ = weights;
    // The block's largest magnitude becomes 1 to 2, the largest weight 1: no square overflows.
    const int exponent = -std::ilogb(amax);
    power_ = {std::ldexp(1.0F, exponent / 2), std::ldexp(1.0F, exponent - exponent / 2)};
    mx_second_ = is_mx_ ? std::ldexp(1.0F, -t_.format->element_exponent) : 1.0F;
    float top = 0.0F;
    float least = std::numeric_limits<float>::infinity();
    for (int i = 0; weights != nullptr && i < count; ++i) {
      top = std::max(top, weights[i]);
      if (weights[i] != 0.0F) least = std::min(least, weights[i]);
    }
    // Weights that binary32 cannot hold beside each other are left to the second stage.
    prefilter_ = weights == nullptr || (top > 0.0F && least / top > 0x1p-100F);
    if (top == 0.0F) top = 1.0F;
    const double factor = double{power_[0]} * power_[1];
    double norm = 0.0;
    for (int i = 0; i < count; ++i) {
      raw_[i] = std::fabs(x[i]);
      scaled_[i] = static_cast<float>(raw_[i] * factor);
      weight_[i] = weights == nullptr ? 1.0F : weights[i] / top;
      norm += double{weight_[i]} * scaled_[i] * scaled_[i];
    }
    norm_ = 1.001 * std::sqrt(norm);
  }

  /// Bound on the error of sqrt(sum) in binary32, relative part and constant part: values carry a
  /// relative error of 2^-23, whose root of squares is at most 2^-22 (norm + sqrt(error));
  /// differences, squares, weights and n additions one of (n + 16) 2^-24; what underflows is below
  /// 2^-66.
  [[nodiscard]] double relative_slack() const { return 0x1p-21 + (count_ + 16) * 0x1p-24; }
  [[nodiscard]] double constant_slack() const { return 0x1p-22 * norm_ + 0x1p-66; }
  [[nodiscard]] double slack(double root) const {
    return relative_slack() * root + constant_slack();
  }

  Stops try_group(int group) {
    const int begin = std::max(group * candidate_group, lowest_);
    const int end = std::min((group + 1) * candidate_group, highest_ + 1);
    constexpr int kinds = is_adaptive ? 2 : 1;
    if (!prefilter_) {
      for (int byte = begin; byte < end; ++byte) {
        for (int k = 0; k < kinds; ++k) keep({byte, k == 1, 0.0});
      }
      return {false, false};
    }
    prepare(group);
    const auto at = static_cast<std::size_t>(group * candidate_group);
    float least = std::numeric_limits<float>::infinity();
    for (std::size_t k = 0; k < kinds; ++k) {
      errors_of_[k]({raw_.data(), scaled_.data(), weight_.data(), count_},
                    {inverse_.data() + at, value_[k].data() + at, second_of(k == 1), power_},
                    errors_[k]);
      for (int byte = begin; byte < end; ++byte) least = std::min(least, error(k, byte));
    }
    const double root = std::sqrt(double{least});
    upper_ = std::min(upper_, root + slack(root));
    // root - slack(root) > upper_ for the root of a larger sum.
    const double limit = (upper_ + constant_slack()) / (1.0 - relative_slack());
    const double square = limit * limit * (1.0 + 0x1p-40);
    Stops stops;
    for (std::size_t k = 0; k < kinds; ++k) {
      Stops of_kind{false, false};
      for (int byte = begin; byte < end; ++byte) {
        const auto lane = static_cast<std::size_t>(byte % candidate_group);
        if (errors_[k].zeros[lane] > square) of_kind.upwards = true;
        if (errors_[k].saturated[lane] > square) of_kind.downwards = true;
        if (errors_[k].error[lane] > square) continue;
        const double r = std::sqrt(double{errors_[k].error[lane]});
        keep({byte, k == 1, r - slack(r)});
      }
      stops.upwards = stops.upwards && of_kind.upwards;
      stops.downwards = stops.downwards && of_kind.downwards;
    }
    return stops;
  }
  [[nodiscard]] float error(std::size_t kind, int byte) const {
    return errors_[kind].error[static_cast<std::size_t>(byte % candidate_group)];
  }

  /// R of integer blocks, or 2^-element_exponent of MX formats; else 1.
  [[nodiscard]] float second_of(bool integer) const {
    return integer ? t_.integer_shrink : mx_second_;
  }

  void keep(const Survivor& candidate) {
    survivor_[static_cast<std::size_t>(survivors_++)] = candidate;
  }

  /// The order of ties: the base byte, then float, then the smaller byte.
  [[nodiscard]] bool precedes(const Survivor& a, const Survivor& b) const {
    const auto key = [&](const Survivor& s) {
      return (s.byte == base_ ? 0 : 1024) + (s.integer ? 512 : 0) + s.byte;
    };
    return key(a) < key(b);
  }

  std::uint8_t decide() {
    int left = 0;
    for (int i = 0; i < survivors_; ++i) {
      if (survivor_[static_cast<std::size_t>(i)].lower <= upper_) {
        survivor_[static_cast<std::size_t>(left++)] = survivor_[static_cast<std::size_t>(i)];
      }
    }
    int best = 0;
    if (left > 1) {
      double least = terms(survivor_[0], first_terms_);
      for (int i = 1; i < left; ++i) {
        const Survivor& other = survivor_[static_cast<std::size_t>(i)];
        const double error = terms(other, second_terms_);
        if (is_less(other, error, survivor_[static_cast<std::size_t>(best)], least)) {
          best = i;
          least = error;
          std::swap(first_terms_, second_terms_);
        }
      }
    }
    const Survivor& chosen = survivor_[static_cast<std::size_t>(best)];
    return static_cast<std::uint8_t>(chosen.byte |
                                     (chosen.integer ? t_.format->integer_flag() : 0));
  }

  /// The second stage: the exact values of the block, times C and E's denominator (MX: themselves),
  /// and the sum of the weighted squared differences to x times the same.
  double terms(const Survivor& s, std::array<double, max_block_elements>& values) {
    prepare(s.byte / candidate_group);
    const auto at = static_cast<std::size_t>(s.byte);
    const float second = second_of(s.integer);
    const Ratio unit = t_.format->integer_unit();
    // Exact: value times denominator().
    const double numerator = is_mx_ ? double{value_[0][at]}
                                    : double{scale_of(s.byte)} * t_.scaled_amax *
                                          (s.integer ? unit.numerator : unit.denominator);
    double sum = 0.0;
    for (int i = 0; i < count_; ++i) {
      const float y = x_[i] * inverse_[at] * second;
      const float q = s.integer ? value_table<Integer>[nearest_even_code<Integer>(y)]
                                : value_table<Element>[nearest_even_code<Element>(y)];
      values[i] = q * numerator;
      const double d = values[i] - x_[i] * denominator();
      sum += (weights_ == nullptr ? 1.0 : double{weights_[i]}) * (d * d);
    }
    return sum;
  }
  /// C times the denominator of E: at most 12 + 5 bits.
  [[nodiscard]] double denominator() const {
    return is_mx_ ? 1.0 : double{t_.encode_constant} * t_.format->integer_unit().denominator;
  }

  /// Whether candidate b is better than a, whose terms are first_terms_; b's are second_terms_.
  bool is_less(const Survivor& b, double error_b, const Survivor& a, double error_a) const {
    const double margin = (count_ + 8) * 0x1p-53;
    if (error_b < error_a * (1.0 - 4.0 * margin)) return true;
    if (error_a < error_b * (1.0 - 4.0 * margin)) return false;
    const bool same =
        std::equal(first_terms_.begin(), first_terms_.begin() + count_, second_terms_.begin());
    if (same || (error_a == 0.0 && error_b == 0.0)) return precedes(b, a);
    const Exact exact_a = exact_error(first_terms_);
    const Exact exact_b = exact_error(second_terms_);
    return exact_a == exact_b ? precedes(b, a) : exact_b < exact_a;
  }

  [[nodiscard]] Exact exact_error(const std::array<double, max_block_elements>& values) const {
    Exact sum = 0;
    for (int i = 0; i < count_; ++i) {
      const Exact d = Exact(values[i]) - Exact(x_[i] * denominator());
      sum += (weights_ == nullptr ? Exact(1) : Exact(weights_[i])) * d * d;
    }
    return sum;
  }

  const TensorConstants& t_;
  bool is_mx_;
  std::array<CandidateErrorsFunction, 2> errors_of_;  ///< index 1: integer blocks
  std::array<bool, 256 / candidate_group> ready_{};   ///< which groups of the next two are set
  std::array<float, 256> inverse_;
  std::array<std::array<float, 256>, 2> value_;  ///< of an element of 1, rounded a few times
  std::array<CandidateErrors, 2> errors_;
  int base_ = 0;
  int lowest_ = 0;
  int highest_ = 0;
  int count_ = 0;
  std::array<float, 2> power_{};  ///< their product makes the block's largest magnitude 1 to 2
  float mx_second_ = 1.0F;        ///< 2^-element_exponent of MX formats
  bool prefilter_ = true;
  double norm_ = 0.0;
  double upper_ = 0.0;  ///< of sqrt(least error)
  const float* x_ = nullptr;
  const float* weights_ = nullptr;
  int survivors_ = 0;
  std::array<Survivor, 512> survivor_;
  alignas(64) std::array<float, max_block_elements> raw_;
  alignas(64) std::array<float, max_block_elements> scaled_;
  alignas(64) std::array<float, max_block_elements> weight_;
  std::array<float, max_block_elements> repeated_;
  std::array<double, max_block_elements> first_terms_;
  std::array<double, max_block_elements> second_terms_;
};

}  // namespace lowbit::detail
