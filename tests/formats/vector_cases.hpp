// SPDX-License-Identifier: MIT
// Requests and data on which engines are compared: values as weights have them, and those that find
// faults (ties of elements, of scales and of candidates, zeros of both signs, raw bits, scales that
// are subnormal or 0, amax given too small).
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "lowbit/dialect.hpp"
#include "lowbit/dialect_axis.hpp"
#include "quantize/tensor_constants.hpp"

namespace lowbit::cases {

struct Request {
  const BlockFormat* format;
  ScaleRule rule;
  const Dialect* dialect;
  bool has_other_axis = false;  ///< whether the dialect is canonical with one other value

  [[nodiscard]] std::size_t block_size() const {
    return static_cast<std::size_t>(format->block_size);
  }
  [[nodiscard]] bool is_canonical() const { return dialect->name == canonical.name; }
  [[nodiscard]] detail::TensorConstants constants(float amax) const {
    QuantizeOptions options;
    options.format = format;
    options.rule = rule;
    options.dialect = dialect;
    return detail::make_constants(options, amax);
  }
  [[nodiscard]] std::string name() const {
    return std::string(format->name) + " " + std::string(name_of(rule)) + " " +
           std::string(dialect->name);
  }
};

/// Canonical with one value of one axis instead: every value of every axis.
inline const std::vector<Dialect>& one_value_dialects() {
  static const std::vector<Dialect> all = [] {
    std::vector<Dialect> made;
    for (const DialectAxis& axis : dialect_axes()) {
      for (std::size_t value = 0; value < axis.values.size(); ++value) {
        Dialect d = canonical;
        axis.set(d, static_cast<std::uint8_t>(value));
        d.name = axis.values[value].name;
        if (axis.get(d) != axis.get(canonical)) made.push_back(d);
      }
    }
    return made;
  }();
  return all;
}

/// Every format, rule and dialect that exist, and dialects that differ from canonical on one axis.
inline std::vector<Request> all_requests() {
  std::vector<Request> requests;
  for (const BlockFormat& format : block_formats()) {
    for (const ScaleRule rule : scale_rules()) {
      const auto add = [&](const Dialect& dialect, bool has_other_axis) {
        if (!is_valid_rule(format, rule, &dialect)) return;
        requests.push_back({&format, rule, &dialect, has_other_axis});
      };
      for (const Dialect& dialect : dialects()) add(dialect, false);
      for (const Dialect& dialect : one_value_dialects()) add(dialect, true);
    }
  }
  return requests;
}

/// Those of them that some kernel may serve, so that the others cost no time.
inline std::vector<Request> served_requests() {
  std::vector<Request> requests = all_requests();
  std::erase_if(requests, [](const Request& r) { return r.format->block_size % 8 != 0; });
  return requests;
}

struct Data {
  std::string name;
  std::vector<float> x;
  float given_amax = 0.0F;  ///< instead of the measured one where not 0

  [[nodiscard]] float amax() const {
    if (given_amax != 0.0F) return given_amax;
    float top = 0.0F;
    for (const float v : x) top = std::max(top, std::fabs(v));
    return top;
  }
};

inline Data normal_data(std::size_t size, std::size_t blocks, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, 0.02F);
  Data data{"normal values", std::vector<float>(size * blocks)};
  for (float& v : data.x) v = normal(random);
  return data;
}

inline std::vector<Data> all_data(std::size_t size, std::size_t blocks, std::uint32_t seed = 1) {
  std::vector<Data> all{normal_data(size, blocks, seed)};
  std::mt19937 random(seed + 1);
  std::normal_distribution<float> normal(0.0F, 1.0F);
  const auto add = [&](const char* name, auto value, float given_amax = 0.0F) {
    Data data{name, std::vector<float>(size * blocks), given_amax};
    for (std::size_t i = 0; i < data.x.size(); ++i) data.x[i] = value(i);
    all.push_back(std::move(data));
  };
  const auto bf16 = [](float v) {
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(v) & 0xFFFF0000U);
  };
  add("BF16 values", [&](std::size_t) { return bf16(normal(random)); });
  // The distribution of blocks' amax is wide: subnormal scales, scales of 0, both signs of 0.
  add("blocks of all magnitudes", [&](std::size_t i) {
    const int exponent = -static_cast<int>(i / size * 7 % 24);
    const float v = std::ldexp(normal(random), exponent);
    return i % 11 == 0 ? std::copysign(0.0F, v) : v;
  });
  // Elements lie on the boundaries between codes: amax of a block is 6, 7, 4 or 8 times a power of
  // two, the others are multiples of an eighth of its unit.
  constexpr float tops[] = {6.0F, 7.0F, 4.0F, 8.0F, 3.0F, 3.5F, 6.5F, 5.0F};
  for (const float given : {0.0F, 1792.0F, 6.0F}) {
    add(
        "ties",
        [&](std::size_t i) {
          const std::size_t block = i / size;
          const float unit = std::ldexp(1.0F, -static_cast<int>(block / 8 % 8));
          const float sign = random() % 2 != 0 ? -1.0F : 1.0F;
          if (i % size == block % size) return sign * tops[block % 8] * unit;
          return sign * static_cast<float>(random() % 57) / 8.0F * unit * (tops[block % 8] / 8.0F);
        },
        given);
  }
  // The tensor's scale is 1, blocks' scales are powers of two: elements of other formats than E2M1
  // lie on the boundaries between their codes.
  for (const float largest : {3.0F, 4.0F, 7.5F, 28.0F, 31.0F}) {
    add(
        "ties of other elements",
        [&](std::size_t i) {
          const std::size_t block = i / size;
          const float unit = std::ldexp(1.0F, -static_cast<int>(block % 8));
          const float sign = random() % 2 != 0 ? -1.0F : 1.0F;
          if (i % size == block % size) return sign * largest * unit;
          const auto steps = static_cast<unsigned>(largest * 16.0F) + 1;
          return sign * static_cast<float>(random() % steps) / 16.0F * unit;
        },
        largest * 448.0F);
  }
  // Of E2M3 the largest element is above the range by about the error that another one has within
  // the range, with E2M3 or with INT6: either may have the larger error by a last place.
  add(
      "errors of the largest element",
      [&](std::size_t i) {
        const std::size_t block = i / size;
        const std::size_t kind = block % 3;
        const float unit =
            std::ldexp(random() % 2 != 0 ? -1.0F : 1.0F, -static_cast<int>(block % 8));
        const auto moved = [&](float v) {
          return std::bit_cast<float>(std::bit_cast<std::uint32_t>(v) +
                                      static_cast<std::uint32_t>(random() % 17) - 8U);
        };
        // Half a gap of E2M3, less, half a gap of INT6.
        const float error = kind == 0   ? 0.25F
                            : kind == 1 ? static_cast<float>(8 + block % 7) / 64.0F
                                        : 3.75F / 31.0F;
        if (i % size == block % size) return unit * moved(7.5F + error);
        if ((i + 1) % size == block % size) return unit * moved(kind == 2 ? 3.75F : 6.0F + error);
        return unit * (kind == 2 ? static_cast<float>(random() % 17) / 8.0F
                                 : static_cast<float>(random() % 49) / 16.0F);
      },
      7.5F * 448.0F);
  // Neighbours of such boundaries.
  add("near ties", [&](std::size_t i) {
    const std::size_t block = i / size;
    if (i % size == 0) return tops[block % 8];
    const float v = static_cast<float>(random() % 49) / 8.0F * (tops[block % 8] / 6.0F);
    if (v == 0.0F) return v;
    const auto moved =
        static_cast<std::uint32_t>(std::bit_cast<std::uint32_t>(v) + random() % 3 - 1);
    return random() % 2 != 0 ? std::bit_cast<float>(moved) : -std::bit_cast<float>(moved);
  });
  // Both candidates are nearly as good: elements are codes' values times one scale, and some are a
  // last place away; in some blocks one element is not 0.
  constexpr float codes[] = {0.0F, 0.5F, 1.0F, 1.5F, 2.0F, 3.0F, 4.0F, 6.0F};
  add("equal errors", [&](std::size_t i) {
    const std::size_t block = i / size;
    const float sign = random() % 2 != 0 ? -1.0F : 1.0F;
    if (block % 3 == 0) return i % size == block % size ? sign * 0.7F : 0.0F;
    const float scale = 1.0F / static_cast<float>(8 + block % 9);
    const float v = sign * codes[random() % 8] * scale;
    if (block % 3 == 1 || v == 0.0F) return v;
    return std::bit_cast<float>(
        static_cast<std::uint32_t>(std::bit_cast<std::uint32_t>(v) + random() % 3 - 1));
  });
  add("small integers",
      [&](std::size_t) { return static_cast<float>(static_cast<int>(random() % 15) - 7); });
  // Any finite float, with an amax of its own, one that is far too small, and one in between.
  for (const float given : {0.0F, 1.0F, 0x1p-20F, 0x1p30F, 0x1p-60F, 0x1p100F}) {
    add(
        "raw bits",
        [&](std::size_t) {
          std::uint32_t bits = 0;
          do bits = static_cast<std::uint32_t>(random());
          while ((bits >> 23 & 0xFF) == 0xFF);
          return std::bit_cast<float>(bits);
        },
        given);
  }
  // Raw bits of a narrow range of exponents, with an amax that is too small for some blocks.
  for (const float given : {0.0F, 0.5F, 4096.0F, 65536.0F}) {
    add(
        "raw mantissas",
        [&](std::size_t) {
          const auto bits = static_cast<std::uint32_t>(random());
          return std::bit_cast<float>((bits & 0x807FFFFFU) | (120U + (bits >> 23) % 10) << 23);
        },
        given);
  }
  add(
      "zeros", [&](std::size_t i) { return i % 2 != 0 ? -0.0F : 0.0F; }, 1.0F);
  // Scales on ties of E4M3 and around the smallest normal one.
  add(
      "ties of scales",
      [&](std::size_t i) {
        const std::size_t block = i / size;
        const float scale = (16.0F + static_cast<float>(block % 17)) *
                            std::ldexp(1.0F, -4 - static_cast<int>(block / 17 % 17));
        if (i % size == 3) return 6.0F * scale;
        return scale * static_cast<float>(static_cast<int>(random() % 97) - 48) / 8.0F;
      },
      6.0F * 448.0F);
  return all;
}

}  // namespace lowbit::cases
