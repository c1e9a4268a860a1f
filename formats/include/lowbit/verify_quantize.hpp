// SPDX-License-Identifier: MIT
/// \file
/// Another program's quantized tensor held to what quantize() gives: equal byte for byte, or which
/// single decision made the difference. What is not known of the dump's making (format, rule,
/// dialect, layout) is searched for. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lowbit/communicator.hpp"
#include "lowbit/layout.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/tensor_matrix.hpp"

namespace lowbit {

/// A quantized tensor as some program stored it.
struct QuantizedDump {
  std::string name;                        ///< of the tensor, for messages
  std::vector<std::uint8_t> values;        ///< codes as stored
  std::vector<std::uint8_t> scales;        ///< scale bytes as stored; empty where fused
  std::vector<std::uint64_t> scale_shape;  ///< of the stored scale bytes; empty where fused
  std::optional<float> tensor_scale;       ///< the number beside the blocks, where there is one
};

/// The same with bytes that stay where they are, as in a file.
struct StoredDump {
  std::string name;                        ///< of the tensor, for messages
  std::span<const std::uint8_t> values;    ///< codes as stored
  std::span<const std::uint8_t> scales;    ///< scale bytes as stored; empty where fused
  std::vector<std::uint64_t> scale_shape;  ///< of the stored scale bytes; empty where fused
  std::optional<float> tensor_scale;       ///< the number beside the blocks, where there is one
};

/// What differs between a tensor and what quantize() gives.
struct QuantizedDifference {
  std::size_t blocks = 0;       ///< all of them
  std::size_t different = 0;    ///< blocks with another scale byte or another code
  std::size_t scales = 0;       ///< scale bytes that differ
  std::size_t codes = 0;        ///< codes that differ, padding left out
  bool amax_differs = false;    ///< bit for bit
  std::size_t first_row = 0;    ///< of the first different block, where there is one
  std::size_t first_block = 0;  ///< index of that block along its row

  /// Whether no block and no amax differs.
  [[nodiscard]] bool equal() const { return different == 0 && !amax_differs; }
};

/// What is known of a dump's making, and what is to be searched for.
struct VerifyRequest {
  /// What the metadata declare or the user gives: format and dialect are null and the rule is
  /// absent where nobody says; those are searched for. The other members are taken as they are.
  QuantizeOptions declared{};
  std::optional<Layout> layout{};  ///< absent: searched for
  /// Whether `layout` says what the tensor scale is; otherwise the number says: amax, multiplier,
  /// divisor.
  bool tensor_scale_declared = true;
  bool search_format = false;   ///< although it is declared
  bool search_rule = false;     ///< although it is declared
  bool search_dialect = false;  ///< although it is declared
  bool search_layout = false;   ///< although it is declared
  /// Where a dialect is searched for: those to try; empty: all.
  std::vector<std::string> dialects{};
  /// declared.amax was measured, on more than this tensor: another stored one is stale.
  bool amax_is_measured = false;
  /// "axis=value": set in every dialect.
  std::vector<std::string> axes{};
  unsigned threads = 0;  ///< 0: one per core; the result is the same
  /// The processes that share the comparisons, all of which get the result; null: this one alone.
  const Communicator* ranks = nullptr;
};

/// Why a dump differs. The names are a contract.
enum class Cause : std::uint8_t {
  nibble_order,    ///< two 4-bit codes of a byte are exchanged, or in ggml's order
  scale_layout,    ///< the scale bytes lie in another order
  negative_zero,   ///< the sign of zeros
  scale_rounding,  ///< how the block scale became a byte
  scale_max,       ///< the largest block scale M
  fp16_input,      ///< the inputs were rounded to F16 first
  stale_amax,      ///< the stored amax is not that of the tensor
  element_tie,     ///< how elements on a tie, or elements at all, are rounded
  zero_block,      ///< blocks of zeros, and scales of zero
  selection,       ///< which way of coding a block was chosen
  saturation,      ///< what lies above the largest element or scale
  dialect,         ///< other arithmetic
};
/// Every cause, in the order in which they are tried.
[[nodiscard]] std::span<const Cause> causes();
/// The cause's name, as text and JSON have it.
[[nodiscard]] std::string_view name_of(Cause cause);

/// One way in which a dump could have been made.
struct Combination {
  const BlockFormat* format = nullptr;   ///< of the blocks
  ScaleRule rule = ScaleRule::static_6;  ///< of the scales
  std::optional<float> scale_max{};      ///< M, where it is not the rule's own
  std::string dialect;                   ///< its name, with the axes that the caller set
  Layout layout{};                       ///< of codes and scale bytes
  std::size_t different = 0;             ///< blocks that differ, of those compared
  std::size_t compared = 0;              ///< blocks that were compared: all of them
  bool tensor_scale_equal = true;        ///< whether the stored number is the one that follows
};
/// "nvfp4 static_6, canonical, low_first,linear,u8,amax".
[[nodiscard]] std::string describe(const Combination& combination);

/// A cause, and where it shows first.
struct CauseFinding {
  Cause cause = Cause::dialect;  ///< its name is a contract
  std::string change;            ///< "256 instead of 448"
  std::size_t blocks = 0;        ///< that differ by it
  std::size_t row = 0;           ///< of the first such block
  std::size_t block = 0;         ///< its index along the row
  std::string explanation;       ///< that block in decimals and hexadecimals, with margins; lines
};

/// What a comparison found.
struct Verification {
  std::string name;                     ///< of the tensor
  std::size_t rows = 0;                 ///< of the matrix
  std::size_t columns = 0;              ///< of the matrix
  bool equal = false;                   ///< exit code 0
  Combination declared{};               ///< what the dump was held to
  QuantizedDifference difference{};     ///< of the dump from `declared`, all blocks
  bool fits = true;                     ///< whether the stored bytes have the sizes of `declared`
  bool searched = false;                ///< whether something was searched for
  std::size_t tried = 0;                ///< combinations
  std::vector<Combination> agreeing{};  ///< that explain every block they were compared on
  std::vector<CauseFinding> causes{};   ///< empty where equal
  std::optional<float> stored_scale{};  ///< the number beside the blocks
  float expected_scale = 1.0F;          ///< the one that follows from `declared`
};

/// Holds a dump to what its declaration gives, searches for what nobody declares, and names the
/// causes of a difference.
/// \param values  rows x columns, after weight layout, axis and transposition
/// \param rows  of the matrix
/// \param columns  of the matrix
/// \param dump  the stored bytes
/// \param request  what is declared
/// \throws Error(usage) for declared pairs that do not exist; Error(invalid_input) where the stored
///         sizes fit no format and layout, with what was tried.
[[nodiscard]] Verification verify_quantized(std::span<const float> values, std::size_t rows,
                                            std::size_t columns, const QuantizedDump& dump,
                                            const VerifyRequest& request);

/// The same for a tensor and a dump that are read piece by piece: memory is bounded by the pieces
/// in hand.
/// \param matrix  where the elements are
/// \param dump  where the stored bytes are
/// \param request  what is declared
/// \throws Error as the other one
[[nodiscard]] Verification verify_quantized(const StoredMatrix& matrix, const StoredDump& dump,
                                            const VerifyRequest& request);

/// The first line of as_text(), without what was searched for.
[[nodiscard]] std::string headline(const Verification& verification);
/// The causes, as as_text() has them; empty where there are none.
[[nodiscard]] std::string causes_text(const Verification& verification);
/// Names after a heading, in lines of at most 100 columns; the further ones are indented.
[[nodiscard]] std::string wrapped_names(std::string heading, std::span<const std::string> names);
/// What `lowbit verify quantize` prints of one tensor; lines end in line feeds.
[[nodiscard]] std::string as_text(const Verification& verification);
/// The same for programs: a JSON object {"equal", "tensors": [...]}, docs/verify_quantize.md.
[[nodiscard]] std::string as_json(std::span<const Verification> verifications);

}  // namespace lowbit
