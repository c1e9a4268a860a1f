// SPDX-License-Identifier: MIT
#include "gemm/plain_product.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "gemm/operand_coding.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/detail/parallel.hpp"
#include "lowbit/error.hpp"

namespace lowbit::sim {
namespace {

/// Numbers as integers times powers of two: element = significand * 2^exponent / denominator.
struct Rows {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<std::int64_t> significands;
  std::vector<std::int16_t> exponents;
  std::vector<NumberClass> classes;       ///< zero stands for every finite number
  std::vector<std::uint8_t> has_special;  ///< per row: NaN or infinity
  std::vector<int> low, high;  ///< per row: every element is a multiple of 2^low, below 2^high
  /// Rows whose elements fit 63 bits in units of 2^low hold them so.
  std::vector<std::int64_t> aligned;
  std::uint32_t denominator = 1;
  float amax = 1.0F;
  float constant = 1.0F;
};

void align(Rows& r) {
  r.low.assign(r.rows, 0);
  r.high.assign(r.rows, 0);
  r.aligned.assign(r.significands.size(), 0);
  for (std::size_t i = 0; i < r.rows; ++i) {
    int low = std::numeric_limits<int>::max();
    int high = std::numeric_limits<int>::min();
    for (std::size_t at = i * r.columns; at < (i + 1) * r.columns; ++at) {
      const auto magnitude = static_cast<std::uint64_t>(std::abs(r.significands[at]));
      if (magnitude == 0) continue;
      low = std::min(low, r.exponents[at] + std::countr_zero(magnitude));
      high = std::max(high, r.exponents[at] + static_cast<int>(std::bit_width(magnitude)));
    }
    if (low > high) continue;  // a row of zeros
    r.low[i] = low;
    r.high[i] = high;
    if (high - low > 62) continue;
    for (std::size_t at = i * r.columns; at < (i + 1) * r.columns; ++at) {
      const int shift = r.exponents[at] - low;
      const std::int64_t s = r.significands[at];
      // A negative shift drops only zero bits: low counts the trailing ones.
      r.aligned[at] = s == 0 ? 0 : shift >= 0 ? s * (std::int64_t{1} << shift) : s >> -shift;
    }
  }
}

Rows rows_of_matrix(const DenseMatrix& m) {
  Rows r;
  r.rows = m.rows;
  r.columns = m.columns;
  const std::size_t count = m.rows * m.columns;
  r.significands.resize(count);
  r.exponents.resize(count);
  r.classes.assign(count, NumberClass::zero);
  r.has_special.assign(m.rows, 0);
  const auto row_bytes = m.rows == 0 ? 0 : m.bytes.size() / m.rows;
  for (std::size_t i = 0; i < m.rows; ++i) {
    const auto codes =
        unpack_codes(*m.format, std::span(m.bytes).subspan(i * row_bytes, row_bytes), m.columns);
    for (std::size_t k = 0; k < m.columns; ++k) {
      const Number n = decode(*m.format, codes[k]);
      const std::size_t at = i * m.columns + k;
      const auto significand = static_cast<std::int64_t>(n.significand);
      if (n.number_class == NumberClass::nan || n.number_class == NumberClass::infinity) {
        r.classes[at] = n.number_class;
        r.significands[at] = n.negative ? -1 : 1;
        r.has_special[i] = 1;
        continue;
      }
      if (n.number_class == NumberClass::zero) continue;
      r.significands[at] = n.negative ? -significand : significand;
      r.exponents[at] = static_cast<std::int16_t>(n.exponent);
    }
  }
  return r;
}

Rows rows_of_blocks(const BlockTensor& t, NanScale nan_scale, const char* name) {
  const OperandCoding& coding = operand_coding(*t.format);
  Rows r;
  r.rows = t.rows;
  r.columns = t.columns;
  r.denominator = coding.denominator;
  r.amax = t.amax;
  r.constant = t.encode_constant;
  const std::size_t count = t.rows * t.columns;
  r.significands.resize(count);
  r.exponents.resize(count);
  r.classes.assign(count, NumberClass::zero);
  r.has_special.assign(t.rows, 0);
  const auto size = static_cast<std::size_t>(t.format->block_size);
  for (std::size_t i = 0; i < t.rows; ++i) {
    for (std::size_t k = 0; k < t.columns; ++k) {
      const std::size_t at = i * t.columns + k;
      const std::uint8_t scale = t.scale(i, k / size);
      const std::uint8_t code = t.code(i, k);
      const std::size_t kind = coding.block_kind[scale];
      if (coding.scale_is_nan[scale] && nan_scale == NanScale::error) {
        throw Error(ErrorKind::invalid_input,
                    fmt::format("{}: NaN scale byte 0x{:02x} at row {}, block {}; choose what it "
                                "means (--nan-scale nan or 448)",
                                name, scale, i, k / size));
      }
      const bool nan = coding.scale_is_nan[scale] && nan_scale == NanScale::nan;
      const NumberClass element = coding.element_class[code];
      if (nan || element == NumberClass::nan || element == NumberClass::infinity) {
        r.classes[at] = nan || coding.scale_significand[scale] == 0 ? NumberClass::nan : element;
        r.significands[at] = (code & t.format->element->sign_mask()) != 0 ? -1 : 1;
        r.has_special[i] = 1;
        continue;
      }
      r.significands[at] =
          coding.raw[kind][code] * coding.factor[kind] * coding.scale_significand[scale];
      r.exponents[at] = static_cast<std::int16_t>(coding.element_exponent + coding.scale_exponent +
                                                  coding.scale_shift[scale]);
    }
  }
  return r;
}

Rows rows_of_operand(const GemmOperand& operand, NanScale nan_scale, const char* name) {
  const auto* t = std::get_if<BlockTensor>(&operand);
  Rows r = t != nullptr ? rows_of_blocks(*t, nan_scale, name)
                        : rows_of_matrix(std::get<DenseMatrix>(operand));
  align(r);
  return r;
}

/// The class of a sum with NaN or infinities among its terms; zero where all are finite.
ExactValue special_sum(const Rows& a, std::size_t i, const Rows& b, std::size_t j,
                       std::size_t first, std::size_t last) {
  bool nan = false, positive = false, negative = false;
  for (std::size_t k = first; k < last; ++k) {
    const std::size_t at_a = i * a.columns + k;
    const std::size_t at_b = j * b.columns + k;
    const NumberClass ca = a.classes[at_a];
    const NumberClass cb = b.classes[at_b];
    if (ca == NumberClass::zero && cb == NumberClass::zero) continue;
    // 0 * infinity is NaN; a special element's significand holds its sign.
    if (ca == NumberClass::nan || cb == NumberClass::nan || a.significands[at_a] == 0 ||
        b.significands[at_b] == 0) {
      nan = true;
    } else {
      ((a.significands[at_a] < 0) != (b.significands[at_b] < 0) ? negative : positive) = true;
    }
  }
  ExactValue v;
  if (nan || (positive && negative)) {
    v.number_class = NumberClass::nan;
  } else if (positive || negative) {
    v.number_class = NumberClass::infinity;
    v.negative = negative;
  }
  return v;
}

/// -149 - 149 is the smallest exponent of a product of FP32 numbers; E8M0 scales reach -127 below
/// an element's unit, so that no product of this project's formats lies below 2^-320. The largest
/// is below 2^283: 2^603 units, and 2^36 of them fit the 640 bits.
constexpr int wide_base = -320;

ExactValue dot(const Rows& a, std::size_t i, const Rows& b, std::size_t j, std::size_t first,
               std::size_t last) {
  ExactValue v;
  if (a.has_special[i] != 0 || b.has_special[j] != 0) {
    v = special_sum(a, i, b, j, first, last);
    if (v.number_class != NumberClass::zero) return v;
  }
  v.denominator = a.denominator * b.denominator;
  const std::size_t at_a = i * a.columns;
  const std::size_t at_b = j * b.columns;
  const int span_a = a.high[i] - a.low[i];
  const int span_b = b.high[j] - b.low[j];
  const int bits = span_a + span_b + static_cast<int>(std::bit_width(last - first)) + 1;
  if (span_a <= 62 && span_b <= 62 && bits <= 127) {
    v.exponent = a.low[i] + b.low[j];
    const std::int64_t* x = a.aligned.data() + at_a;
    const std::int64_t* y = b.aligned.data() + at_b;
    if (bits <= 63) {
      std::int64_t sum = 0;
      for (std::size_t k = first; k < last; ++k) sum += x[k] * y[k];
      v.integer = WideInteger(sum);
    } else {
      Int128 sum = 0;
      for (std::size_t k = first; k < last; ++k) sum += static_cast<Int128>(x[k]) * y[k];
      v.integer = WideInteger(sum);
    }
  } else {
    v.exponent = wide_base;
    for (std::size_t k = first; k < last; ++k) {
      const Int128 product =
          static_cast<Int128>(a.significands[at_a + k]) * b.significands[at_b + k];
      if (product == 0) continue;
      v.integer.add_shifted(product, a.exponents[at_a + k] + b.exponents[at_b + k] - wide_base);
    }
  }
  if (!v.integer.is_zero()) {
    v.number_class = NumberClass::finite;
    v.negative = v.integer.is_negative();
  }
  return v;
}

}  // namespace

ExactValue exact_plain_dot(const GemmOperand& a, std::size_t i, const GemmOperand& b, std::size_t j,
                           std::size_t first, std::size_t last, NanScale nan_scale) {
  const Rows ra = rows_of_operand(a, nan_scale, "A");
  const Rows rb = rows_of_operand(b, nan_scale, "B");
  return dot(ra, i, rb, j, first, last);
}

std::vector<std::uint32_t> exact_plain_gemm(const GemmOperand& a, const GemmOperand& b,
                                            const ExactOptions& options) {
  const Rows ra = rows_of_operand(a, options.nan_scale, "A");
  const Rows rb = rows_of_operand(b, options.nan_scale, "B");
  const ElementFormat& to = *options.output;
  // One binary32 operation each, in this order: the expression of TensorScale::fp32.
  const float scale_a = ra.amax / ra.constant;
  const float scale_b = rb.amax / rb.constant;
  const float alpha = scale_a * scale_b;
  std::vector<std::uint32_t> words(ra.rows * rb.rows);
  lowbit::detail::parallel_chunks(
      ra.rows, 4, options.threads, [&](std::size_t first, std::size_t last) {
        for (std::size_t j = 0; j < rb.rows; ++j) {
          for (std::size_t i = first; i < last; ++i) {
            const ExactValue value = dot(ra, i, rb, j, 0, ra.columns);
            std::uint32_t& word = words[i * rb.rows + j];
            if (options.tensor_scale == TensorScale::exact) {
              word = round_exact_scaled(value, to, ra.amax, ra.constant, rb.amax, rb.constant);
            } else if (options.tensor_scale == TensorScale::none) {
              word = round_exact(value, to);
            } else {
              ConversionPolicy policy;
              policy.overflow = Overflow::infinity;
              word = from_float(to, round_to_float(value) * alpha, policy);
            }
          }
        }
      });
  return words;
}

}  // namespace lowbit::sim
