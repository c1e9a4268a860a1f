// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <vector>

#include "lowbit/error.hpp"
#include "transform/transforms.hpp"

namespace lowbit::detail {
namespace {

std::uint64_t splitmix64(std::uint64_t z) {
  z += 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

bool is_prime(std::size_t n) {
  if (n < 2) return false;
  for (std::size_t d = 2; d * d <= n; ++d) {
    if (n % d == 0) return false;
  }
  return true;
}

/// p of K = p * 2^k: 1 for a power of two, else the smallest order of Paley's first construction; 0
/// where there is none.
std::size_t paley_factor(std::size_t columns) {
  if (std::has_single_bit(columns)) return 1;
  for (std::size_t p = 4; p <= columns; p += 4) {
    if (columns % p == 0 && std::has_single_bit(columns / p) && is_prime(p - 1)) return p;
  }
  return 0;
}

/// P = I + S of order p, row by row.
std::vector<signed char> paley(std::size_t p) {
  const std::size_t q = p - 1;
  std::vector<signed char> chi(q, -1);
  chi[0] = 0;
  for (std::size_t a = 1; a < q; ++a) chi[a * a % q] = 1;
  std::vector<signed char> m(p * p, 0);
  for (std::size_t i = 0; i < p; ++i) {
    for (std::size_t j = 0; j < p; ++j) {
      signed char& s = m[i * p + j];
      if (i == j) {
        s = 1;
      } else if (i == 0) {
        s = 1;
      } else if (j == 0) {
        s = -1;
      } else {
        s = chi[(j + q - i) % q];
      }
    }
  }
  return m;
}

class Rotation final : public Transform {
 public:
  Rotation(std::size_t points, std::uint64_t seed) : points_(points), seed_(seed) {}

  [[nodiscard]] std::string name() const override {
    return points_ == 0 ? fmt::format("hadamard:full:{}", seed_)
                        : fmt::format("hadamard:{}:{}", points_, seed_);
  }
  void check(std::size_t columns) const override {
    if (points_ != 0 && columns % points_ != 0) {
      throw Error(ErrorKind::usage,
                  fmt::format("hadamard:{} needs a multiple of {} columns, not {}", points_,
                              points_, columns));
    }
    if (points_ == 0 && paley_factor(columns) == 0) {
      throw Error(ErrorKind::usage,
                  fmt::format("hadamard:full knows no Hadamard matrix of order {}; choose a power "
                              "of two that divides it",
                              columns));
    }
  }
  [[nodiscard]] std::size_t group_columns() const override { return points_; }
  void apply_to_weights(std::span<float> row, InputType type) const override { apply(row, type); }
  void apply_to_inputs(std::span<float> row, InputType type) const override { apply(row, type); }
  [[nodiscard]] TransformCost cost(std::size_t, std::size_t columns) const override {
    const std::size_t n = points_ == 0 ? columns : points_;
    const std::size_t p = paley_factor(n);
    const int steps = std::bit_width(n / p) - 1 + 1;
    return {0.0, static_cast<double>(columns) *
                     (static_cast<double>(steps) + (p == 1 ? 0.0 : static_cast<double>(p)))};
  }

 private:
  void apply(std::span<float> row, InputType type) const {
    const std::size_t n = points_ == 0 ? row.size() : points_;
    const std::size_t p = paley_factor(n);
    const std::vector<signed char> factor = p == 1 ? std::vector<signed char>{1} : paley(p);
    const std::size_t two = n / p;
    std::vector<double> x(n);
    std::vector<double> mixed(p);
    const double scale = std::sqrt(static_cast<double>(n));
    for (std::size_t base = 0; base + n <= row.size(); base += n) {
      for (std::size_t i = 0; i < n; ++i) {
        const bool negative = splitmix64((seed_ << 32) + i) >> 63 != 0;
        x[i] = negative ? -row[base + i] : row[base + i];
      }
      // Sylvester's factor by butterflies within each of the p parts.
      for (std::size_t a = 0; a < p; ++a) {
        double* const part = x.data() + a * two;
        for (std::size_t half = 1; half < two; half *= 2) {
          for (std::size_t i = 0; i < two; i += 2 * half) {
            for (std::size_t j = i; j < i + half; ++j) {
              const double sum = part[j] + part[j + half];
              part[j + half] = part[j] - part[j + half];
              part[j] = sum;
            }
          }
        }
      }
      for (std::size_t b = 0; b < two && p != 1; ++b) {
        for (std::size_t to = 0; to < p; ++to) {
          mixed[to] = 0.0;
          for (std::size_t a = 0; a < p; ++a) mixed[to] += factor[a * p + to] * x[a * two + b];
        }
        for (std::size_t a = 0; a < p; ++a) x[a * two + b] = mixed[a];
      }
      for (std::size_t i = 0; i < n; ++i) {
        row[base + i] = round_to_input_type(static_cast<float>(x[i] / scale), type);
      }
    }
  }

  std::size_t points_;
  std::uint64_t seed_;
};

}  // namespace

std::shared_ptr<Transform> rotation(std::size_t points, std::uint64_t seed) {
  return std::make_shared<Rotation>(points, seed);
}

}  // namespace lowbit::detail
