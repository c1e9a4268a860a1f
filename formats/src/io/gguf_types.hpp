// SPDX-License-Identifier: MIT
// The numbers of ggml_type; those that ggml has withdrawn (4, 5, 31 to 33, 36 to 38) are not
// listed.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "lowbit/dtype.hpp"

namespace lowbit {

inline constexpr std::pair<std::uint32_t, std::string_view> ggml_types[] = {
    {0, "F32"},           {1, "F16"},          {2, "GGML_Q4_0"},     {3, "GGML_Q4_1"},
    {6, "GGML_Q5_0"},     {7, "GGML_Q5_1"},    {8, "GGML_Q8_0"},     {9, "GGML_Q8_1"},
    {10, "GGML_Q2_K"},    {11, "GGML_Q3_K"},   {12, "GGML_Q4_K"},    {13, "GGML_Q5_K"},
    {14, "GGML_Q6_K"},    {15, "GGML_Q8_K"},   {16, "GGML_IQ2_XXS"}, {17, "GGML_IQ2_XS"},
    {18, "GGML_IQ3_XXS"}, {19, "GGML_IQ1_S"},  {20, "GGML_IQ4_NL"},  {21, "GGML_IQ3_S"},
    {22, "GGML_IQ2_S"},   {23, "GGML_IQ4_XS"}, {24, "I8"},           {25, "I16"},
    {26, "I32"},          {27, "I64"},         {28, "F64"},          {29, "GGML_IQ1_M"},
    {30, "BF16"},         {34, "GGML_TQ1_0"},  {35, "GGML_TQ2_0"},   {39, "GGML_MXFP4"},
    {40, "GGML_NVFP4"}};

/// The dtype of that number, or null.
inline const Dtype* dtype_of_ggml(std::uint32_t type) {
  for (const auto& [number, name] : ggml_types) {
    if (number == type) return find_dtype(name);
  }
  return nullptr;
}
/// The number of that dtype; nullopt where GGUF has none.
inline std::optional<std::uint32_t> ggml_number_of(const Dtype& dtype) {
  for (const auto& [number, name] : ggml_types) {
    if (name == dtype.name) return number;
  }
  return std::nullopt;
}

}  // namespace lowbit
