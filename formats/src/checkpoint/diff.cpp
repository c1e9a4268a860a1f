// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "checkpoint/weight_rows.hpp"
#include "io/mapped_file.hpp"
#include "lowbit/checkpoint_diff.hpp"
#include "lowbit/printable.hpp"

namespace lowbit {
namespace {

/// Blocks of two matrices of the same format and shape, side by side.
class BlockCounts {
 public:
  /// \param at  of both in their weights
  void add(const BlockTensor& a, const BlockTensor& b, const Rectangle& at) {
    for (std::size_t r = 0; r < a.rows; ++r) {
      for (std::size_t k = 0; k < a.blocks_per_row(); ++k) look_at(a, b, r, k, at);
    }
  }
  [[nodiscard]] std::string text() const {
    return fmt::format("{} of {} blocks differ (scale bytes in {}, codes in {}); first: {}",
                       blocks_, all_, scales_, codes_, first_);
  }
  [[nodiscard]] bool differ() const { return blocks_ != 0; }

 private:
  void look_at(const BlockTensor& a, const BlockTensor& b, std::size_t r, std::size_t k,
               const Rectangle& at) {
    ++all_;
    const auto size = static_cast<std::size_t>(a.format->block_size);
    const std::size_t end = std::min((k + 1) * size, a.columns);
    std::size_t c = k * size;
    while (c < end && a.code(r, c) == b.code(r, c)) ++c;
    const bool scale_differs = a.scale(r, k) != b.scale(r, k);
    if (!scale_differs && c == end) return;
    scales_ += scale_differs ? 1 : 0;
    codes_ += c != end ? 1 : 0;
    if (++blocks_ != 1) return;
    first_ = fmt::format("row {}, block {}: scale byte {:#04x} and {:#04x}", at.row + r,
                         at.column / size + k, a.scale(r, k), b.scale(r, k));
    if (c != end) {
      first_ += fmt::format(", code of column {} {:#x} and {:#x}", at.column + c, a.code(r, c),
                            b.code(r, c));
    }
  }

  std::size_t all_ = 0;
  std::size_t blocks_ = 0;
  std::size_t scales_ = 0;
  std::size_t codes_ = 0;
  std::string first_;
};

/// amax and encode_constant of a part, without blocks. lowbit's own files have both in MX formats,
/// too.
BlockTensor tensor_scale_of(const QuantizedTensor& tensor, std::size_t part) {
  const bool is_own = tensor.convention->name == "lowbit";
  BlockTensor t;
  set_tensor_scale(t, is_own ? TensorScaleKind::amax : tensor.layout.tensor_scale,
                   tensor.tensor_scales[part], tensor.encode_constant);
  return t;
}

class Comparer {
 public:
  Comparer(const Checkpoint& a, const Checkpoint& b) : a_(a), b_(b) {}

  DumpComparison run() {
    std::map<std::string, const QuantizedTensor*> in_b;
    for (const QuantizedTensor& tensor : b_.quantized()) in_b[tensor.name] = &tensor;
    for (const QuantizedTensor& tensor : a_.quantized()) {
      const auto other = in_b.find(tensor.name);
      if (other == in_b.end()) {
        differ(tensor.name, "in blocks in the first dump only");
        continue;
      }
      ++result_.weights;
      compare(tensor, *other->second);
      in_b.erase(other);
    }
    for (const auto& [name, tensor] : in_b) differ(name, "in blocks in the second dump only");
    compare_others();
    std::stable_sort(
        result_.differences.begin(), result_.differences.end(),
        [](const DumpDifference& x, const DumpDifference& y) { return x.tensor < y.tensor; });
    return std::move(result_);
  }

 private:
  void differ(const std::string& name, std::string text) {
    result_.differences.push_back({name, std::move(text)});
  }

  void compare(const QuantizedTensor& x, const QuantizedTensor& y) {
    if (x.format != y.format) {
      return differ(x.name, fmt::format("{} and {}", x.format->name, y.format->name));
    }
    if (x.rows != y.rows || x.columns != y.columns) {
      return differ(x.name, fmt::format("{} and {}", shape_text(x.shape), shape_text(y.shape)));
    }
    if (x.parts() != y.parts()) {
      return differ(x.name, fmt::format("{} and {} tensor scales", x.parts(), y.parts()));
    }
    BlockCounts counts;
    std::string scales;
    for (std::size_t part = 0; part < x.parts(); ++part) {
      const detail::StoredPart of_x(x, part);
      const detail::StoredPart of_y(y, part);
      for (const Rectangle& strip : of_x.strips(!of_y.is_fused())) {
        counts.add(of_x.read(strip), of_y.read(strip), of_x.in_weight(strip));
      }
      const BlockTensor p = tensor_scale_of(x, part);
      const BlockTensor q = tensor_scale_of(y, part);
      // a / c == a' / c' without rounding: products of two floats are exact in binary64.
      const double left = static_cast<double>(p.amax) * static_cast<double>(q.encode_constant);
      const double right = static_cast<double>(q.amax) * static_cast<double>(p.encode_constant);
      if (left == right || !scales.empty()) continue;
      scales = fmt::format("tensor scales stand for {:.9g} and {:.9g}",
                           static_cast<double>(p.amax) / static_cast<double>(p.encode_constant),
                           static_cast<double>(q.amax) / static_cast<double>(q.encode_constant));
    }
    if (counts.differ()) differ(x.name, counts.text());
    if (!scales.empty()) differ(x.name, scales);
    if (!counts.differ() && scales.empty() && !(x.layout == y.layout)) {
      result_.notes.push_back(fmt::format("{}: the same numbers, {} and {}", printable(x.name),
                                          describe(x.layout), describe(y.layout)));
    }
  }

  void compare_others() {
    std::map<std::string, std::pair<const TensorInfo*, const TensorInfo*>> others;
    const auto gather = [&](const Checkpoint& checkpoint, auto member) {
      for (const TensorInfo* tensor : checkpoint.plain()) others[tensor->name].*member = tensor;
      for (const ForeignTensor& foreign : checkpoint.foreign()) {
        others[foreign.tensor->name].*member = foreign.tensor;
      }
    };
    using Pair = std::pair<const TensorInfo*, const TensorInfo*>;
    gather(a_, &Pair::first);
    gather(b_, &Pair::second);
    for (const auto& [name, pair] : others) {
      const auto [x, y] = pair;
      if (x == nullptr || y == nullptr) {
        differ(name, fmt::format("in the {} dump only", y == nullptr ? "first" : "second"));
        continue;
      }
      ++result_.others;
      if (!(*x->dtype == *y->dtype) || x->shape != y->shape ||
          x->fortran_order != y->fortran_order) {
        differ(name, fmt::format("{} {} and {} {}", x->dtype->name, shape_text(x->shape),
                                 y->dtype->name, shape_text(y->shape)));
        continue;
      }
      const auto unit = static_cast<std::size_t>(x->dtype->block_bytes);
      const std::size_t elements = x->bytes.size() / unit;
      // Some at a time, whose pages can be dropped.
      const std::size_t step = std::max<std::size_t>(1, (std::size_t{1} << 20) / unit);
      std::size_t count = 0;
      std::size_t first = 0;
      for (std::size_t from = 0; from < elements; from += step) {
        const std::size_t bytes = std::min(step, elements - from) * unit;
        const auto left = x->bytes.subspan(from * unit, bytes);
        const auto right = y->bytes.subspan(from * unit, bytes);
        for (std::size_t at = 0; at < bytes; at += unit) {
          if (std::ranges::equal(left.subspan(at, unit), right.subspan(at, unit))) continue;
          if (count++ == 0) first = from + at / unit;
        }
        note_read(left);
        note_read(right);
      }
      if (count != 0) {
        differ(name, fmt::format("{} of {} {} differ; first: {}", count, elements,
                                 x->dtype->block_elements == 1 ? "elements" : "blocks", first));
      }
    }
  }

  const Checkpoint& a_;
  const Checkpoint& b_;
  DumpComparison result_;
};

}  // namespace

DumpComparison compare_dumps(const Checkpoint& a, const Checkpoint& b) {
  return Comparer(a, b).run();
}

}  // namespace lowbit
