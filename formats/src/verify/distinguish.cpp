// SPDX-License-Identifier: MIT
#include "lowbit/distinguish.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "lowbit/dialect.hpp"
#include "lowbit/error.hpp"

namespace lowbit {
namespace {

/// Bits of a BF16 number.
float bf16_number(std::uint32_t bits) {
  return std::bit_cast<float>(bits << 16);
}
float bf16_nearest(float x) {
  return round_to_input_type(x, InputType::bfloat16);
}

class Search {
 public:
  Search(const Dialect& a, const Dialect& b, const DistinguishOptions& options)
      : a_(a),
        b_(b),
        options_(options),
        size_(static_cast<std::size_t>(options.format->block_size)) {
    for (const Dialect* d : {&a, &b}) {
      if (is_valid_rule(*options.format, options.rule, d)) continue;
      throw Error(ErrorKind::usage, fmt::format("{} has no rule {} for {}", d->name,
                                                name_of(options.rule), options.format->name));
    }
  }

  Distinction run() {
    if (edges()) return result_;
    if (selects(options_.rule) || searches(options_.rule)) {
      random();
    } else {
      exhaust();
    }
    return result_;
  }

 private:
  [[nodiscard]] bool is_mx() const { return options_.format->family() == ScaleFamily::mx; }
  [[nodiscard]] bool stopped() const { return options_.stop && options_.stop(); }

  [[nodiscard]] BlockTensor quantized(const Dialect& d, std::span<const float> x, std::size_t rows,
                                      std::size_t columns, std::optional<float> amax) const {
    QuantizeOptions o;
    o.format = options_.format;
    o.rule = options_.rule;
    o.dialect = &d;
    o.nonfinite = NonFinite::propagate;
    o.input_type = InputType::bfloat16;
    if (!is_mx()) o.amax = amax;
    return quantize(x, rows, columns, o);
  }

  /// Compares one tensor as users would quantize it; keeps it where the dialects differ.
  bool differs(const std::vector<float>& x, std::size_t columns) {
    const std::size_t rows = x.size() / columns;
    const BlockTensor p = quantized(a_, x, rows, columns, std::nullopt);
    const BlockTensor q = quantized(b_, x, rows, columns, std::nullopt);
    result_.tried += p.scales.size() + rows * columns;
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t block = 0; block < p.blocks_per_row(); ++block) {
        std::string what;
        if (p.scale(row, block) != q.scale(row, block)) {
          what = fmt::format("scale byte 0x{:02x} against 0x{:02x}", p.scale(row, block),
                             q.scale(row, block));
        }
        for (std::size_t c = block * size_;
             what.empty() && c < std::min(columns, (block + 1) * size_); ++c) {
          if (p.code(row, c) == q.code(row, c)) continue;
          what = fmt::format("column {}: code 0x{:x} against 0x{:x}", c, p.code(row, c),
                             q.code(row, c));
        }
        if (what.empty()) continue;
        result_.found = true;
        result_.what = what;
        result_.values = x;
        result_.columns = columns;
        result_.block = block;
        return true;
      }
    }
    return false;
  }

  /// Blocks [amax, 0, ...] and x, without the first where x holds the amax.
  [[nodiscard]] std::vector<float> tensor_with(float amax, std::vector<float> block) const {
    std::vector<float> x;
    const bool has =
        is_mx() || std::ranges::any_of(block, [&](float v) { return std::fabs(v) == amax; });
    if (!has) {
      x.resize(size_);
      x[0] = amax;
    }
    block.resize(size_);
    x.insert(x.end(), block.begin(), block.end());
    return x;
  }

  bool edges() {
    constexpr float inf = std::numeric_limits<float>::infinity();
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    const float largest = largest_finite(InputType::bfloat16);
    const float least = bf16_number(1);
    const float normal = std::ldexp(1.0F, -126);
    for (const std::vector<float>& block : {std::vector<float>{0.0F},
                                            {-0.0F, 0.0F},
                                            {1.0F, -0.0F},
                                            {1.0F, -0.01F},
                                            {1.0F, 0.01F},
                                            {least},
                                            {-least, normal},
                                            {normal, -least},
                                            {largest, -largest, 1.0F},
                                            {nan, 1.0F},
                                            {-nan, 1.0F},
                                            {inf, 1.0F},
                                            {-inf, inf, 1.0F}}) {
      std::vector<float> x = block;
      x.resize(size_);
      if (differs(x, size_)) return true;
      // Beside a block of ordinary numbers, and one of zeros.
      std::vector<float> beside = tensor_with(1024.0F, block);
      beside.resize(beside.size() + size_);
      if (differs(beside, beside.size())) return true;
    }
    // Scales from 1 down to 0 under one amax.
    for (int e = 0; e < 40; ++e) {
      for (const float m : {1.0F, 1.5F, 1.25F}) {
        const std::vector<float> x =
            tensor_with(1024.0F, {std::ldexp(m, 10 - e), -std::ldexp(m, 8 - e), -0.0F});
        if (differs(x, x.size())) {
          return true;
        }
      }
    }
    return false;
  }

  /// Significands of amax and block amax, and the binades between them, until the scale is 0.
  void exhaust() {
    const int gaps = is_mx() ? 1 : 20;
    // Scale bytes: all blocks of one amax are one tensor.
    const std::uint32_t amaxes = is_mx() ? 1 : 128;
    std::vector<float> x;
    for (std::uint32_t m = 0; m < amaxes; ++m) {
      if (stopped()) return;
      const float amax = bf16_number(127U << 7 | m);
      x.clear();
      for (int gap = 0; gap < gaps; ++gap) {
        for (std::uint32_t n = 0; n < 128; ++n) {
          const float b = std::ldexp(bf16_number(127U << 7 | n), -gap);
          if (!is_mx() && b > amax) continue;
          x.push_back(b);
          x.resize(x.size() + size_ - 1);
        }
      }
      if (settle(x, amax)) return;
    }
    // Codes: every element significand and binade below each block amax, in blocks of it. Elements
    // below a 64th of the block's amax have code 0 in every format of at most 4 element bits.
    const int element_gaps = options_.format->element->bits <= 4 ? 6 : 20;
    std::vector<float> elements;
    for (int gap = 0; gap < element_gaps; ++gap) {
      for (std::uint32_t n = 0; n < 128; ++n) {
        elements.push_back(std::ldexp(bf16_number(127U << 7 | n), -gap));
      }
    }
    for (std::uint32_t m = 0; m < amaxes; ++m) {
      const float amax = bf16_number(127U << 7 | m);
      for (int gap = 0; gap < gaps; ++gap) {
        if (stopped()) return;
        x.clear();
        for (std::uint32_t n = 0; n < 128; ++n) {
          const float b = bf16_number(127U << 7 | n);
          if (!is_mx() && std::ldexp(b, -gap) > amax) continue;
          std::size_t at = 0;
          while (at < elements.size()) {
            x.push_back(std::ldexp(b, -gap));
            for (std::size_t i = 1; i < size_; ++i) {
              // Elements above the block's amax are not of this block.
              while (at < elements.size() && elements[at] > b) ++at;
              const float v = at < elements.size() ? std::ldexp(elements[at++], -gap) : 0.0F;
              x.push_back(i % 2 == 0 ? -v : v);
            }
          }
        }
        if (settle(x, amax)) return;
      }
    }
    result_.exhausted = true;
  }

  /// Blocks one after another under that amax. Where one differs, the smallest tensor around it.
  bool settle(const std::vector<float>& x, float amax) {
    const BlockTensor p = quantized(a_, x, x.size() / size_, size_, amax);
    const BlockTensor q = quantized(b_, x, x.size() / size_, size_, amax);
    result_.tried += p.scales.size() + x.size();
    if (p.scales == q.scales && p.values == q.values) return false;
    const std::size_t bytes = p.value_bytes_per_row();
    for (std::size_t i = 0; i < p.scales.size(); ++i) {
      const bool same_codes =
          std::equal(p.values.begin() + static_cast<std::ptrdiff_t>(i * bytes),
                     p.values.begin() + static_cast<std::ptrdiff_t>((i + 1) * bytes),
                     q.values.begin() + static_cast<std::ptrdiff_t>(i * bytes));
      if (p.scales[i] == q.scales[i] && same_codes) continue;
      std::vector<float> block{x[i * size_]};
      for (std::size_t c = 1; p.scales[i] == q.scales[i] && c < size_; ++c) {
        if (p.code(i, c) == q.code(i, c)) continue;
        block.push_back(x[i * size_ + c]);
        break;
      }
      const std::vector<float> small = tensor_with(amax, block);
      if (differs(small, small.size())) return true;
      // The element counts in company only: keep the block whole.
      block.assign(x.begin() + static_cast<std::ptrdiff_t>(i * size_),
                   x.begin() + static_cast<std::ptrdiff_t>((i + 1) * size_));
      const std::vector<float> whole = tensor_with(amax, block);
      if (differs(whole, whole.size())) return true;
    }
    return false;
  }

  void random() {
    std::mt19937 engine(1);
    std::normal_distribution<float> normal;
    const std::size_t blocks = 8;
    std::vector<float> x(blocks * size_);
    for (std::size_t i = 0; i < options_.random_tensors && !stopped(); ++i) {
      const float spread = std::ldexp(1.0F, static_cast<int>(engine() % 7));
      for (std::size_t b = 0; b < blocks; ++b) {
        const float scale = std::pow(spread, normal(engine));
        for (std::size_t c = 0; c < size_; ++c) {
          // Few significand bits make ties of errors.
          float v = bf16_nearest(normal(engine) * scale);
          if (i % 2 == 0) {
            v = std::bit_cast<float>(std::bit_cast<std::uint32_t>(v) & 0xFFF00000U);
          }
          x[b * size_ + c] = v;
        }
      }
      if (!differs(x, x.size())) continue;
      // The amax and the block that differs are enough.
      float amax = 0.0F;
      for (const float v : x) amax = std::max(amax, std::fabs(v));
      const auto first = x.begin() + static_cast<std::ptrdiff_t>(result_.block * size_);
      const std::vector<float> small =
          tensor_with(amax, {first, first + static_cast<std::ptrdiff_t>(size_)});
      const Distinction large = result_;
      if (!differs(small, small.size())) result_ = large;
      return;
    }
  }

  const Dialect& a_;
  const Dialect& b_;
  const DistinguishOptions& options_;
  std::size_t size_;
  Distinction result_;
};

}  // namespace

Distinction distinguish(const Dialect& a, const Dialect& b, const DistinguishOptions& options) {
  return Search(a, b, options).run();
}

}  // namespace lowbit
