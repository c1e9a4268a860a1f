// SPDX-License-Identifier: MIT
/// \file
/// What a quantized file says about one of its tensors: enough to quantize the original again to
/// the same bytes, and to restore shape and type. The one place that writes and reads these
/// metadata.
///
/// Each member is a metadata string NAME.KEY:
///   format, rule, dialect     names (format required, dialect canonical where absent)
///   scale_max                 the largest block scale that was asked for, in decimal; absent where
///                             the rule's own was used
///   amax_given                true or false: NAME.amax was given by the caller, not measured
///   search_radius             K of the rule search; absent for other rules
///   importance_given          true where columns were weighted, by numbers that are not kept; else
///   absent axis, transposed, block_2d code_layout               rows: 4-bit codes two per byte
///   along a row (block_tensor_file.hpp) scale_layout              linear or swizzled
///   (scale_layout.hpp) weight_layout             how the dimensions of the tensor are meant;
///   "last" where absent: the
///                             last one is the input dimension. Kept, not interpreted here
///   nonfinite, rounding       names
///   transforms                JSON list of names of what was applied, in order, with their values
///                             behind colons (transform.hpp; RemediedLayer::steps());
///   hadamard                  true or false: the same, as files without `transforms` say it
///   shape, dtype              of the tensor before quantization; shape as a JSON list
/// Keys other than format may be absent, and then have the values below: early files lack
/// scale_max, amax_given, code_layout, weight_layout, nonfinite, rounding and transforms.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lowbit/dialect.hpp"
#include "lowbit/dtype.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/scale_layout.hpp"

namespace lowbit {

/// The policy's name, as the command spells it.
[[nodiscard]] std::string_view name_of(NonFinite policy);
/// The policy of that name, or nullopt.
[[nodiscard]] std::optional<NonFinite> find_nonfinite(std::string_view name);
/// The rounding's name, as a record spells it.
[[nodiscard]] std::string_view name_of(ElementRounding rounding);
/// The rounding of that name, or nullopt.
[[nodiscard]] std::optional<ElementRounding> find_element_rounding(std::string_view name);

/// What a quantized file says about one tensor: all that its bytes depend on.
struct QuantizeRecord {
  const BlockFormat* format = nullptr;                 ///< required
  std::optional<ScaleRule> rule{};                     ///< the format's default where absent
  const Dialect* dialect = find_dialect("canonical");  ///< never null
  std::optional<float> scale_max{};        ///< M that was asked for; the rule's own where absent
  std::optional<int> search_radius{};      ///< K of the rule search; absent for others
  std::optional<bool> importance_given{};  ///< true where the caller weighted the columns
  bool amax_given = false;                 ///< whether the caller gave A
  int axis = -1;                           ///< along which blocks run
  bool transposed = false;                 ///< the matrix was transposed before it was quantized
  bool block_2d = false;                   ///< square blocks
  std::string code_layout = "rows";        ///< the only one so far
  ScaleLayout scale_layout = ScaleLayout::linear;  ///< of NAME.scales
  std::string weight_layout = "last";      ///< how the dimensions are meant; kept, not interpreted
  NonFinite nonfinite = NonFinite::error;  ///< the policy
  ElementRounding rounding = ElementRounding::nearest;  ///< of elements
  std::vector<std::string> transforms{};                ///< as transform.hpp names them
  /// Of the tensor before quantization, where the file says it
  std::optional<std::vector<std::uint64_t>> shape{};
  const Dtype* dtype = nullptr;  ///< null where the file does not say

  /// Whether `transforms` names the Hadamard transform.
  [[nodiscard]] bool is_hadamard_transformed() const;
  /// Whether all fields are equal.
  friend bool operator==(const QuantizeRecord&, const QuantizeRecord&) = default;
};

/// What the request says. Axis, transposition, layouts, shape and dtype are the caller's to add.
[[nodiscard]] QuantizeRecord record_of(const QuantizeOptions& request);

/// The request that gives the same bytes again. Random numbers and the input type are the caller's
/// to add. \param amax  NAME.amax, used where the record says that it was given
/// \param record  of a quantized file
/// \throws Error(usage) for transforms that this version does not know.
[[nodiscard]] QuantizeOptions request_of(const QuantizeRecord& record, float amax);

/// Whether NAME.KEY belongs to the record.
[[nodiscard]] bool is_record_key(std::string_view key);

/// Reads NAME's record from a file's metadata.
/// \param metadata  of the file
/// \param name  NAME of the tensor
/// \param file  for messages
/// \throws Error(invalid_input), naming file, tensor and key, for a malformed or unknown value and
///         for a missing format.
[[nodiscard]] QuantizeRecord read_quantize_record(
    const std::map<std::string, std::string>& metadata, const std::string& name,
    const std::string& file);

/// Adds NAME's record to a file's metadata. The format must be set.
void write_quantize_record(const QuantizeRecord& record, const std::string& name,
                           std::map<std::string, std::string>& metadata);

}  // namespace lowbit
