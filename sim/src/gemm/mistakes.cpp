// SPDX-License-Identifier: MIT
#include "gemm/mistakes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "lowbit/conversion.hpp"
#include "lowbit/error.hpp"
#include "lowbit/scale_layout.hpp"

namespace lowbit::sim {
namespace {

using Attempt = std::function<void(const Mistaken&)>;

Mistaken unchanged(const GemmCase& gemm, std::string name) {
  return {std::move(name), gemm.a, gemm.b, gemm.model, false, nullptr};
}

// ---- In one operand, or in both ----

BlockTensor with_swapped_nibbles(BlockTensor t) {
  for (std::uint8_t& pair : t.values) pair = static_cast<std::uint8_t>(pair << 4 | pair >> 4);
  return t;
}

/// Row-major bytes that a kernel reads as if they were swizzled.
BlockTensor with_scales_read_as_swizzled(BlockTensor t) {
  const std::size_t blocks = t.blocks_per_row();
  std::vector<std::uint8_t> memory = t.scales;
  memory.resize(std::max(memory.size(), swizzled_scale_bytes(t.rows, blocks)), 0);
  for (std::size_t r = 0; r < t.rows; ++r) {
    for (std::size_t b = 0; b < blocks; ++b) {
      t.scales[r * blocks + b] = memory[swizzled_scale_offset(r, b, blocks)];
    }
  }
  return t;
}

/// Swizzled bytes that a kernel reads as if they were row-major.
BlockTensor with_scales_read_as_linear(BlockTensor t) {
  const auto memory = swizzle_scales(t.scales, t.rows, t.blocks_per_row());
  std::copy_n(memory.begin(), t.scales.size(), t.scales.begin());
  return t;
}

BlockTensor with_transposed_scales(BlockTensor t) {
  const std::size_t blocks = t.blocks_per_row();
  const std::vector<std::uint8_t> memory = t.scales;
  for (std::size_t i = 0; i < memory.size(); ++i) {
    t.scales[i] = memory[i % blocks * t.rows + i / blocks];
  }
  return t;
}

BlockTensor without_scales(BlockTensor t) {
  const auto one = static_cast<std::uint8_t>(from_float(*t.format->scale, 1.0F));
  for (std::uint8_t& s : t.scales) {
    s = static_cast<std::uint8_t>(one | (s & t.format->integer_flag()));
  }
  return t;
}

/// Scales one block early or late along K.
BlockTensor with_shifted_scales(BlockTensor t, int by) {
  const auto blocks = static_cast<std::ptrdiff_t>(t.blocks_per_row());
  const std::vector<std::uint8_t> memory = t.scales;
  for (std::ptrdiff_t i = 0; i < static_cast<std::ptrdiff_t>(memory.size()); ++i) {
    const std::ptrdiff_t block = std::clamp<std::ptrdiff_t>(i % blocks + by, 0, blocks - 1);
    t.scales[static_cast<std::size_t>(i)] =
        memory[static_cast<std::size_t>(i / blocks * blocks + block)];
  }
  return t;
}

BlockTensor with_flags_ignored(BlockTensor t) {
  for (std::uint8_t& s : t.scales) s = t.format->scale_magnitude(s);
  return t;
}

/// Scales one block late, or early, along K.
BlockTensor with_late_scales(BlockTensor t) {
  return with_shifted_scales(std::move(t), -1);
}
BlockTensor with_early_scales(BlockTensor t) {
  return with_shifted_scales(std::move(t), 1);
}

bool is_any(const BlockFormat&) {
  return true;
}
bool is_packed(const BlockFormat& format) {
  return format.storage_bits() == 4;
}
bool is_adaptive(const BlockFormat& format) {
  return format.is_adaptive();
}

struct OperandMistake {
  const char* name;
  bool (*concerns)(const BlockFormat&);
  BlockTensor (*make)(BlockTensor);
};
constexpr OperandMistake operand_mistakes[] = {
    {"nibble order swapped in the codes", is_packed, with_swapped_nibbles},
    {"row-major block scales read as swizzled (128x4)", is_any, with_scales_read_as_swizzled},
    {"swizzled (128x4) block scales read as row-major", is_any, with_scales_read_as_linear},
    {"transposed block scales", is_any, with_transposed_scales},
    {"block scales one block late", is_any, with_late_scales},
    {"block scales one block early", is_any, with_early_scales},
    {"block scales not applied", is_any, without_scales},
    {"integer flags ignored (all blocks read as float)", is_adaptive, with_flags_ignored},
};

void in_operands(const GemmCase& gemm, const BlockTensor& a, const BlockTensor& b,
                 const Attempt& attempt) {
  for (const OperandMistake& mistake : operand_mistakes) {
    const bool on_a = mistake.concerns(*a.format);
    const bool on_b = mistake.concerns(*b.format);
    struct Side {
      bool a, b;
      const char* name;
    };
    for (const Side side :
         {Side{true, false, "A"}, Side{false, true, "B"}, Side{true, true, "A and B"}}) {
      if ((side.a && !on_a) || (side.b && !on_b)) continue;
      Mistaken v = unchanged(gemm, fmt::format("{} of {}", mistake.name, side.name));
      if (side.a) v.a = mistake.make(a);
      if (side.b) v.b = mistake.make(b);
      attempt(v);
    }
  }
  if (a.scales.size() == b.scales.size() && a.format->family() == b.format->family()) {
    Mistaken v = unchanged(gemm, "block scales of A and B exchanged");
    BlockTensor xa = a;
    BlockTensor xb = b;
    std::swap(xa.scales, xb.scales);
    v.a = std::move(xa);
    v.b = std::move(xb);
    attempt(v);
  }
}

// ---- In the tensor scales ----

/// A tensor scale is amax / constant.
struct Scale {
  float amax, constant;
  [[nodiscard]] bool is_one() const { return amax == constant; }
  [[nodiscard]] Scale inverse() const { return {constant, amax}; }
};
struct Scales {
  Scale a, b;
  [[nodiscard]] bool both() const { return !a.is_one() && !b.is_one(); }
  [[nodiscard]] bool can_be_inverted() const { return a.amax > 0 && b.amax > 0; }
  [[nodiscard]] Scales with_constant(float c) const { return {{a.amax, c}, {b.amax, c}}; }
};
constexpr Scale one{1, 1};

struct ScaleMistake {
  const char* name;
  bool (*concerns)(const Scales&);
  Scales (*make)(const Scales&);
};
constexpr ScaleMistake scale_mistakes[] = {
    {"neither tensor scale applied", [](const Scales& s) { return s.both(); },
     [](const Scales&) {
       return Scales{one, one};
     }},
    {"tensor scale of A not applied", [](const Scales& s) { return !s.a.is_one(); },
     [](const Scales& s) {
       return Scales{one, s.b};
     }},
    {"tensor scale of B not applied", [](const Scales& s) { return !s.b.is_one(); },
     [](const Scales& s) {
       return Scales{s.a, one};
     }},
    {"tensor scale of A inverted",
     [](const Scales& s) { return s.can_be_inverted() && !s.a.is_one(); },
     [](const Scales& s) {
       return Scales{s.a.inverse(), s.b};
     }},
    {"tensor scale of B inverted",
     [](const Scales& s) { return s.can_be_inverted() && !s.b.is_one(); },
     [](const Scales& s) {
       return Scales{s.a, s.b.inverse()};
     }},
    {"both tensor scales inverted", [](const Scales& s) { return s.can_be_inverted() && s.both(); },
     [](const Scales& s) {
       return Scales{s.a.inverse(), s.b.inverse()};
     }},
    {"tensor scales without the encode constants (amax alone)",
     [](const Scales& s) { return s.a.constant != 1 || s.b.constant != 1; },
     [](const Scales& s) { return s.with_constant(1); }},
};

/// C = Q * M with the other of the two M that a format can have: the largest scale, or the one that
/// leaves room for second_element().
void wrong_encode_constants(const GemmCase& gemm, const BlockTensor& a, const BlockTensor& b,
                            const Attempt& attempt) {
  using Largest = float (*)(const BlockFormat&);
  constexpr Largest full = [](const BlockFormat& f) { return f.largest_scale(); };
  constexpr Largest reduced = [](const BlockFormat& f) { return f.headroom_scale(); };
  struct Exchange {
    Largest is, should_be;
  };
  for (const Exchange exchange : {Exchange{full, reduced}, Exchange{reduced, full}}) {
    const auto constant = [](const BlockTensor& t, Largest m) {
      return t.format->largest_element() * m(*t.format);
    };
    if (a.encode_constant != constant(a, exchange.is) &&
        b.encode_constant != constant(b, exchange.is))
      continue;
    const BlockFormat& f = a.encode_constant == constant(a, exchange.is) ? *a.format : *b.format;
    Mistaken v =
        unchanged(gemm, fmt::format("encode constant {} ({} -> {}) where the tensors have {}",
                                    f.largest_element() * exchange.should_be(f), exchange.is(f),
                                    exchange.should_be(f), f.largest_element() * exchange.is(f)));
    BlockTensor xa = a;
    BlockTensor xb = b;
    xa.encode_constant = constant(a, exchange.should_be);
    xb.encode_constant = constant(b, exchange.should_be);
    v.a = std::move(xa);
    v.b = std::move(xb);
    attempt(v);
  }
}

/// How the model applies tensor scales, or does not.
struct Application {
  const char* name;
  TensorScale exact_model;
  AlphaRule instructions;
};
constexpr Application applied[] = {
    {"tensor scales applied (ask for --tensor-scale fp32)", TensorScale::fp32, AlphaRule::product},
    {"tensor scales applied, rounded once (ask for --tensor-scale exact)", TensorScale::exact,
     AlphaRule::exact},
};
constexpr Application applied_otherwise[] = {
    {"tensor scales applied exactly, with one rounding", TensorScale::exact, AlphaRule::exact},
    {"tensor scales applied in FP32 after rounding", TensorScale::fp32, AlphaRule::product},
};

void in_tensor_scales(const GemmCase& gemm, const BlockTensor& a, const BlockTensor& b,
                      const Attempt& attempt) {
  const Scales scales{{a.amax, a.encode_constant}, {b.amax, b.encode_constant}};
  const GemmModel& model = gemm.model;
  const bool are_applied = model.instruction == nullptr
                               ? model.tensor_scale != TensorScale::none
                               : model.schedule.epilogue.scale != AlphaRule::none;
  if (!are_applied) {
    if (scales.a.is_one() && scales.b.is_one()) return;
    for (const Application& how : applied) {
      Mistaken v = unchanged(gemm, how.name);
      v.model.tensor_scale = how.exact_model;
      v.model.schedule.epilogue.scale = how.instructions;
      attempt(v);
    }
    return;
  }
  for (const ScaleMistake& mistake : scale_mistakes) {
    if (!mistake.concerns(scales)) continue;
    const Scales wrong = mistake.make(scales);
    Mistaken v = unchanged(gemm, mistake.name);
    BlockTensor xa = a;
    BlockTensor xb = b;
    xa.amax = wrong.a.amax;
    xa.encode_constant = wrong.a.constant;
    xb.amax = wrong.b.amax;
    xb.encode_constant = wrong.b.constant;
    v.a = std::move(xa);
    v.b = std::move(xb);
    attempt(v);
  }
  wrong_encode_constants(gemm, a, b, attempt);
  for (const Application& how : applied_otherwise) {
    if (model.instruction != nullptr || how.exact_model == model.tensor_scale) continue;
    Mistaken v = unchanged(gemm, how.name);
    v.model.tensor_scale = how.exact_model;
    attempt(v);
  }
}

// ---- In the arithmetic ----

bool takes(const GemmCase& gemm, const Instruction& instruction) {
  const std::size_t row[] = {0};
  const GemmModel& model = gemm.model;
  try {
    (void)prepare_operand(select_rows(gemm.a, row), instruction, MmaSide::a, model.schedule,
                          model.nan_scale);
    (void)prepare_operand(select_rows(gemm.b, row), instruction, MmaSide::b, model.schedule,
                          model.nan_scale);
  } catch (const Error&) {
    return false;
  }
  return true;
}

AlphaRule rule_of(const GemmModel& model) {
  if (model.instruction != nullptr) return model.schedule.epilogue.scale;
  if (model.tensor_scale == TensorScale::none) return AlphaRule::none;
  return model.tensor_scale == TensorScale::exact ? AlphaRule::exact : AlphaRule::product;
}

void rounded_on_the_way(const GemmCase& gemm, const Attempt& attempt) {
  if (*gemm.model.schedule.epilogue.output != f32) return;
  for (const ElementFormat* through : {&f16, &bf16}) {
    Mistaken v = unchanged(gemm, fmt::format("D rounded to {} and widened", through->name));
    v.through = through;
    attempt(v);
  }
}

void exact_sums(const GemmCase& gemm, const Attempt& attempt) {
  const GemmModel& model = gemm.model;
  if (model.instruction == nullptr || gemm.has_c || model.schedule.epilogue.alpha) return;
  const AlphaRule rule = rule_of(model);
  Mistaken v = unchanged(gemm, "the exact sums, rounded once");
  v.model.instruction = nullptr;
  v.model.tensor_scale = rule == AlphaRule::none    ? TensorScale::none
                         : rule == AlphaRule::exact ? TensorScale::exact
                                                    : TensorScale::fp32;
  attempt(v);
  if (v.model.tensor_scale != TensorScale::fp32) return;
  v.name = "the exact product, tensor scales included, rounded once (the model `exact`)";
  v.model.tensor_scale = TensorScale::exact;
  attempt(v);
}

/// Other instructions that can take the operands, one for each set of parameters, and a chain of
/// fused multiply-adds.
void other_instructions(const GemmCase& gemm, const Attempt& attempt) {
  const GemmModel& model = gemm.model;
  // Kernels apply tensor scales in FP32, whatever was asked of the exact model.
  std::vector<AlphaRule> rules{rule_of(model)};
  const bool plain = std::holds_alternative<DenseMatrix>(gemm.a);
  if (rules[0] == AlphaRule::exact && !plain) rules.push_back(AlphaRule::product);
  const auto attempt_with = [&](const Instruction& instruction, const std::string& name) {
    for (const AlphaRule scale : rules) {
      Mistaken v = unchanged(gemm, "");
      v.model.instruction = &instruction;
      v.model.schedule.epilogue.scale = scale;
      v.name = fmt::format("{}, {}", name, describe(v.model.schedule));
      attempt(v);
    }
  };
  std::vector<std::pair<MmaParameters, int>> seen;
  const auto differs = [&](const Instruction& i) {
    const std::pair<MmaParameters, int> key{i.parameters, i.k};
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) return false;
    seen.push_back(key);
    return true;
  };
  const Instruction* const own = model.instruction;
  if (own != nullptr) (void)differs(*own);
  const Instruction* any = own;
  for (const Instruction& other : instructions()) {
    // A plain operand meets the dense instructions of its own element type.
    const bool same_types = own == nullptr
                                ? (other.scale == nullptr) == plain
                                : other.a == own->a && other.b == own->b && other.d == own->d &&
                                      (other.scale == nullptr) == (own->scale == nullptr);
    if (!same_types || !takes(gemm, other) || !differs(other)) continue;
    if (any == nullptr) any = &other;
    attempt_with(other, fmt::format("instruction {}", other.name));
  }
  if (any == nullptr || any->d != &f32) return;
  Instruction chain = *any;
  chain.parameters.rule = MmaRule::fma_chain;
  attempt_with(chain, "FP32 fused multiply-adds, one product at a time");
}

// ---- Along K ----

/// Codes of columns [first, last) zero: what a kernel that skips them computes.
GemmOperand without_columns(const GemmOperand& operand, std::size_t first, std::size_t last) {
  BlockTensor t = std::get<BlockTensor>(operand);
  last = std::min(last, t.columns);
  for (std::size_t r = 0; r < t.rows; ++r) {
    std::uint8_t* row = t.values.data() + r * t.value_bytes_per_row();
    for (std::size_t k = first; k < last; ++k) {
      if (t.format->storage_bits() == 8) {
        row[k] = 0;
      } else {
        row[k / 2] &= k % 2 == 0 ? 0xF0 : 0x0F;
      }
    }
  }
  return t;
}

void missing_columns(const GemmCase& gemm, const Attempt& attempt) {
  const std::size_t columns = columns_of(gemm.a);
  constexpr std::size_t tiles[] = {16, 32, 64, 128, 256};
  for (const std::size_t tile : tiles) {
    if (tile >= columns || columns / tile > 64) continue;
    for (std::size_t first = 0; first < columns; first += tile) {
      const std::size_t last = std::min(first + tile, columns);
      Mistaken v = unchanged(gemm, fmt::format("columns {} to {} of K left out", first, last - 1));
      v.a = without_columns(gemm.a, first, last);
      attempt(v);
      if (first == 0 || last == columns) continue;
      v.name = fmt::format("K ends after column {}", first - 1);
      v.a = without_columns(gemm.a, first, columns);
      attempt(v);
    }
  }
}

}  // namespace

void for_each_mistake(const GemmCase& gemm, const Attempt& attempt) {
  if (gemm.rows != 1 || gemm.columns != 1) {
    Mistaken v = unchanged(gemm, "D is stored transposed, or A and B are swapped");
    v.transposed = true;
    attempt(v);
  }
  const auto* a = std::get_if<BlockTensor>(&gemm.a);
  const auto* b = std::get_if<BlockTensor>(&gemm.b);
  if (a != nullptr && b != nullptr) {
    in_operands(gemm, *a, *b, attempt);
    in_tensor_scales(gemm, *a, *b, attempt);
  }
  rounded_on_the_way(gemm, attempt);
  exact_sums(gemm, attempt);
  other_instructions(gemm, attempt);
  if (a != nullptr) missing_columns(gemm, attempt);
}

}  // namespace lowbit::sim
