// SPDX-License-Identifier: MIT
// The scale byte with the least exact error (docs/formats.md, "optimal and search:K").
//
// Three stages, each only where the one before leaves more than one byte: binary32 with a bound on
// its error; binary64, whose terms are exact and whose sum has a relative error of a few 2^-53;
// exact rationals. The first stage walks away from the byte of static_6 in both directions and
// stops where what cannot improve any more exceeds the best error:
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

#include "quantize/block_engine.hpp"

namespace lowbit::detail {

/// The value of nearest_even_code(y), computed without a table so that loops become vectors.
template <const ElementFormat& Format>
inline float nearest_even_value(float y) {
  constexpr float largest = value_table<Format>[Format.max_code()];
  constexpr float aligner = power_of_two(23 + Format.unit_exponent());
  const auto bits = std::bit_cast<std::uint32_t>(y);
  const float magnitude = std::bit_cast<float>(bits & 0x7FFFFFFFU);
  const float m = magnitude < largest ? magnitude : largest;
  const float aligned = (m + aligner) - aligner;
  float value = aligned;
  if constexpr (!Format.is_integer()) {
    constexpr int dropped = 23 - Format.mantissa_bits;
    constexpr float smallest_normal = power_of_two(Format.min_exponent());
    const auto from = std::bit_cast<std::uint32_t>(m);
    const std::uint32_t odd = from >> dropped & 1U;
    const std::uint32_t to = (from + ((1U << (dropped - 1)) - 1U) + odd) & ~((1U << dropped) - 1U);
    value = m < smallest_normal ? aligned : std::bit_cast<float>(to);
  }
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | (bits & 0x80000000U));
}

template <const ElementFormat& Element, const ElementFormat& Integer = Element>
class ScaleSearch {
  static constexpr bool is_adaptive = !(Element == Integer);
  static constexpr int lanes = 8;
  using Exact = boost::multiprecision::cpp_rational;

 public:
  explicit ScaleSearch(const TensorConstants& constants)
      : t_(constants), is_mx_(constants.format->family() == ScaleFamily::mx) {}

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
    const int lowest = is_mx_ ? 0 : 1;
    const int highest = static_cast<int>(t_.format->scale->max_code());
    const int radius = t_.search_radius == 0 ? 256 : t_.search_radius;
    const int first = std::clamp(int{base}, lowest, highest);
    const int last = std::min(highest, base + radius);
    upper_ = std::numeric_limits<double>::infinity();
    for (int byte = first; byte <= last; ++byte) {
      if (try_byte<Walk::up>(byte)) break;
    }
    for (int byte = first - 1; byte >= std::max(lowest, base - radius); --byte) {
      if (try_byte<Walk::down>(byte)) break;
    }
    return decide();
  }

 private:
  /// What a byte's scale means; index 1: integer blocks.
  struct Scale {
    float inverse;
    std::array<double, 2> value;      ///< of an element of 1, rounded a few times
    std::array<double, 2> numerator;  ///< exact: value * C * the denominator of E; MX: the value
  };
  /// Which bytes come next, and so which part of the error cannot shrink any more.
  enum class Walk : std::uint8_t { up, down };
  struct Survivor {
    int byte = 0;
    bool integer = false;
    double lower = 0.0;  ///< bounds of sqrt(error) from below
  };
  struct Sums {
    float error;
    float kept;  ///< of elements whose error does not shrink along the walk
  };

  /// Computed when a block first asks for it.
  const Scale& scale_of(int byte) {
    const auto at = static_cast<std::size_t>(byte);
    if (!ready_[at]) set_up(byte, scales_[at]);
    ready_[at] = true;
    return scales_[at];
  }

  void set_up(int byte, Scale& s) const {
    if (is_mx_) {
      const int e = byte - t_.format->scale->bias;
      s.inverse = std::ldexp(1.0F, -e);
      s.value = {std::ldexp(1.0, e + t_.format->element_exponent), 0.0};
      s.numerator = s.value;
      return;
    }
    const float scale = to_float(*t_.format->scale, static_cast<std::uint32_t>(byte));
    s.inverse = byte != 0 ? 1.0F / (t_.decode_scale * scale) : 0.0F;
    const Ratio unit = t_.format->integer_unit();
    const double product = double{scale} * t_.scaled_amax;
    s.value = {product / t_.encode_constant,
               product / t_.encode_constant * unit.numerator / unit.denominator};
    s.numerator = {product * unit.denominator, product * unit.numerator};
  }

  void load(const float* x, int count, const float* weights, float amax) {
    count_ = count;
    x_ = x;
    weights_ = weights;
    // The block's largest magnitude becomes 1 to 2, the largest weight 1: no square overflows.
    const double factor = std::ldexp(1.0, -std::ilogb(amax));
    power_ = factor;
    mx_second_ = is_mx_ ? std::ldexp(1.0F, -t_.format->element_exponent) : 1.0F;
    float top = 0.0F;
    float least = std::numeric_limits<float>::infinity();
    for (int i = 0; weights != nullptr && i < count; ++i) {
      top = std::max(top, weights[i]);
      if (weights[i] != 0.0F) least = std::min(least, weights[i]);
    }
    // Weights that binary32 cannot hold beside each other are left to the second stage.
    prefilter_ = weights == nullptr || (top > 0.0F && least / top > 0x1p-100F);
    double norm = 0.0;
    padded_ = (count + lanes - 1) / lanes * lanes;
    for (int i = 0; i < padded_; ++i) {
      const bool real = i < count;
      raw_[i] = real ? x[i] : 0.0F;
      scaled_[i] = real ? static_cast<float>(x[i] * factor) : 0.0F;
      weight_[i] = !real                ? 0.0F
                   : weights == nullptr ? 1.0F
                                        : weights[i] / (top > 0.0F ? top : 1.0F);
      norm += double{weight_[i]} * scaled_[i] * scaled_[i];
    }
    norm_ = 1.001 * std::sqrt(norm);
  }

  /// \param second  R of integer blocks, or 2^-element_exponent of MX formats; else 1
  template <Walk Way, const ElementFormat& Format>
  Sums sums(float inverse, float second, float factor) const {
    constexpr float largest = value_table<Format>[Format.max_code()];
    std::array<float, lanes> error{};
    std::array<float, lanes> kept{};
    for (int i = 0; i < padded_; i += lanes) {
      const float* const raw = raw_.data() + i;
      const float* const x = scaled_.data() + i;
      const float* const w = weight_.data() + i;
      for (int l = 0; l < lanes; ++l) {
        const float y = raw[l] * inverse * second;
        const float q = nearest_even_value<Format>(y);
        const float v = q * factor;
        const float d = v - x[l];
        const float e = w[l] * (d * d);
        error[l] += e;
        if constexpr (Way == Walk::up) {
          kept[l] += q == 0.0F ? e : 0.0F;
        } else {
          const bool beyond = std::fabs(y) >= largest && std::fabs(x[l]) >= std::fabs(v);
          kept[l] += beyond ? e : 0.0F;
        }
      }
    }
    // In halves: a chain of additions would be most of the time of a block of 16.
    for (int half = lanes / 2; half > 0; half /= 2) {
      for (int l = 0; l < half; ++l) {
        error[l] += error[l + half];
        kept[l] += kept[l + half];
      }
    }
    return {error[0], kept[0]};
  }

  /// Bound on the error of sqrt(sum) in binary32: values carry a relative error of 2^-23, whose
  /// root of squares is at most 2^-22 (norm + sqrt(error)); differences, squares, weights and n
  /// additions one of (n + 16) 2^-24; what underflows is below 2^-66.
  [[nodiscard]] double slack(double root) const {
    return 0x1p-22 * (norm_ + 2.0 * root) + root * (padded_ + 16) * 0x1p-24 + 0x1p-66;
  }

  /// \return whether no byte further along the walk can be better
  template <Walk Way>
  bool try_byte(int byte) {
    const Scale& s = scale_of(byte);
    bool stop = try_candidate<Way, Element>(byte, false, s);
    if constexpr (is_adaptive) {
      const bool stop_of_integers = try_candidate<Way, Integer>(byte, true, s);
      stop = stop && stop_of_integers;
    }
    return stop;
  }

  template <Walk Way, const ElementFormat& Format>
  bool try_candidate(int byte, bool integer, const Scale& s) {
    if (!prefilter_) {
      keep({byte, integer, 0.0});
      return false;
    }
    const double wanted = s.value[integer ? 1 : 0] * power_;
    // Values beyond this are far from the block, whose largest magnitude is below 2.
    const auto factor = static_cast<float>(std::min(wanted, 0x1p40));
    const Sums found = sums<Way, Format>(s.inverse, second_of(integer), factor);
    const double root = std::sqrt(double{found.error});
    const double margin = slack(root);
    upper_ = std::min(upper_, root + margin);
    if (!(root - margin > upper_)) keep({byte, integer, root - margin});
    // What is below the bound itself is below it less the slack, which a root is not needed for.
    if (double{found.kept} <= upper_ * upper_) return false;
    const double least = std::sqrt(double{found.kept});
    return least - slack(least) > upper_;
  }

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
    const Scale& scale = scale_of(s.byte);
    const float second = second_of(s.integer);
    const double numerator = scale.numerator[s.integer ? 1 : 0];
    double sum = 0.0;
    for (int i = 0; i < count_; ++i) {
      const float y = x_[i] * scale.inverse * second;
      float q = 0.0F;
      if constexpr (is_adaptive) {
        q = s.integer ? nearest_even_value<Integer>(y) : nearest_even_value<Element>(y);
      } else {
        q = nearest_even_value<Element>(y);
      }
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
  std::array<Scale, 256> scales_;
  std::array<bool, 256> ready_{};
  int base_ = 0;
  int count_ = 0;
  int padded_ = 0;
  double power_ = 1.0;      ///< what makes the block's largest magnitude 1 to 2
  float mx_second_ = 1.0F;  ///< 2^-element_exponent of MX formats
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
