// SPDX-License-Identifier: MIT
#include "remedied_file.hpp"

#include <fmt/format.h>

#include <bit>
#include <deque>

#include "lowbit/block_tensor_file.hpp"
#include "lowbit/error.hpp"
#include "lowbit/evaluate.hpp"
#include "lowbit/printable.hpp"

namespace lowbit::cli {
namespace {

/// Tensors and the bytes that they point to.
class Parts {
 public:
  explicit Parts(std::span<const OutputTensor> others) : tensors_(others.begin(), others.end()) {}

  void add_f32(const std::string& name, const std::vector<float>& values) {
    if (values.empty()) return;
    store(name, dtype_f32, {values.size()}, std::as_bytes(std::span(values)));
  }
  /// \param values  BF16 numbers
  void add_bf16(const std::string& name, std::size_t rows, const std::vector<float>& values) {
    if (values.empty()) return;
    std::vector<std::uint16_t> halves(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      halves[i] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(values[i]) >> 16);
    }
    store(name, dtype_bf16, {rows, values.size() / rows}, std::as_bytes(std::span(halves)));
  }
  [[nodiscard]] std::span<const OutputTensor> tensors() const { return tensors_; }

 private:
  void store(const std::string& name, const Dtype& dtype, std::vector<std::uint64_t> shape,
             std::span<const std::byte> bytes) {
    bytes_.emplace_back(bytes.begin(), bytes.end());
    tensors_.push_back({name, &dtype, std::move(shape), bytes_.back()});
  }
  std::vector<OutputTensor> tensors_;
  std::deque<std::vector<std::byte>> bytes_;
};

}  // namespace

TransformCost write_remedied(const std::filesystem::path& path, const Remedies& remedies,
                             std::span<const SelectedTensor> chosen,
                             std::span<const TensorToQuantize> wanted, const RecordedInputs* inputs,
                             const std::map<std::string, std::string>& metadata,
                             std::span<const OutputTensor> others) {
  TransformCost cost;
  Parts parts(others);
  std::vector<NamedBlockTensor> done;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const AxisView& view = chosen[i].view;
    const TensorToQuantize& t = wanted[i];
    const NonFinite policy = t.request.nonfinite;
    const std::vector<float> w = read_matrix(*chosen[i].tensor, view, policy);
    RecordedInput input;
    if (inputs != nullptr) input = inputs->find(t.name, view.length).value_or(input);
    if (remedies.needs_inputs() && input.tensor == nullptr) {
      throw Error(
          ErrorKind::usage,
          fmt::format("--transform {}: no recorded input fits \"{}\"; record it or leave the "
                      "tensor out with --exclude",
                      remedies.text(), printable(t.name)));
    }
    std::vector<float> x;
    if (input.tensor != nullptr) {
      x = read_matrix(*input.tensor, {input.tokens, view.length, 1}, policy);
    }
    QuantizeOptions request = t.request;
    request.importance = t.importance;
    const RemediedLayer layer =
        remedies.apply({w, view.rows(), view.length}, {x, input.tokens, view.length}, request);
    cost.bits += layer.cost().bits;
    cost.multiply_adds += layer.cost().multiply_adds;
    NamedBlockTensor named{t.name, layer.quantized(), t.record, {}};
    named.record.transforms = layer.steps();
    for (std::size_t k = 0; k < layer.transforms().size(); ++k) {
      parts.add_f32(fmt::format("{}.transform.{}", t.name, k), layer.transforms()[k]->learned());
    }
    parts.add_bf16(t.name + ".branch_left", view.rows(), layer.branch_left());
    parts.add_bf16(t.name + ".branch_right", layer.rank(), layer.branch_right());
    done.push_back(std::move(named));
  }
  write_block_tensors(path, done, metadata, parts.tensors());
  return cost;
}

}  // namespace lowbit::cli
