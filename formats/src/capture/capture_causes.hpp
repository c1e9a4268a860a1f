// SPDX-License-Identifier: MIT
// Why a comparison may differ from a capture: the only table of allowed causes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lowbit::detail {

/// What may differ in that configuration; empty where nothing may.
[[nodiscard]] std::string_view allowed_cause(std::string_view library,
                                             std::string_view configuration);

/// The coding of a run, as a capture has it.
struct CodedBytes {
  std::span<const std::uint8_t> scales;
  std::span<const std::uint8_t> values;
};

/// Of the blocks that differ, those whose only differences are the signs of NaN: of a NaN scale
/// byte, and of the codes of elements that are NaN when they are scaled. x86 makes a negative NaN
/// where an operation has none among its operands, and otherwise gives back the one that the
/// compiler put first.
/// \param nan_signs  the sign bits of those codes, packed as the values
[[nodiscard]] std::size_t nan_sign_only(const CodedBytes& wanted, const CodedBytes& mine,
                                        std::span<const std::uint8_t> nan_signs,
                                        const std::vector<bool>& differs);

}  // namespace lowbit::detail
