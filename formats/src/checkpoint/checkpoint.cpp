// SPDX-License-Identifier: MIT
#include "lowbit/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "checkpoint/assemble.hpp"
#include "lowbit/block_tensor_file.hpp"
#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/selection.hpp"

namespace lowbit {

namespace fs = std::filesystem;

struct Checkpoint::Contents {
  std::string path;
  std::vector<TensorFile> files;
  std::map<std::string, const TensorInfo*, std::less<>> by_name;
  detail::CheckpointConfig config;
  std::vector<QuantizedTensor> quantized;
  std::vector<const TensorInfo*> plain;
  std::vector<ForeignTensor> foreign;
  std::vector<CheckpointFault> faults;
  /// lowbit's own tensors, whose records say more than a QuantizedTensor: the file of each.
  std::map<std::string, std::size_t> own;
};

namespace {

constexpr std::string_view fp8_with_scale =
    "8-bit floats with one scale per tensor, channel or square: no block format";
constexpr std::string_view integer_groups = "integers with floating-point scales: no block format";
constexpr std::string_view mlx_affine =
    "MLX affine groups, with scales and biases: no block format";
constexpr std::string_view bitsandbytes = "a codebook of bitsandbytes: no block format";
constexpr std::string_view ggml_type = "a block type of ggml that is not read";

/// The name up to an ending, or nothing.
std::optional<std::string> stem_of(std::string_view name, std::string_view ending) {
  if (ending.empty() || !name.ends_with(ending)) return std::nullopt;
  return std::string(name.substr(0, name.size() - ending.size()));
}

/// Finds which tensors of a checkpoint belong together.
class Grouping {
 public:
  explicit Grouping(Checkpoint::Contents& contents) : c_(contents) {}

  void run() {
    for (std::size_t f = 0; f < c_.files.size(); ++f) {
      for (const std::string& name : block_tensor_names(c_.files[f])) take_own(f, name);
    }
    for (const TensorFile& file : c_.files) {
      for (const TensorInfo& tensor : file.tensors()) {
        if (!used_.contains(&tensor)) look_at(tensor);
      }
    }
    for (const TensorFile& file : c_.files) {
      for (const TensorInfo& tensor : file.tensors()) {
        if (used_.contains(&tensor)) continue;
        if (!is_orphan(tensor)) c_.plain.push_back(&tensor);
      }
    }
  }

 private:
  /// Whether a dtype can hold scale bytes of blocks.
  static bool is_scale_type(const Dtype& dtype) {
    return dtype == dtype_u8 || dtype == dtype_f8_e8m0 || dtype == dtype_f8_e4m3;
  }
  [[nodiscard]] const TensorInfo* find(const std::string& name) const {
    const auto found = c_.by_name.find(name);
    return found == c_.by_name.end() ? nullptr : found->second;
  }
  const TensorInfo* use(const TensorInfo* tensor) {
    if (tensor != nullptr) used_.insert(tensor);
    return tensor;
  }
  void fault(const TensorInfo& at, std::string_view kind, std::string text) {
    c_.faults.push_back({at.file, at.name, std::string(kind), std::move(text)});
  }
  void foreign(const TensorInfo& tensor, std::string_view reason) {
    c_.foreign.push_back({use(&tensor), reason});
  }

  void take_own(std::size_t file, const std::string& name) {
    const CheckpointConvention& convention = *find_checkpoint_convention("lowbit");
    QuantizedTensor q;
    q.name = name;
    q.convention = &convention;
    q.codes = use(find(name + ".values"));
    q.scales = use(find(name + ".scales"));
    q.tensor_scale = use(find(name + ".amax"));
    try {
      const NamedBlockTensor read = find_block_tensor(c_.files[file], q.codes->file, name).head;
      q.format = read.tensor.format;
      q.layout.scales = read.record.scale_layout;
      const QuantizeRecord& record = read.record;
      q.is_rearranged = !record.transforms.empty() || record.transposed || record.axis != -1 ||
                        record.weight_layout == name_of(WeightLayout::io) ||
                        record.weight_layout == name_of(WeightLayout::hwio);
      q.is_hadamard = record.is_hadamard_transformed();
      q.rows = q.stored_rows = read.tensor.rows;
      q.columns = q.stored_columns = read.tensor.columns;
      if (read.record.shape) {
        q.shape = *read.record.shape;
      } else {
        q.shape = {q.rows, q.columns};
      }
      if (q.format->family() == ScaleFamily::mx) q.layout.tensor_scale = TensorScaleKind::none;
      q.tensor_scales = {read.tensor.amax};
      q.encode_constant = read.tensor.encode_constant;
    } catch (const Error& error) {
      c_.faults.push_back({q.codes->file, name, "entries", error.what()});
      return;
    }
    c_.own.emplace(name, file);
    c_.quantized.push_back(std::move(q));
  }

  void look_at(const TensorInfo& tensor) {
    if (tensor.dtype->name.starts_with("GGML_")) return look_at_gguf(tensor);
    if (const auto s = stem_of(tensor.name, "weight_packed")) {
      const bool is_blocks = *tensor.dtype == dtype_u8 || *tensor.dtype == dtype_f4;
      if (!is_blocks) return foreign(tensor, integer_groups);
      return take(*find_checkpoint_convention("compressed-tensors"), *s, tensor);
    }
    if (const auto s = stem_of(tensor.name, "quantized_weight_values")) {
      return take(*find_checkpoint_convention("fouroversix"), *s, tensor);
    }
    if (const auto s = stem_of(tensor.name, "_weight_qdata")) {
      const bool is_blocks = *tensor.dtype == dtype_u8 || *tensor.dtype == dtype_f8_e4m3 ||
                             *tensor.dtype == dtype_f8_e5m2;
      const TensorInfo* const scales = find(*s + "_weight_scale");
      if (!is_blocks) return foreign(tensor, integer_groups);
      if (scales != nullptr && !is_scale_type(*scales->dtype)) {
        return foreign(tensor, fp8_with_scale);
      }
      return take(*find_checkpoint_convention("torchao"), *s, tensor);
    }
    if (const auto s = stem_of(tensor.name, "_blocks")) {
      const bool is_u8 = *tensor.dtype == dtype_u8 && tensor.shape.size() >= 3;
      if (is_u8) take(*find_checkpoint_convention("gpt-oss"), *s, tensor);
      return;
    }
    if (const auto s = stem_of(tensor.name, "weight")) look_at_weight(tensor, *s);
  }

  void look_at_gguf(const TensorInfo& tensor) {
    const bool is_read = *tensor.dtype == dtype_ggml_nvfp4 || *tensor.dtype == dtype_ggml_mxfp4;
    if (!is_read) return foreign(tensor, ggml_type);
    const std::string stem = stem_of(tensor.name, "weight").value_or(tensor.name + ".");
    take(*find_checkpoint_convention("gguf"), stem, tensor);
  }

  void look_at_weight(const TensorInfo& tensor, const std::string& stem) {
    const Dtype& dtype = *tensor.dtype;
    if (dtype == dtype_u32) {
      const TensorInfo* const scales = find(stem + "scales");
      if (find(stem + "biases") != nullptr || (scales != nullptr && scales->dtype->is_float())) {
        return foreign(tensor, mlx_affine);
      }
      const bool is_mlx = scales != nullptr || c_.config.method() == "mlx";
      if (is_mlx) take(*find_checkpoint_convention("mlx"), stem, tensor);
      return;
    }
    const bool is_float8 = dtype == dtype_f8_e4m3 || dtype == dtype_f8_e5m2;
    if (dtype != dtype_u8 && dtype != dtype_f4 && !is_float8) return;
    if (find(stem + "weight.absmax") != nullptr) return foreign(tensor, bitsandbytes);
    const TensorInfo* const scales = find(stem + "weight_scale");
    if (is_float8) {
      const bool is_blocks =
          scales != nullptr && (*scales->dtype == dtype_u8 || *scales->dtype == dtype_f8_e8m0);
      if (!is_blocks) return foreign(tensor, fp8_with_scale);
    }
    const bool is_modelopt = scales != nullptr || find(stem + "weight_scale_2") != nullptr ||
                             c_.config.method() == "modelopt";
    if (!is_modelopt) return;
    const bool is_ct = is_float8 && c_.config.method() == "compressed-tensors";
    take(*find_checkpoint_convention(is_ct ? "compressed-tensors" : "modelopt"), stem, tensor);
  }

  void take(const CheckpointConvention& convention, const std::string& stem,
            const TensorInfo& codes) {
    QuantizedTensor q;
    q.name = convention.is_gguf ? codes.name : stem + std::string(convention.weight);
    q.convention = &convention;
    q.layout = convention.layout;
    q.codes = use(&codes);
    const auto partner = [&](std::string_view ending) -> const TensorInfo* {
      return ending.empty() ? nullptr : use(find(stem + std::string(ending)));
    };
    q.scales = partner(convention.scales);
    q.tensor_scale = partner(convention.tensor_scale);
    q.input_scale = partner(convention.input_scale);
    q.extra = partner(convention.extra);
    if (q.scales == nullptr && !convention.scales.empty()) {
      return fault(codes, "missing_scales",
                   fmt::format("no {}{} beside it: its scales are missing", printable(stem),
                               convention.scales));
    }
    if (convention.name == "fouroversix" && q.tensor_scale == nullptr) {
      return fault(codes, "missing_tensor_scale", "no quantized_weight_amax beside it");
    }
    const detail::AssembleContext context{&c_.config, &c_.faults, &metadata_of(codes)};
    if (detail::assemble(q, context)) c_.quantized.push_back(std::move(q));
  }

  [[nodiscard]] const std::map<std::string, std::string>& metadata_of(
      const TensorInfo& tensor) const {
    for (const TensorFile& file : c_.files) {
      if (file.find(tensor.name) == &tensor) return file.metadata();
    }
    return c_.files.front().metadata();
  }

  /// Scales whose codes are not there.
  bool is_orphan(const TensorInfo& tensor) {
    if (stem_of(tensor.name, "weight_shape") || stem_of(tensor.name, "weight_zero_point")) {
      return false;
    }
    for (const CheckpointConvention& convention : checkpoint_conventions()) {
      if (convention.is_gguf || convention.name == "mlx" || convention.name == "lowbit") continue;
      for (const std::string_view ending : {convention.scales, convention.tensor_scale}) {
        const auto stem = stem_of(tensor.name, ending);
        if (!stem) continue;
        const std::string codes = *stem + std::string(convention.codes);
        const std::string wide = *stem + std::string(convention.wide_codes);
        const TensorInfo* const held = find(codes) != nullptr          ? find(codes)
                                       : convention.wide_codes.empty() ? nullptr
                                                                       : find(wide);
        // Scales of 8-bit floats and of integers go with what they scale.
        if (held != nullptr && used_.contains(held)) return false;
        if (convention.name == "gpt-oss" && *tensor.dtype != dtype_u8) continue;
        // Of the conventions that share an ending the first one that has codes decides; without
        // codes all of them are named by the first.
        const bool others = ending == "weight_scale" && find(*stem + "weight_packed") != nullptr;
        if (others) continue;
        fault(tensor, held == nullptr ? "missing_codes" : "plain_weight",
              held == nullptr
                  ? fmt::format("scales without codes: there is no {}", printable(codes))
                  : fmt::format("scales beside {}, which is not quantized ({})",
                                printable(held->name), held->dtype->name));
        used_.insert(&tensor);
        return true;
      }
    }
    return false;
  }

  Checkpoint::Contents& c_;
  std::set<const TensorInfo*> used_;
};

/// Opens what can be opened of a folder or an index whose parts do not all open.
void open_files(Checkpoint::Contents& contents, const fs::path& path) {
  std::vector<fs::path> paths = model_files(path);
  const bool is_index = paths.size() == 1 && paths[0].extension() == ".json";
  std::string first;
  const auto open_one = [&](const fs::path& file) {
    try {
      contents.files.push_back(TensorFile::open(file));
      return true;
    } catch (const Error& error) {
      if (first.empty()) first = error.what();
      contents.faults.push_back({file.string(), "", "unreadable", error.what()});
      return false;
    }
  };
  if (is_index) {
    if (open_one(paths[0])) return;
    paths.clear();
    std::error_code ignored;
    fs::path folder = fs::is_directory(path, ignored) ? path : path.parent_path();
    if (folder.empty()) folder = ".";
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      if (entry.path().extension() == ".safetensors") paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
  }
  for (const fs::path& file : paths) open_one(file);
  // What is wrong with a shard is said once, not again by the index that names it.
  auto& faults = contents.faults;
  const bool is_repeated =
      is_index && std::any_of(faults.begin() + 1, faults.end(), [&](const CheckpointFault& fault) {
        return faults[0].text.find(fault.text) != std::string::npos;
      });
  if (is_repeated) faults.erase(faults.begin());
  if (contents.files.empty()) throw Error(ErrorKind::invalid_input, first);
}

/// The first rows and columns of a padded tensor.
BlockTensor cropped(BlockTensor t, std::size_t rows, std::size_t columns) {
  if (t.rows == rows && t.columns == columns) return t;
  BlockTensor out = t;
  out.rows = rows;
  out.columns = columns;
  out.values.clear();
  out.scales.clear();
  for (std::size_t r = 0; r < rows; ++r) {
    const auto values = t.values.begin() + static_cast<std::ptrdiff_t>(r * t.value_bytes_per_row());
    out.values.insert(out.values.end(), values,
                      values + static_cast<std::ptrdiff_t>(out.value_bytes_per_row()));
    const auto scales = t.scales.begin() + static_cast<std::ptrdiff_t>(r * t.blocks_per_row());
    out.scales.insert(out.scales.end(), scales,
                      scales + static_cast<std::ptrdiff_t>(out.blocks_per_row()));
  }
  return out;
}

std::span<const std::uint8_t> bytes_of(const TensorInfo* tensor) {
  if (tensor == nullptr) return {};
  return {reinterpret_cast<const std::uint8_t*>(tensor->bytes.data()), tensor->bytes.size()};
}

}  // namespace

std::uint64_t QuantizedTensor::stored_bytes() const {
  std::uint64_t bytes = 0;
  for (const TensorInfo* part : {codes, scales, tensor_scale, input_scale, extra}) {
    if (part != nullptr) bytes += part->bytes.size();
  }
  return bytes;
}

std::string CheckpointFault::line() const {
  // Errors of readers name the file themselves.
  if (text.starts_with(file)) return text;
  if (tensor.empty()) return fmt::format("{}: {}", printable(file), text);
  return fmt::format("{}: tensor \"{}\": {}", printable(file), printable(tensor), text);
}

Checkpoint Checkpoint::open(const fs::path& path) {
  auto contents = std::make_unique<Contents>();
  contents->path = path.string();
  open_files(*contents, path);
  std::error_code ignored;
  fs::path folder = fs::is_directory(path, ignored) ? path : path.parent_path();
  if (folder.empty()) folder = ".";
  contents->config = detail::CheckpointConfig(folder, contents->faults);
  for (const TensorFile& file : contents->files) {
    for (const TensorInfo& tensor : file.tensors()) {
      if (contents->by_name.emplace(tensor.name, &tensor).second) continue;
      contents->faults.push_back({tensor.file, tensor.name, "twice",
                                  fmt::format("it is in {} too; keep one of them",
                                              printable(contents->by_name[tensor.name]->file))});
    }
  }
  Grouping(*contents).run();
  return Checkpoint(std::move(contents));
}

Checkpoint::Checkpoint(std::unique_ptr<Contents> contents) : contents_(std::move(contents)) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

std::span<const QuantizedTensor> Checkpoint::quantized() const {
  return contents_->quantized;
}
std::span<const TensorInfo* const> Checkpoint::plain() const {
  return contents_->plain;
}
std::span<const ForeignTensor> Checkpoint::foreign() const {
  return contents_->foreign;
}
std::span<const CheckpointFault> Checkpoint::faults() const {
  return contents_->faults;
}
std::span<const TensorFile> Checkpoint::files() const {
  return contents_->files;
}
const std::string& Checkpoint::path() const {
  return contents_->path;
}
const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto found = contents_->by_name.find(name);
  return found == contents_->by_name.end() ? nullptr : found->second;
}

BlockTensor Checkpoint::read(const QuantizedTensor& tensor, std::size_t part) const {
  if (const auto own = contents_->own.find(tensor.name); own != contents_->own.end()) {
    return read_block_tensor(contents_->files[own->second], tensor.codes->file, tensor.name).tensor;
  }
  // Parts are experts, one after another; only whole rows belong to each.
  const std::size_t parts = tensor.parts();
  std::span<const std::uint8_t> values = bytes_of(tensor.codes);
  std::span<const std::uint8_t> scales = bytes_of(tensor.scales);
  values = values.subspan(part * (values.size() / parts), values.size() / parts);
  scales = scales.subspan(part * (scales.size() / parts), scales.size() / parts);
  BlockTensor t = cropped(unpack(tensor.layout, *tensor.format, tensor.stored_rows / parts,
                                 tensor.stored_columns, values, scales),
                          tensor.rows / parts, tensor.columns);
  set_tensor_scale(t, tensor.layout.tensor_scale, tensor.tensor_scales[part],
                   tensor.encode_constant);
  return t;
}

std::vector<float> Checkpoint::dequantize(const QuantizedTensor& tensor) const {
  const std::size_t size = tensor.rows / tensor.parts() * tensor.columns;
  if (tensor.convention->is_gguf) {
    std::vector<float> out = to_f32(*tensor.codes);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] *= tensor.tensor_scales[i / size];
    return out;
  }
  std::vector<float> out(tensor.rows * tensor.columns);
  for (std::size_t part = 0; part < tensor.parts(); ++part) {
    lowbit::dequantize(read(tensor, part), std::span(out).subspan(part * size, size));
  }
  return out;
}

void require_no_faults(const Checkpoint& checkpoint) {
  std::string lines;
  for (const CheckpointFault& fault : checkpoint.faults()) {
    lines += fmt::format("{}{}", lines.empty() ? "" : "\n", fault.line());
  }
  if (!lines.empty()) throw Error(ErrorKind::invalid_input, lines);
}

}  // namespace lowbit
