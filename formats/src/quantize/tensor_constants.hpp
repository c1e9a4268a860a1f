// SPDX-License-Identifier: MIT
// What is computed once per tensor, before any block.
#pragma once

#include "lowbit/dialect.hpp"
#include "lowbit/quantize.hpp"

namespace lowbit::detail {

struct TensorConstants {
  const BlockFormat* format = nullptr;
  const Dialect* dialect = nullptr;
  ScaleRule rule = ScaleRule::static_6;
  ElementRounding rounding = ElementRounding::nearest;
  InputType input_type = InputType::float32;
  int search_radius = 0;       ///< of the rule `search`; 0: every byte
  bool scale_is_e4m3 = false;  ///< the scale format whose conversion is specialised
  bool selects = false;        ///< whether two candidates compete
  /// Whether the scale of a block and its elements follow the chain that canonical shares with many
  /// dialects; others go through scale_chain.hpp.
  bool plain_chain = true;
  bool plain_elements = true;    ///< whether no axis deviates from the ideal element conversion
  float amax = 0.0F;             ///< A
  int range_exponent = 0;        ///< k
  float scaled_amax = 0.0F;      ///< A'
  float largest_element = 0.0F;  ///< Q
  float encode_constant = 1.0F;  ///< C
  float scale_max = 1.0F;        ///< M
  float error_constant = 1.0F;
  bool multiplies_reciprocal =
      false;                      ///< by error_reciprocal, where others divide by error_constant
  float error_reciprocal = 1.0F;  ///< fl(1 / error_constant)
  float encode_scale = 0.0F;      ///< S
  float decode_scale = 0.0F;      ///< fl(1 / S)
  float integer_expand = 1.0F;    ///< E
  float integer_shrink = 1.0F;    ///< R
  float second_ratio = 1.0F;      ///< Q over the element value of the second candidate (E2M1: 1.5)
};

/// The scales of a tensor, and nothing else of it.
struct TensorScales {
  float encode = 0.0F;  ///< S
  float decode = 0.0F;  ///< D
};
/// \param constant  C. \param input_type  T
[[nodiscard]] TensorScales tensor_scales(const Dialect& dialect, float constant, float amax,
                                         InputType input_type);

/// \param amax  the tensor's, measured or given. \throws Error(usage)
[[nodiscard]] TensorConstants make_constants(const QuantizeOptions& options, float amax);

}  // namespace lowbit::detail
