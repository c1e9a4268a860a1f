// SPDX-License-Identifier: MIT
#include "lowbit/selection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <regex>

#include "io/error_text.hpp"
#include "lowbit/checkpoint.hpp"
#include "lowbit/error.hpp"

namespace lowbit {
namespace {

constexpr std::uint64_t least_inputs = 16;  // one block of most formats
constexpr std::uint64_t least_outputs = 2;
constexpr std::uint64_t least_elements = 1024;

constexpr std::string_view not_float = "its elements are not numbers to quantize";
constexpr std::string_view no_elements = "no elements";
constexpr std::string_view excluded = "excluded by name";
constexpr std::string_view vector = "a scalar or vector";
constexpr std::string_view small = "fewer than 1024 elements, 16 inputs or 2 outputs";
constexpr std::string_view embedding = "an embedding or a position table, by name";
constexpr std::string_view norm = "a normalization, by name";
constexpr std::string_view bias = "a bias, by name";
constexpr std::string_view activation = "a recorded activation, by name";

/// The words of a name: runs of letters and digits, in lower case.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) != 0) {
      words.back() += static_cast<char>(std::tolower(u));
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

/// Why the name says that the tensor is no weight of a layer, or nothing.
std::string_view reason_by_name(std::string_view name) {
  const std::vector<std::string> words = words_of(name);
  const auto is = [&](auto... wanted) {
    return std::any_of(words.begin(), words.end(),
                       [&](const std::string& word) { return ((word == wanted) || ...); });
  };
  const auto holds = [&](std::string_view part) {
    return std::any_of(words.begin(), words.end(),
                       [&](const std::string& word) { return word.find(part) != word.npos; });
  };
  if (words.empty()) return {};
  if (words.back() == "bias") return bias;
  if (words.back() == "input" || words.back() == "output") {
    // "x.output.weight" is a layer; "x.output" is what went out of one.
    if (words.size() > 1) return activation;
  }
  if (holds("embed") || is("embd", "wte", "wpe", "position", "positional", "rotary", "freq")) {
    return embedding;
  }
  if (holds("norm") || is("ln", "ln1", "ln2", "bn", "bn1", "bn2", "bn3")) return norm;
  return {};
}

AxisView view_for(const TensorInfo& tensor, WeightLayout layout, const std::optional<int>& axis) {
  const std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
  if (!axis) return view_of(shape, layout);
  try {
    return view_along(shape, *axis);
  } catch (const Error& error) {
    reject({tensor.file, tensor.name, tensor.offset}, error.what(), "choose another axis");
  }
}

std::string_view reason_to_leave(const TensorInfo& tensor, const AxisView& view) {
  if (tensor.shape.size() < 2) return vector;
  if (const std::string_view reason = reason_by_name(tensor.name); !reason.empty()) return reason;
  const bool is_small = view.length < least_inputs || view.rows() < least_outputs ||
                        tensor.elements() < least_elements;
  return is_small ? small : std::string_view{};
}

}  // namespace

struct NamePatterns::Compiled {
  std::vector<std::regex> include;
  std::vector<std::regex> exclude;
};

namespace {

std::vector<std::regex> compiled(std::span<const std::string> texts, std::string_view option) {
  std::vector<std::regex> expressions;
  for (const std::string& text : texts) {
    try {
      expressions.emplace_back(text);
    } catch (const std::regex_error& error) {
      throw Error(ErrorKind::usage,
                  fmt::format("{} {}: not a regular expression: {}", option, text, error.what()));
    }
  }
  return expressions;
}

bool any_matches(const std::vector<std::regex>& expressions, const std::string& name) {
  return std::any_of(expressions.begin(), expressions.end(),
                     [&](const std::regex& re) { return std::regex_search(name, re); });
}

}  // namespace

NamePatterns::NamePatterns(std::span<const std::string> include,
                           std::span<const std::string> exclude)
    : compiled_(std::make_shared<Compiled>(
          Compiled{compiled(include, "--include"), compiled(exclude, "--exclude")})) {}

bool NamePatterns::names_tensors() const {
  return compiled_ != nullptr && !compiled_->include.empty();
}

bool NamePatterns::excludes(const std::string& name) const {
  return compiled_ != nullptr && any_matches(compiled_->exclude, name);
}

bool NamePatterns::accepts(const std::string& name) const {
  if (excludes(name)) return false;
  return !names_tensors() || any_matches(compiled_->include, name);
}

SelectedTensor selected(const TensorInfo& tensor,
                        const std::map<std::string, std::string>& metadata,
                        const SelectionRules& rules) {
  SelectedTensor entry{&tensor, 0, {}, WeightLayout::last};
  // An axis wins, and a shape that no layout fits must not matter then.
  if (!rules.axis) entry.layout = resolve_layout(rules.layout, tensor, metadata);
  entry.view = view_for(tensor, entry.layout, rules.axis);
  return entry;
}

std::string_view selection_help() {
  return "Weights of linear and convolution layers are taken: float tensors of rank 2 or more with "
         "at\n"
         "least 16 inputs, 2 outputs and 1024 elements whose names do not say embedding (embed*, "
         "wte,\n"
         "wpe, position, rotary), norm (*norm*, ln, bn), bias, or recorded activation "
         "(NAME.input,\n"
         "NAME.output). What --include names is taken whatever it is. Of a file with one tensor, "
         "or\n"
         "in which nothing looks like a weight, all float tensors are taken. --all takes all of "
         "them.\n";
}

Selection select_tensors(std::span<const TensorFile> files, std::span<const std::string> paths,
                         const SelectionRules& rules) {
  Selection selection;
  for (std::size_t f = 0; f < files.size(); ++f) {
    std::vector<std::pair<SelectedTensor, std::string_view>> found;  // with a reason to leave it
    std::size_t floats = 0;
    bool any_weight = false;
    for (const TensorInfo& tensor : files[f].tensors()) {
      SelectedTensor entry{&tensor, f, {}, WeightLayout::last};
      if (!rules.names.accepts(tensor.name)) {
        // Names that were not asked for go without saying; exclusions are listed.
        if (rules.names.excludes(tensor.name)) found.emplace_back(entry, excluded);
        continue;
      }
      if (!tensor.dtype->is_float()) {
        found.emplace_back(entry, not_float);
        continue;
      }
      if (tensor.elements() == 0) {
        found.emplace_back(entry, no_elements);
        continue;
      }
      ++floats;
      entry = selected(tensor, files[f].metadata(), rules);
      entry.file = f;
      std::string_view reason;
      if (!rules.all && !rules.names.names_tensors()) reason = reason_to_leave(tensor, entry.view);
      any_weight = any_weight || reason.empty();
      found.emplace_back(entry, reason);
    }
    const bool whole = floats > 0 && !any_weight;
    const bool one = files[f].tensors().size() == 1;
    if (whole) {
      selection.notes.push_back(
          one ? fmt::format("{}: its one tensor is taken, though it does not look like a weight",
                            printable(paths[f]))
              : fmt::format("{}: nothing looks like a weight, so all {} float tensors are taken",
                            printable(paths[f]), floats));
    }
    for (auto& [entry, reason] : found) {
      const bool hopeless = reason == not_float || reason == no_elements || reason == excluded;
      if (reason.empty() || (whole && !hopeless)) {
        selection.taken.push_back(entry);
      } else {
        selection.left_out.push_back({entry.tensor, f, reason});
      }
    }
  }
  return selection;
}

std::vector<std::filesystem::path> model_files(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) return {path};
  std::vector<std::filesystem::path> indices;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".safetensors.index.json")) indices.push_back(entry.path());
    if (name.ends_with(".safetensors")) files.push_back(entry.path());
  }
  std::sort(indices.begin(), indices.end());
  std::sort(files.begin(), files.end());
  if (!indices.empty()) return {indices.front()};
  if (!files.empty()) return files;
  throw Error(ErrorKind::invalid_input,
              fmt::format("{}: a folder without *.safetensors or *.safetensors.index.json; name a "
                          "tensor file",
                          printable(path.string())));
}

namespace {

/// Names of 8-bit codes are those of another convention's 4-bit codes: names of its own tell.
const CheckpointConvention& written_by(const CheckpointConvention& found,
                                       std::span<const TensorInfo> tensors) {
  for (const CheckpointConvention& other : checkpoint_conventions()) {
    const bool is_alike = other.wide_codes == found.codes && other.scales == found.scales;
    if (!is_alike || other.codes == found.codes) continue;
    const auto is_its_own = [&](const TensorInfo& t) { return t.name.ends_with(other.codes); };
    if (std::any_of(tensors.begin(), tensors.end(), is_its_own)) return other;
  }
  return found;
}

}  // namespace

std::string_view quantized_convention(std::span<const TensorInfo> tensors) {
  const auto find = [&](const std::string& name) -> const TensorInfo* {
    const auto it = std::lower_bound(
        tensors.begin(), tensors.end(), name,
        [](const TensorInfo& t, const std::string& wanted) { return t.name < wanted; });
    if (it != tensors.end() && it->name == name) return &*it;
    // Formats other than safetensors keep the order of their files.
    const auto any = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const TensorInfo& t) { return t.name == name; });
    return any == tensors.end() ? nullptr : &*any;
  };
  for (const TensorInfo& tensor : tensors) {
    const auto stem = [&](std::string_view ending) -> std::optional<std::string> {
      if (!tensor.name.ends_with(ending)) return std::nullopt;
      return tensor.name.substr(0, tensor.name.size() - ending.size());
    };
    if (tensor.dtype->name.starts_with("GGML_")) return "GGUF block types";
    // Weights of these conventions are codes, not floats; what else has such names is plain.
    const bool is_plain_float = tensor.dtype->is_float() && tensor.dtype->bits_per_element() >= 16;
    for (const CheckpointConvention& convention : checkpoint_conventions()) {
      if (is_plain_float || convention.is_gguf) continue;
      for (const std::string_view codes : {convention.codes, convention.wide_codes}) {
        const auto s = codes.empty() ? std::nullopt : stem(codes);
        const TensorInfo* const scales = s ? find(*s + std::string(convention.scales)) : nullptr;
        if (scales == nullptr) continue;
        const bool is_per_channel =
            tensor.dtype->is_float() && scales->dtype->bits_per_element() >= 16;
        if (is_per_channel) return "FP8 or packed weights with weight_scale";
        return written_by(convention, tensors).name;
      }
    }
    if (const auto s = stem("qweight"); s && find(*s + "scales") != nullptr) return "GPTQ or AWQ";
    if (stem(".absmax") || stem("weight.quant_state.bitsandbytes__nf4") ||
        stem("weight.quant_state.bitsandbytes__fp4")) {
      return "bitsandbytes";
    }
    if (const auto s = stem("weight_scale_inv"); s && find(*s + "weight") != nullptr) {
      return "FP8 with weight_scale_inv";
    }
  }
  return {};
}

double padding_share(const AxisView& view, int block_size) {
  const auto size = static_cast<std::size_t>(block_size);
  if (view.length == 0) return 0.0;
  const std::size_t padded = (view.length + size - 1) / size * size;
  return static_cast<double>(padded - view.length) / static_cast<double>(view.length);
}

std::vector<std::string> padding_warnings(const Selection& selection, int block_size) {
  constexpr double notable = 0.05;
  constexpr std::size_t most = 3;
  std::vector<std::string> warnings;
  std::size_t padded = 0;
  for (const SelectedTensor& entry : selection.taken) {
    const double share = padding_share(entry.view, block_size);
    if (share <= notable) continue;
    if (++padded >= most) continue;
    warnings.push_back(
        fmt::format("{}: rows of {} fill blocks of {} with padding: {:.0f} % more bits",
                    printable(entry.tensor->name), entry.view.length, block_size, 100.0 * share));
  }
  if (padded >= most) {
    warnings.push_back(fmt::format("{} more tensors are padded by over 5 %", padded - most + 1));
  }
  return warnings;
}

void refuse_quantized(const TensorFile& file, const std::string& path,
                      const SelectionRules& rules) {
  if (rules.all || rules.names.names_tensors()) return;
  const std::string_view convention = quantized_convention(file.tensors());
  if (convention.empty()) return;
  throw Error(ErrorKind::usage,
              fmt::format("{}: its weights are quantized already ({}), and its scales are no "
                          "weights; `lowbit eval --reference ORIGINAL` scores them against the "
                          "original; or give the original model, or name tensors with --include",
                          printable(path), convention));
}

}  // namespace lowbit
