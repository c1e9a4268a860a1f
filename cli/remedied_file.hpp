// SPDX-License-Identifier: MIT
// Weights that went through remedies, and what else their layers need, in one file.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "activations.hpp"
#include "lowbit/remedy.hpp"
#include "lowbit/selection.hpp"
#include "lowbit/stream_files.hpp"

namespace lowbit::cli {

/// Quantizes tensors through remedies and writes them with their records. Beside NAME.values and
/// the like, NAME has what its layer needs at run time:
///   NAME.transform.I      F32 [K], numbers that transform I of the record learned (transform.hpp)
///   NAME.branch_left      BF16 [outputs, rank], NAME.branch_right BF16 [rank, K]
/// \param wanted  as `lowbit quantize` asks for them, one per entry of `chosen`
/// \param inputs  null where no remedy needs inputs
/// \return what the remedies add, over all tensors
/// \throws Error(usage) where a layer has no input and a remedy needs one
[[nodiscard]] TransformCost write_remedied(const std::filesystem::path& path,
                                           const Remedies& remedies,
                                           std::span<const SelectedTensor> chosen,
                                           std::span<const TensorToQuantize> wanted,
                                           const RecordedInputs* inputs,
                                           const std::map<std::string, std::string>& metadata,
                                           std::span<const OutputTensor> others);

}  // namespace lowbit::cli
