// SPDX-License-Identifier: MIT
#include "lowbit/sim/gemm_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "gemm/operand_coding.hpp"
#include "gemm/plain_product.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/error.hpp"

namespace lowbit::sim {
namespace {

const char* name_of(MmaSide side) {
  return side == MmaSide::a ? "A" : "B";
}

/// Column of the operand that position i of the instructions' K holds.
std::size_t column_at(const Schedule& schedule, std::size_t i) {
  const std::size_t period = schedule.column_order.size();
  return period == 0 ? i : i / period * period + schedule.column_order[i % period];
}

void check_nan_scales(const BlockTensor& t, NanScale nan_scale, MmaSide side) {
  if (nan_scale != NanScale::error) return;
  const OperandCoding& coding = operand_coding(*t.format);
  for (std::size_t i = 0; i < t.scales.size(); ++i) {
    if (!coding.scale_is_nan[t.scales[i]]) continue;
    throw Error(
        ErrorKind::invalid_input,
        fmt::format("{}: NaN scale byte 0x{:02x} at row {}, block {}; choose what it means "
                    "(--nan-scale nan or 448)",
                    name_of(side), t.scales[i], i / t.blocks_per_row(), i % t.blocks_per_row()));
  }
}

PreparedOperand block_scaled(const BlockTensor& t, const Instruction& instruction, MmaSide side,
                             const Schedule& schedule, NanScale nan_scale) {
  const ElementFormat& element = *(side == MmaSide::a ? instruction.a : instruction.b);
  const ElementFormat& scale_format = *t.format->scale;
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::usage, fmt::format("{} is {}, which {} cannot take: {}", name_of(side),
                                              t.format->name, instruction.name, why));
  };
  if (t.format->has_levels()) refuse("no instruction has levels of exponents below a scale");
  if (t.format->is_adaptive()) {
    refuse("no instruction has IF blocks; expand to FP16 with a dense f16 instruction");
  }
  if (*t.format->element != element) {
    refuse(fmt::format("its elements are {}, not {}", element.name, t.format->element->name));
  }
  // Tensor cores read E4M3 scales as UE4M3.
  const ElementFormat& wanted = *instruction.scale == ue4m3 ? e4m3 : *instruction.scale;
  if (*t.format->scale != wanted) {
    refuse(fmt::format("its scales are {}, not {}", t.format->scale->name, wanted.name));
  }
  const auto block = static_cast<std::size_t>(instruction.block);
  const auto size = static_cast<std::size_t>(t.format->block_size);
  if (size % block != 0) refuse(fmt::format("its blocks are of {}, not {}", block, size));
  if (!schedule.column_order.empty()) refuse("a column order is for dense instructions");

  const int bits = container_bits(element);
  const std::size_t row_bytes = (t.columns * static_cast<std::size_t>(bits) + 7) / 8;
  std::vector<std::uint8_t> memory(t.rows * row_bytes);
  const std::size_t blocks = (t.columns + block - 1) / block;
  std::vector<std::uint8_t> scales(t.rows * blocks);
  for (std::size_t r = 0; r < t.rows; ++r) {
    // Codes past the logical columns do not count: a kernel pads them with zeros.
    for (std::size_t k = 0; k < t.columns; ++k) {
      const auto code = static_cast<std::uint8_t>(t.code(r, k) & element.code_mask());
      if (bits == 8) {
        memory[r * row_bytes + k] = code;
      } else {
        memory[r * row_bytes + k / 2] |= static_cast<std::uint8_t>(code << (k % 2 * 4));
      }
    }
    for (std::size_t b = 0; b < blocks; ++b) {
      std::uint8_t scale = t.scale(r, b * block / size);
      // A sign bit is a flag, or nothing.
      scale = static_cast<std::uint8_t>(scale & scale_format.magnitude_mask());
      if (nan_scale == NanScale::largest && scale > scale_format.max_code()) {
        scale = static_cast<std::uint8_t>(scale_format.max_code());
      }
      scales[r * blocks + b] = scale;
    }
  }
  return {MmaOperand(instruction, side, memory, t.rows, t.columns, scales), 1, 0};
}

/// Whether the decoded word is the value itself.
bool holds(const Number& word, const Exact& value) {
  if (value.significand == 0) return word.number_class == NumberClass::zero;
  if (word.number_class != NumberClass::finite) return false;
  const int trailing_word = std::countr_zero(word.significand);
  const int trailing_value = std::countr_zero(value.significand);
  return word.significand >> trailing_word == value.significand >> trailing_value &&
         word.exponent + trailing_word == value.exponent + trailing_value;
}

/// Element times scale times d times 2^prescale in the instruction's own type.
PreparedOperand expanded(const BlockTensor& t, const Instruction& instruction, MmaSide side,
                         const Schedule& schedule, NanScale nan_scale) {
  const ElementFormat& type = *(side == MmaSide::a ? instruction.a : instruction.b);
  if (type != f16 && type != bf16 && type != tf32) {
    throw Error(ErrorKind::usage,
                fmt::format("{} is {}, which {} cannot take: use a block-scaled instruction, or a "
                            "dense f16, bf16 or tf32 one (`lowbit mma --list`)",
                            name_of(side), t.format->name, instruction.name));
  }
  const OperandCoding& coding = operand_coding(*t.format);
  const std::size_t bytes = static_cast<std::size_t>(container_bits(type)) / 8;
  const std::size_t period = schedule.column_order.size();
  // A permutation reaches into the zero padding of the last period.
  const std::size_t length = period == 0 ? t.columns : (t.columns + period - 1) / period * period;
  std::vector<std::uint8_t> memory(t.rows * length * bytes);
  ConversionPolicy policy;
  policy.overflow = Overflow::infinity;
  const auto size = static_cast<std::size_t>(t.format->block_size);
  for (std::size_t r = 0; r < t.rows; ++r) {
    for (std::size_t i = 0; i < length; ++i) {
      const std::size_t k = column_at(schedule, i);
      if (k >= t.columns) continue;
      const std::uint8_t scale = t.scale(r, k / size);
      const std::uint8_t code = t.code(r, k);
      const std::size_t kind = coding.block_kind[scale];
      std::uint32_t word = 0;
      if ((coding.scale_is_nan[scale] && nan_scale == NanScale::nan) ||
          coding.element_class[code] != NumberClass::finite) {
        word = type.nan_code();
      } else {
        const std::int64_t value =
            coding.raw[kind][code] * coding.factor[kind] * coding.scale_significand[scale];
        Exact exact;
        exact.negative = value < 0;
        exact.significand = static_cast<std::uint64_t>(value < 0 ? -value : value);
        exact.exponent = coding.element_exponent + coding.scale_exponent +
                         coding.scale_shift[scale] + schedule.prescale;
        word = round_pack(type, exact, policy);
        if (!holds(decode(type, word), exact)) {
          throw Error(
              ErrorKind::invalid_input,
              fmt::format("{}: element ({}, {}) of {} times its block scale is no exact {}; "
                          "choose another prescale or instruction",
                          name_of(side), r, k, t.format->name, type.name));
        }
      }
      if (type == tf32) word <<= 13;
      std::memcpy(memory.data() + (r * length + i) * bytes, &word, bytes);
    }
  }
  return {MmaOperand(instruction, side, memory, t.rows, length), coding.denominator,
          -schedule.prescale};
}

PreparedOperand dense(const DenseMatrix& m, const Instruction& instruction, MmaSide side,
                      const Schedule& schedule) {
  const ElementFormat& type = *(side == MmaSide::a ? instruction.a : instruction.b);
  if (instruction.scale != nullptr || *m.format != type) {
    throw Error(ErrorKind::usage,
                fmt::format("{} is a dense {} matrix; {} takes {}{}", name_of(side), m.format->name,
                            instruction.name, type.name,
                            instruction.scale != nullptr ? " with block scales" : ""));
  }
  const auto bits = static_cast<std::size_t>(container_bits(type));
  const std::size_t period = schedule.column_order.size();
  if (period == 0) {
    return {MmaOperand(instruction, side, m.bytes, m.rows, m.columns), 1, 0};
  }
  if (bits < 8) throw Error(ErrorKind::usage, "a column order is for elements of whole bytes");
  const std::size_t bytes = bits / 8;
  const std::size_t length = (m.columns + period - 1) / period * period;
  std::vector<std::uint8_t> memory(m.rows * length * bytes);
  for (std::size_t r = 0; r < m.rows; ++r) {
    for (std::size_t i = 0; i < length; ++i) {
      const std::size_t k = column_at(schedule, i);
      if (k >= m.columns) continue;
      std::memcpy(memory.data() + (r * length + i) * bytes,
                  m.bytes.data() + (r * m.columns + k) * bytes, bytes);
    }
  }
  return {MmaOperand(instruction, side, memory, m.rows, length), 1, 0};
}

std::size_t row_bytes_of(const DenseMatrix& m) {
  return (m.columns * static_cast<std::size_t>(container_bits(*m.format)) + 7) / 8;
}

template <typename T>
void copy_rows(const std::vector<T>& from, std::size_t row_size, std::span<const std::size_t> rows,
               std::vector<T>& to) {
  to.clear();
  for (const std::size_t r : rows) {
    const auto first = from.begin() + static_cast<std::ptrdiff_t>(r * row_size);
    to.insert(to.end(), first, first + static_cast<std::ptrdiff_t>(row_size));
  }
}

}  // namespace

std::size_t rows_of(const GemmOperand& operand) {
  return std::visit([](const auto& o) { return o.rows; }, operand);
}
std::size_t columns_of(const GemmOperand& operand) {
  return std::visit([](const auto& o) { return o.columns; }, operand);
}

GemmOperand select_rows(const GemmOperand& operand, std::span<const std::size_t> rows) {
  if (const auto* t = std::get_if<BlockTensor>(&operand)) {
    BlockTensor part = *t;
    part.rows = rows.size();
    copy_rows(t->values, t->value_bytes_per_row(), rows, part.values);
    copy_rows(t->scales, t->blocks_per_row(), rows, part.scales);
    return part;
  }
  const auto& m = std::get<DenseMatrix>(operand);
  DenseMatrix part{m.format, rows.size(), m.columns, {}};
  copy_rows(m.bytes, row_bytes_of(m), rows, part.bytes);
  return part;
}

PreparedOperand prepare_operand(const GemmOperand& operand, const Instruction& instruction,
                                MmaSide side, const Schedule& schedule, NanScale nan_scale) {
  const std::size_t period = schedule.column_order.size();
  if (period % static_cast<std::size_t>(instruction.k) != 0) {
    throw Error(ErrorKind::usage,
                fmt::format("schedule: column_order of {} columns; the period is a multiple of the "
                            "instruction's K, {}",
                            period, instruction.k));
  }
  if (const auto* m = std::get_if<DenseMatrix>(&operand)) {
    return dense(*m, instruction, side, schedule);
  }
  const auto& t = std::get<BlockTensor>(operand);
  check_nan_scales(t, nan_scale, side);
  return instruction.scale != nullptr ? block_scaled(t, instruction, side, schedule, nan_scale)
                                      : expanded(t, instruction, side, schedule, nan_scale);
}

TensorScales tensor_scales(const GemmOperand& a, const GemmOperand& b,
                           const PreparedOperand& prepared_a, const PreparedOperand& prepared_b) {
  TensorScales s;
  if (const auto* t = std::get_if<BlockTensor>(&a)) {
    s.amax_a = t->amax;
    s.constant_a = t->encode_constant;
  }
  if (const auto* t = std::get_if<BlockTensor>(&b)) {
    s.amax_b = t->amax;
    s.constant_b = t->encode_constant;
  }
  s.denominator = prepared_a.denominator * prepared_b.denominator;
  s.exponent = prepared_a.exponent + prepared_b.exponent;
  return s;
}

std::vector<std::uint32_t> run_gemm(const GemmOperand& a, const GemmOperand& b,
                                    const GemmModel& model, std::span<const float> c) {
  if (columns_of(a) != columns_of(b)) {
    throw Error(ErrorKind::usage,
                fmt::format("A is {} x {} and B {} x {}: D = A * B^T needs the "
                            "same number of columns (K)",
                            rows_of(a), columns_of(a), rows_of(b), columns_of(b)));
  }
  if (model.instruction == nullptr) {
    const auto* ta = std::get_if<BlockTensor>(&a);
    const auto* tb = std::get_if<BlockTensor>(&b);
    if (!c.empty()) throw Error(ErrorKind::usage, "the exact model has no source C");
    const ExactOptions options{model.nan_scale, model.tensor_scale, model.schedule.epilogue.output,
                               model.threads};
    if (ta == nullptr || tb == nullptr) return exact_plain_gemm(a, b, options);
    return exact_gemm(*ta, *tb, options);
  }
  const PreparedOperand pa =
      prepare_operand(a, *model.instruction, MmaSide::a, model.schedule, model.nan_scale);
  const PreparedOperand pb =
      prepare_operand(b, *model.instruction, MmaSide::b, model.schedule, model.nan_scale);
  return replay(*model.instruction, pa.operand, pb.operand, model.schedule,
                tensor_scales(a, b, pa, pb), c, model.threads);
}

GemmRun run_gemm(const GemmOperand& a, const GemmOperand& b, const GemmModel& model,
                 std::span<const float> c, const Watch& watch) {
  constexpr std::string_view phase = "model";
  const std::size_t m = rows_of(a);
  const std::size_t n = rows_of(b);
  const std::uint64_t products = std::uint64_t{n} * columns_of(b);
  // Parts of about 2^28 products: a fraction of a second under most models.
  const std::size_t part = static_cast<std::size_t>(
      std::clamp<std::uint64_t>((std::uint64_t{1} << 28) / std::max<std::uint64_t>(1, products), 8,
                                std::max<std::size_t>(8, m)));
  GemmRun run;
  if (m <= part) {
    run.words = run_gemm(a, b, model, c);
    run.rows = m;
    return run;
  }
  run.words.reserve(m * n);
  watch.tell(phase, 0, m);
  while (run.rows < m && !watch.stopped()) {
    std::vector<std::size_t> rows(std::min(part, m - run.rows));
    std::iota(rows.begin(), rows.end(), run.rows);
    const auto words = run_gemm(select_rows(a, rows), b, model,
                                c.empty() ? c : c.subspan(run.rows * n, rows.size() * n));
    run.words.insert(run.words.end(), words.begin(), words.end());
    run.rows += rows.size();
    watch.tell(phase, run.rows, m);
  }
  return run;
}

}  // namespace lowbit::sim
