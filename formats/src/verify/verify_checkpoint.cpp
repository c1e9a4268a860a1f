// SPDX-License-Identifier: MIT
#include "lowbit/verify_checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "checkpoint/fused_layers.hpp"
#include "checkpoint/weight_rows.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/printable.hpp"
#include "verify/verify_json.hpp"

namespace lowbit {
namespace {

/// The same way of quantizing, wherever it is stored.
bool same_numerics(const Combination& x, const Combination& y) {
  return x.format == y.format && x.rule == y.rule && x.scale_max == y.scale_max &&
         x.dialect == y.dialect;
}

std::vector<Combination> common(const std::vector<Combination>& x,
                                const std::vector<Combination>& y) {
  std::vector<Combination> both;
  for (const Combination& c : x) {
    const auto is_same = [&](const Combination& other) { return same_numerics(c, other); };
    if (std::ranges::any_of(y, is_same)) both.push_back(c);
  }
  return both;
}

std::vector<std::string> names_of_dialects(const CheckpointConvention& convention) {
  std::vector<std::string> names;
  for (const Dialect& record : dialects()) {
    const auto& libraries = convention.dialect_libraries;
    const bool is_one = std::ranges::find(libraries, record.library) != libraries.end();
    if (is_one && !record.library.empty()) names.emplace_back(record.name);
  }
  return names;
}

/// Of rows [first, first + count) of a matrix, read a strip at a time.
float largest_magnitude(const StoredMatrix& matrix, std::size_t first, std::size_t count) {
  float top = 0.0F;
  std::vector<float> x;
  for (Rectangle strip : detail::strips_of(count, matrix.columns(), true)) {
    strip.row += first;
    x.resize(strip.rows * strip.columns);
    matrix.read(strip, x);
    for (const float value : x) top = std::fmax(top, std::fabs(value));
  }
  return top;
}

class CheckpointVerifier {
 public:
  CheckpointVerifier(const Checkpoint& checkpoint, const Checkpoint& original,
                     const CheckpointVerifyOptions& options)
      : checkpoint_(checkpoint), original_(original), options_(options) {
    for (const auto& members : fused_layers(checkpoint)) {
      for (const QuantizedTensor* member : members) fused_[member] = members;
    }
  }

  CheckpointVerification run() {
    for (const QuantizedTensor& tensor : checkpoint_.quantized()) {
      if (options_.accepts && !options_.accepts(tensor.name)) continue;
      if (!detail::original_matrix_of(tensor, original_)) {
        result_.left_out.push_back(
            {tensor.name, tensor.is_rearranged
                              ? "transformed, or quantized along another axis"
                              : "the original has no float tensor of that name and shape"});
        continue;
      }
      for (std::size_t part = 0; part < tensor.parts(); ++part) {
        parts_.push_back({&tensor, part, false, false});
        Verification v = verify(parts_.back());
        // Others wait for what explains the rest of their format.
        parts_.back().is_open = !v.equal || parts_.back().searched_all;
        if (options_.done && !parts_.back().is_open) options_.done(v);
        result_.weights.push_back(std::move(v));
      }
    }
    explain();
    if (try_found_dialects()) explain();
    if (hold_to_the_rest()) explain();
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      if (options_.done && parts_[i].is_open) options_.done(result_.weights[i]);
    }
    bool all = !result_.weights.empty() && result_.left_out.empty();
    for (const Verification& v : result_.weights) all = all && v.equal;
    for (const CheckpointExplanation& e : result_.formats) all = all && !e.combinations.empty();
    result_.equal = all;
    return std::move(result_);
  }

 private:
  struct Part {
    const QuantizedTensor* tensor;
    std::size_t part;
    bool searched_all;     ///< no dialect of the convention's library explains it, but another does
    bool is_open = false;  ///< nothing is known yet that explains it and the others
  };

  /// The largest magnitude of each part of the original; empty where there is none.
  const std::vector<float>& amax_of(const QuantizedTensor& tensor) {
    const auto [entry, is_new] = amax_.try_emplace(&tensor);
    if (!is_new) return entry->second;
    if (const auto x = detail::original_matrix_of(tensor, original_)) {
      const std::size_t rows = tensor.rows / tensor.parts();
      for (std::size_t part = 0; part < tensor.parts(); ++part) {
        entry->second.push_back(largest_magnitude(x->matrix(), part * rows, rows));
      }
    }
    return entry->second;
  }

  /// A of the weight's tensor scale, where it is not the weight's own: that of the fused layers.
  std::optional<float> fused_amax(const Part& at) {
    const auto group = fused_.find(at.tensor);
    if (group == fused_.end() || group->second.size() < 2) return std::nullopt;
    float top = 0.0F;
    for (const QuantizedTensor* member : group->second) {
      if (member->tensor_scales != at.tensor->tensor_scales) return std::nullopt;
      const std::vector<float>& amax = amax_of(*member);
      if (amax.empty()) return std::nullopt;
      top = std::max(top, amax[at.part]);
    }
    return top;
  }

  /// \param tried  dialects, where nobody declares one; empty: all
  /// \param held_to  declared in place of a search; null: none
  Verification compare(const Part& at, std::vector<std::string> tried,
                       const Combination* held_to = nullptr) {
    const QuantizedTensor& tensor = *at.tensor;
    VerifyRequest request;
    request.declared.format = tensor.format;
    request.declared.rule = tensor.rule;
    request.declared.dialect = nullptr;
    const TensorInfo& source = *original_.find(tensor.name);
    request.declared.input_type = input_type_of(*source.dtype);
    request.layout = tensor.layout;
    if (const auto amax = fused_amax(at)) {
      request.declared.amax = amax;
      request.amax_is_measured = true;
    }
    if (options_.adjust) options_.adjust(request);
    request.dialects = std::move(tried);
    if (held_to != nullptr) {
      request.declared.rule = held_to->rule;
      request.declared.scale_max = held_to->scale_max;
      // Without the axes that the caller set, which the request has.
      const std::string_view name = held_to->dialect;
      request.declared.dialect = find_dialect(name.substr(0, name.find('+')));
      request.search_rule = request.search_dialect = false;
    }
    if (request.declared.dialect != nullptr || request.search_dialect) request.dialects.clear();
    return verify_stored(at, request);
  }

  /// Reads the original where it lies. Padding was quantized like the rest, zeros.
  [[nodiscard]] Verification verify_stored(const Part& at, const VerifyRequest& request) const {
    const QuantizedTensor& tensor = *at.tensor;
    const StoredDump dump = detail::stored_dump_of(tensor, at.part);
    const auto whole = *detail::original_matrix_of(tensor, original_);
    const detail::OriginalMatrix part = detail::part_of(whole, tensor.parts(), at.part);
    StoredMatrix matrix = part.matrix();
    matrix.padding_rows = (tensor.stored_rows - tensor.rows) / tensor.parts();
    matrix.padding_columns = tensor.stored_columns - tensor.columns;
    return verify_quantized(matrix, dump, request);
  }

  Verification verify(Part& at) {
    const std::vector<std::string> usual = names_of_dialects(*at.tensor->convention);
    Verification own = compare(at, usual);
    VerifyRequest asked;
    if (options_.adjust) options_.adjust(asked);
    const bool is_open = asked.declared.dialect == nullptr && !asked.search_dialect;
    if (own.equal || usual.empty() || !is_open) return own;
    Verification any = compare(at, {});
    at.searched_all = any.equal;
    // Where nothing agrees, the library's own arithmetic is what the dump is compared with.
    return any.equal ? any : own;
  }

  /// What explains all weights of a format.
  void explain() {
    result_.formats.clear();
    for (std::size_t i = 0; i < result_.weights.size(); ++i) {
      const Verification& v = result_.weights[i];
      const BlockFormat* const format = parts_[i].tensor->format;
      auto found = std::ranges::find(result_.formats, format, &CheckpointExplanation::format);
      if (found == result_.formats.end()) {
        result_.formats.push_back({format, 0, 0, v.agreeing});
        found = std::prev(result_.formats.end());
      }
      ++found->weights;
      found->equal += v.equal ? 1 : 0;
      found->combinations = common(found->combinations, v.agreeing);
    }
  }

  /// A dialect of another library that explains one weight may explain those, too, that were held
  /// to the convention's library alone. \return whether there was something to try
  bool try_found_dialects() {
    bool any = false;
    for (const CheckpointExplanation& e : result_.formats) {
      if (!e.combinations.empty() || e.equal != e.weights) continue;
      std::vector<std::string> names;
      for (std::size_t i = 0; i < parts_.size(); ++i) {
        if (parts_[i].tensor->format != e.format || !parts_[i].searched_all) continue;
        for (const Combination& c : result_.weights[i].agreeing) names.push_back(c.dialect);
      }
      if (names.empty()) continue;
      for (std::size_t i = 0; i < parts_.size(); ++i) {
        if (parts_[i].tensor->format != e.format || parts_[i].searched_all) continue;
        Verification v = compare(parts_[i], names);
        if (v.equal) result_.weights[i] = std::move(v);
        any = true;
      }
    }
    return any;
  }

  /// A weight that only dialects of other libraries explain, or none, is held to what explains the
  /// others of its format: then its causes are those of a fault in it. \return whether there is one
  bool hold_to_the_rest() {
    bool any = false;
    for (std::size_t f = 0; f < result_.formats.size(); ++f) {
      const BlockFormat* const format = result_.formats[f].format;
      if (!result_.formats[f].combinations.empty()) continue;
      std::optional<std::vector<Combination>> rest;
      for (std::size_t i = 0; i < parts_.size(); ++i) {
        if (parts_[i].tensor->format != format || parts_[i].is_open) continue;
        const std::vector<Combination>& agreeing = result_.weights[i].agreeing;
        rest = rest ? common(*rest, agreeing) : agreeing;
      }
      if (!rest || rest->empty()) continue;
      for (std::size_t i = 0; i < parts_.size(); ++i) {
        if (parts_[i].tensor->format != format || !parts_[i].is_open) continue;
        result_.weights[i] = compare(parts_[i], {}, &rest->front());
        any = true;
      }
    }
    return any;
  }

  const Checkpoint& checkpoint_;
  const Checkpoint& original_;
  const CheckpointVerifyOptions& options_;
  std::map<const QuantizedTensor*, std::vector<const QuantizedTensor*>> fused_;
  std::map<const QuantizedTensor*, std::vector<float>> amax_;
  std::vector<Part> parts_;  ///< of result_.weights
  CheckpointVerification result_;
};

}  // namespace

CheckpointVerification verify_checkpoint(const Checkpoint& checkpoint, const Checkpoint& original,
                                         const CheckpointVerifyOptions& options) {
  return CheckpointVerifier(checkpoint, original, options).run();
}

std::string as_text(const CheckpointVerification& v) {
  std::string text;
  for (const CheckpointExplanation& e : v.formats) {
    if (e.equal != e.weights) {
      text += fmt::format("{}: {} of {} weights equal\n", e.format->name, e.equal, e.weights);
      continue;
    }
    if (e.combinations.empty()) {
      text += fmt::format("{}: each of {} weights is explained, but not all by one combination\n",
                          e.format->name, e.weights);
    }
    std::map<std::string, std::vector<std::string>> by_rule;
    for (const Combination& c : e.combinations) {
      const std::string m = c.scale_max ? fmt::format(" M={}", *c.scale_max) : "";
      by_rule[fmt::format("{} {}{}", c.format->name, name_of(c.rule), m)].push_back(c.dialect);
    }
    for (const auto& [rule, names] : by_rule) {
      const std::string count =
          e.weights == 1 ? "the one weight" : fmt::format("all {} weights", e.weights);
      text += wrapped_names(fmt::format("{} explains {}:", rule, count), names);
    }
  }
  for (const LeftOutWeight& left : v.left_out) {
    text += fmt::format("{}: not compared: {}\n", printable(left.name), left.reason);
  }
  const auto equal = std::ranges::count_if(v.weights, &Verification::equal);
  return text +
         fmt::format("{} of {} weights equal{}\n", equal, v.weights.size() + v.left_out.size(),
                     v.left_out.empty() ? "" : fmt::format("; {} not compared", v.left_out.size()));
}

std::string as_json(const CheckpointVerification& v) {
  nlohmann::ordered_json all = detail::json_of(v.weights);
  all["equal"] = v.equal;
  all["left_out"] = nlohmann::ordered_json::array();
  for (const LeftOutWeight& left : v.left_out) {
    all["left_out"].push_back({{"name", left.name}, {"reason", left.reason}});
  }
  all["formats"] = nlohmann::ordered_json::array();
  for (const CheckpointExplanation& e : v.formats) {
    nlohmann::ordered_json entry{
        {"format", e.format->name}, {"weights", e.weights}, {"equal_weights", e.equal}};
    entry["explained_by"] = nlohmann::ordered_json::array();
    for (const Combination& c : e.combinations) {
      entry["explained_by"].push_back(
          {{"rule", name_of(c.rule)},
           {"scale_max",
            c.scale_max ? nlohmann::ordered_json(*c.scale_max) : nlohmann::ordered_json(nullptr)},
           {"dialect", c.dialect}});
    }
    all["formats"].push_back(std::move(entry));
  }
  return detail::text_of(all);
}

}  // namespace lowbit
