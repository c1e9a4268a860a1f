// SPDX-License-Identifier: MIT
/// \file
/// A signed integer of fixed width, wide enough for every exact dot product of the registry.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace lowbit::sim {

/// 128 bits, signed.
__extension__ using Int128 = __int128;
/// 128 bits, unsigned.
__extension__ using UInt128 = unsigned __int128;

/// 640 bits, two's complement, little-endian limbs. No allocation, no overflow for its purpose: the
/// widest product of two elements in units of their formats is E5M2 * E5M2 under E8M0 scales,
/// below 2^32 * 2^32 * 2^254 * 2^254 = 2^572, so the sum of any K < 2^64 of them is below 2^636
/// (docs/exact.md, Bounds). Sums wrap modulo 2^640.
class WideInteger {
 public:
  static constexpr std::size_t limb_count = 10;                   ///< How many limbs.
  static constexpr int bits = 64 * static_cast<int>(limb_count);  ///< Width in bits, sign included.
  /// 64-bit limbs, the lowest first.
  using Limbs = std::array<std::uint64_t, limb_count>;

  constexpr WideInteger() = default;
  /// The value, sign-extended.
  explicit constexpr WideInteger(Int128 value) { add_shifted(value, 0); }

  /// Adds value * 2^shift, 0 <= shift < bits.
  constexpr void add_shifted(Int128 value, int shift) {
    const auto first = static_cast<std::size_t>(shift) / 64;
    const int rest = shift % 64;
    const std::uint64_t sign = value < 0 ? ~std::uint64_t{0} : 0;
    const auto low = static_cast<std::uint64_t>(value);
    const auto high = static_cast<std::uint64_t>(value >> 64);
    const std::uint64_t parts[3] = {low << rest,
                                    rest == 0 ? high : (high << rest) | (low >> (64 - rest)),
                                    rest == 0 ? sign : (sign << rest) | (high >> (64 - rest))};
    UInt128 carry = 0;
    for (std::size_t i = first; i < limb_count; ++i) {
      const std::uint64_t part = i - first < 3 ? parts[i - first] : sign;
      carry += static_cast<UInt128>(limbs_[i]) + part;
      limbs_[i] = static_cast<std::uint64_t>(carry);
      carry >>= 64;
    }
  }
  /// Sum modulo 2^640.
  constexpr WideInteger& operator+=(const WideInteger& other) {
    UInt128 carry = 0;
    for (std::size_t i = 0; i < limb_count; ++i) {
      carry += static_cast<UInt128>(limbs_[i]) + other.limbs_[i];
      limbs_[i] = static_cast<std::uint64_t>(carry);
      carry >>= 64;
    }
    return *this;
  }
  /// -this, modulo 2^640.
  [[nodiscard]] constexpr WideInteger negated() const {
    WideInteger result;
    std::uint64_t carry = 1;
    for (std::size_t i = 0; i < limb_count; ++i) {
      result.limbs_[i] = ~limbs_[i] + carry;
      carry = carry != 0 && result.limbs_[i] == 0 ? 1 : 0;
    }
    return result;
  }
  /// Whether the sign bit is set.
  [[nodiscard]] constexpr bool is_negative() const { return (limbs_.back() >> 63) != 0; }
  /// Whether every bit is 0.
  [[nodiscard]] constexpr bool is_zero() const {
    for (const std::uint64_t limb : limbs_) {
      if (limb != 0) return false;
    }
    return true;
  }
  /// |this|, to be read as unsigned.
  [[nodiscard]] constexpr WideInteger magnitude() const {
    return is_negative() ? negated() : *this;
  }
  /// Bits of the magnitude: 0 for 0, otherwise floor(log2 |this|) + 1.
  [[nodiscard]] constexpr int bit_length() const {
    const Limbs m = magnitude().limbs_;
    for (std::size_t i = limb_count; i-- > 0;) {
      if (m[i] != 0) return 64 * static_cast<int>(i) + static_cast<int>(std::bit_width(m[i]));
    }
    return 0;
  }
  /// The value where it fits.
  [[nodiscard]] constexpr std::optional<Int128> to_int128() const {
    const auto value = static_cast<Int128>((static_cast<UInt128>(limbs_[1]) << 64) | limbs_[0]);
    if (WideInteger(value) != *this) return std::nullopt;
    return value;
  }
  /// The two's complement bits.
  [[nodiscard]] constexpr const Limbs& limbs() const { return limbs_; }
  /// Sign and hexadecimal magnitude: "-0x1f".
  [[nodiscard]] std::string to_hex() const;

  /// Whether all fields are equal.
  friend constexpr bool operator==(const WideInteger&, const WideInteger&) = default;

 private:
  Limbs limbs_{};
};

}  // namespace lowbit::sim
