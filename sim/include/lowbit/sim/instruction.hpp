// SPDX-License-Identifier: MIT
/// \file
/// The tensor-core instructions: one record each, with the parameters of its arithmetic and what is
/// known about them. The arithmetic itself is mma_core.hpp; docs/tensor_cores.md explains both.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lowbit/element_format.hpp"

namespace lowbit::sim {

/// How one step of an instruction sums its products.
enum class MmaRule : std::uint8_t {
  aligned,    ///< every product and C truncated to a common window below the largest exponent
  scaled,     ///< the same, the exponents of two UE8M0 scales added to every product's (mxf8f6f4)
  grouped,    ///< products summed exactly in groups, each times its scales, groups and C truncated
              ///< to a window below the largest scale exponent (mxf4, mxf4nvf4)
  emulated,   ///< FP8 mma.sync without FP8 units: two aligned F16 steps from C = 0, then C added
              ///< outside, rounded to nearest
  fma_chain,  ///< one fused multiply-add a product, in K order: no tensor core does this; a mutant
};

/// The one rounding at the end of a step. The first three are hardware's; the others exist so that
/// tests can show that they would be noticed.
enum class FinalRounding : std::uint8_t {
  f32_toward_zero,
  e8m13_toward_zero,  ///< FP32 with 13 fraction bits (Hopper and Ada FP8)
  f16_nearest_even,
  f32_nearest_even,
  e8m13_nearest_even,
  f16_toward_zero,
};

/// What an exact sum of zero gives.
enum class ZeroSum : std::uint8_t {
  positive,                     ///< +0
  negative_if_all_negative,     ///< -0 where every product and C is -0, else +0
  negative_if_addend_negative,  ///< -0 where C is -0 and no product is nonzero: a mutant
};

/// Which window an mxf4nvf4 step with UE4M3 scales aligns to, where sources disagree.
enum class GroupWindow : std::uint8_t {
  scales,    ///< the largest scale exponent (or C's) minus the fraction bits, groups of 16
  products,  ///< the largest scaled product (or C) minus 39, at least the scales' minus 35, groups
             ///< of 4; as `scales` where C is at least as large as every product
};

/// The arithmetic of an instruction. Plain and mutable: a copy with one field changed is a mutant
/// that the same core runs.
struct MmaParameters {
  MmaRule rule = MmaRule::aligned;  ///< how a step sums
  int terms = 16;                   ///< products of one step; steps follow each other along K
  int fraction_bits = 25;           ///< of a term, below the largest exponent
  FinalRounding rounding = FinalRounding::f32_toward_zero;  ///< of the step's sum
  int exponent_of_zero = -133;  ///< the exponent at which a zero term takes part in the maximum
  /// grouped: products summed exactly before truncation (16). emulated: the two steps take
  /// alternate runs of this many products (2: k % 4 < 2, then the others). 1 elsewhere.
  int group = 1;
  ZeroSum zero_sum = ZeroSum::positive;  ///< the sign of an exact sum of zero
  /// Whether a negative nonzero sum that rounds to zero keeps its sign.
  bool underflow_keeps_sign = false;
  GroupWindow window = GroupWindow::scales;  ///< grouped, UE4M3 scales: where the window lies

  /// Whether all fields are equal.
  friend constexpr bool operator==(const MmaParameters&, const MmaParameters&) = default;
};

/// What stands behind the parameters of one instruction.
enum class MmaEvidence : std::uint8_t {
  campaign,         ///< compared with an H100 on 10^8 dot products (docs/tensor_cores.md)
  hardware_rows,    ///< recorded hardware rows are reproduced
  frozen_words,     ///< a few published hardware words are reproduced
  published_model,  ///< public models agree; no hardware word seen: matches published evidence
};
/// All of them, the strongest first.
inline constexpr MmaEvidence mma_evidences[] = {MmaEvidence::campaign, MmaEvidence::hardware_rows,
                                                MmaEvidence::frozen_words,
                                                MmaEvidence::published_model};

/// A question that the evidence leaves open for an instruction, or left open until it was settled.
struct OpenPoint {
  std::string_view name;         ///< of the parameter
  std::string_view alternative;  ///< `NAME=VALUE` for select_alternative
  std::string_view status;       ///< "open: ...", "settled: ..." or "no effect: ..."
};

/// One tensor-core instruction: its types, its shape and its arithmetic.
struct Instruction {
  std::string name;  ///< e.g. mma.Hopper.m16n8k16.f32.f16.f16.f32
  std::string_view
      architecture;  ///< Volta, Turing, Ampere, Ada_Lovelace, Hopper, Blackwell, RTX_Blackwell
  const ElementFormat* a = nullptr;      ///< element format of A
  const ElementFormat* b = nullptr;      ///< element format of B
  const ElementFormat* c = nullptr;      ///< f32 or f16
  const ElementFormat* d = nullptr;      ///< f32 or f16
  const ElementFormat* scale = nullptr;  ///< e8m0, ue4m3, or null
  int m = 0;                             ///< rows of D, as in the name
  int n = 0;                             ///< columns of D, as in the name
  int k = 0;                             ///< products per output
  int block = 0;                         ///< elements along K that share a scale; 0 without scales
  MmaParameters parameters;              ///< the arithmetic
  MmaEvidence evidence = MmaEvidence::published_model;  ///< what the parameters rest on
  std::vector<OpenPoint> open_points;                   ///< what the evidence leaves open
};

/// Every instruction, by architecture, oldest first. Built once; thread-safe.
[[nodiscard]] std::span<const Instruction> instructions();
/// The record of that name, or nullptr. M and N do not change the arithmetic, so any mM and nN in
/// the name finds the record that differs in those alone.
[[nodiscard]] const Instruction* find_instruction(std::string_view name);
/// The record of that name.
/// \throws Error (usage) that names the nearest records where there is none.
[[nodiscard]] const Instruction& instruction(std::string_view name);

/// Changes one parameter by text, `NAME=VALUE`: exponent_of_zero=N, fraction_bits=N, terms=N,
/// group=N, zero_sum=positive|negative_if_all_negative, underflow_sign=keep|drop,
/// window=scales|products, rounding=NAME as listed.
/// \throws Error (usage) for anything else.
void select_alternative(MmaParameters& parameters, std::string_view assignment);

/// The value's name, as the command prints it.
[[nodiscard]] std::string_view to_string(MmaRule rule);
/// The value's name, as the command prints it.
[[nodiscard]] std::string_view to_string(FinalRounding rounding);
/// The value's name, as the command prints it.
[[nodiscard]] std::string_view to_string(ZeroSum zero_sum);
/// The value's name, as the command prints it.
[[nodiscard]] std::string_view to_string(GroupWindow window);
/// The value's name, as the command prints it.
[[nodiscard]] std::string_view to_string(MmaEvidence evidence);
/// The value's name in one word, for tables: H100, rows, words, models.
[[nodiscard]] std::string_view short_name(MmaEvidence evidence);
/// What the value means, in one sentence.
[[nodiscard]] std::string_view meaning(MmaEvidence evidence);

/// The instructions whose name holds every word of the pattern, in any case: "hopper f16" finds
/// those of Hopper that have f16 in their names. All of them for an empty pattern.
[[nodiscard]] std::vector<const Instruction*> instructions_matching(std::string_view pattern);

}  // namespace lowbit::sim
