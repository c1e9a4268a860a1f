// SPDX-License-Identifier: MIT
/// \file
/// The 16-point random Hadamard transform of the published recipe.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "lowbit/input_type.hpp"
#include "lowbit/transform.hpp"

namespace lowbit {

/// Values that are transformed together.
inline constexpr int hadamard_points = 16;

/// The published sign of each input of the transform (fouroversix and Transformer Engine share it).
inline constexpr std::array<signed char, hadamard_points> hadamard_signs{
    1, 1, 1, -1, 1, -1, -1, -1, -1, -1, -1, 1, -1, 1, -1, -1};

/// y_j = 0.25 * sum of sign_i * x_i * (-1)^popcount(i & j) over i = 0..15, added to 0 in that order
/// in binary32, then rounded to the type; every 16 values by themselves.
/// \param type  that the values are rounded to
/// \param values  a multiple of 16 of them, transformed in place. Thread-safe, no allocation.
void hadamard_transform(std::span<float> values, InputType type);

/// The same as a Transform, "hadamard": an orthogonal matrix, so weights and inputs are treated
/// alike.
[[nodiscard]] std::shared_ptr<const Transform> hadamard();

}  // namespace lowbit
