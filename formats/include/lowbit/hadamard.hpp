// SPDX-License-Identifier: MIT
/// \file
/// The 16-point random Hadamard transform of the published recipe.
#pragma once

#include <array>
#include <span>

#include "lowbit/quantize.hpp"

namespace lowbit {

inline constexpr int hadamard_points = 16;

/// The published sign of each input of the transform (fouroversix and Transformer Engine share it).
inline constexpr std::array<signed char, hadamard_points> hadamard_signs{
    1, 1, 1, -1, 1, -1, -1, -1, -1, -1, -1, 1, -1, 1, -1, -1};

/// The value as the type can hold it: to nearest even, overflow to infinity.
[[nodiscard]] float round_to_input_type(float value, InputType type);
/// The largest finite value of the type.
[[nodiscard]] float largest_finite(InputType type);

/// y_j = 0.25 * sum of sign_i * x_i * (-1)^popcount(i & j) over i = 0..15, added to 0 in that order
/// in binary32, then rounded to the type; every 16 values by themselves.
/// \param values  a multiple of 16 of them, transformed in place. Thread-safe, no allocation.
void hadamard_transform(std::span<float> values, InputType type);

}  // namespace lowbit
