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
  int search_radius = 0;         ///< of the rule `search`; 0: every byte
  bool scale_is_e4m3 = false;    ///< the scale format whose conversion is specialised
  bool selects = false;          ///< whether two candidates compete
  float amax = 0.0F;             ///< A
  int range_exponent = 0;        ///< k
  float scaled_amax = 0.0F;      ///< A'
  float largest_element = 0.0F;  ///< Q
  float encode_constant = 1.0F;  ///< C
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

/// \param amax  the tensor's, measured or given. \throws Error(usage)
[[nodiscard]] TensorConstants make_constants(const QuantizeOptions& options, float amax);

}  // namespace lowbit::detail
