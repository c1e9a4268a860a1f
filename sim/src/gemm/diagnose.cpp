// SPDX-License-Identifier: MIT
#include "lowbit/sim/diagnose.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include "lowbit/conversion.hpp"
#include "lowbit/error.hpp"
#include "lowbit/scale_layout.hpp"
#include "lowbit/sim/schedule_search.hpp"
#include "lowbit/sim/word_compare.hpp"

namespace lowbit::sim {
namespace {

/// A GEMM that differs from the model's in one mistake.
struct Variation {
  std::string name;
  GemmOperand a;
  GemmOperand b;
  GemmModel model;
  bool transposed = false;                 ///< D lies in memory as N x M
  const ElementFormat* through = nullptr;  ///< D was rounded to this on the way
};

BlockTensor with_swapped_nibbles(BlockTensor t) {
  for (std::uint8_t& pair : t.values) pair = static_cast<std::uint8_t>(pair << 4 | pair >> 4);
  return t;
}

/// Row-major bytes that a kernel reads as if they were swizzled.
BlockTensor with_scales_read_as_swizzled(BlockTensor t) {
  const std::size_t blocks = t.blocks_per_row();
  std::vector<std::uint8_t> memory = t.scales;
  memory.resize(std::max(memory.size(), swizzled_scale_bytes(t.rows, blocks)), 0);
  for (std::size_t r = 0; r < t.rows; ++r) {
    for (std::size_t b = 0; b < blocks; ++b) {
      t.scales[r * blocks + b] = memory[swizzled_scale_offset(r, b, blocks)];
    }
  }
  return t;
}

/// Swizzled bytes that a kernel reads as if they were row-major.
BlockTensor with_scales_read_as_linear(BlockTensor t) {
  const auto memory = swizzle_scales(t.scales, t.rows, t.blocks_per_row());
  std::copy_n(memory.begin(), t.scales.size(), t.scales.begin());
  return t;
}

BlockTensor with_transposed_scales(BlockTensor t) {
  const std::size_t blocks = t.blocks_per_row();
  const std::vector<std::uint8_t> memory = t.scales;
  for (std::size_t i = 0; i < memory.size(); ++i) {
    t.scales[i] = memory[i % blocks * t.rows + i / blocks];
  }
  return t;
}

BlockTensor without_scales(BlockTensor t) {
  const bool nv = t.format->family() == ScaleFamily::nv;
  for (std::uint8_t& s : t.scales) {
    const auto flag = static_cast<std::uint8_t>(t.format->is_adaptive() ? s & 0x80 : 0);
    s = static_cast<std::uint8_t>(nv ? flag | 0x38 : 0x7F);  // 1.0
  }
  return t;
}

/// Scales one block early or late along K.
BlockTensor with_shifted_scales(BlockTensor t, int by) {
  const auto blocks = static_cast<std::ptrdiff_t>(t.blocks_per_row());
  const std::vector<std::uint8_t> memory = t.scales;
  for (std::ptrdiff_t i = 0; i < static_cast<std::ptrdiff_t>(memory.size()); ++i) {
    const std::ptrdiff_t block = std::clamp<std::ptrdiff_t>(i % blocks + by, 0, blocks - 1);
    t.scales[static_cast<std::size_t>(i)] =
        memory[static_cast<std::size_t>(i / blocks * blocks + block)];
  }
  return t;
}

BlockTensor with_flags_ignored(BlockTensor t) {
  for (std::uint8_t& s : t.scales) s &= 0x7F;
  return t;
}

/// Codes of columns [first, last) zero: what a kernel that skips them computes.
GemmOperand without_columns(const GemmOperand& operand, std::size_t first, std::size_t last) {
  BlockTensor t = std::get<BlockTensor>(operand);
  last = std::min(last, t.columns);
  for (std::size_t r = 0; r < t.rows; ++r) {
    std::uint8_t* row = t.values.data() + r * t.value_bytes_per_row();
    for (std::size_t k = first; k < last; ++k) {
      if (t.format->storage_bits() == 8) {
        row[k] = 0;
      } else {
        row[k / 2] &= k % 2 == 0 ? 0xF0 : 0x0F;
      }
    }
  }
  return t;
}

class Doctor {
 public:
  Doctor(const GemmOperand& a, const GemmOperand& b, const GemmModel& model,
         std::span<const std::uint32_t> expected, std::span<const std::uint32_t> output,
         std::span<const float> c)
      : a_(a),
        b_(b),
        model_(model),
        expected_(expected),
        output_(output),
        c_(c),
        format_(*model.schedule.epilogue.output),
        m_(rows_of(a)),
        n_(rows_of(b)),
        sample_(sample_output(m_, n_, format_, expected, output, 8, 16)) {}

  Diagnosis run() {
    if (m_ == 0 || n_ == 0) return result_;
    for (const std::size_t i : sample_.rows) {
      for (const std::size_t j : sample_.columns) {
        ++result_.sampled;
        if (!same_word(format_, expected_[i * n_ + j], output_[i * n_ + j])) {
          ++result_.sample_mismatches;
        }
      }
    }
    observe();
    layouts();
    tensor_scale_mistakes();
    arithmetics();
    missing_columns();
    settle();
    return result_;
  }

 private:
  [[nodiscard]] Variation base(std::string name) const {
    return {std::move(name), a_, b_, model_, false, nullptr};
  }

  [[nodiscard]] std::uint32_t finished(const Variation& v, std::uint32_t word) const {
    if (v.through == nullptr) return word;
    ConversionPolicy policy;
    policy.overflow = Overflow::infinity;
    return std::bit_cast<std::uint32_t>(
        to_float(*v.through, from_float(*v.through, std::bit_cast<float>(word), policy)));
  }

  [[nodiscard]] std::size_t at(const Variation& v, std::size_t i, std::size_t j) const {
    return v.transposed ? j * m_ + i : i * n_ + j;
  }

  [[nodiscard]] std::size_t mismatches(const Variation& v, const OutputSample& where) const {
    std::vector<float> part_c;
    if (!c_.empty()) {
      for (const std::size_t i : where.rows) {
        for (const std::size_t j : where.columns) part_c.push_back(c_[i * n_ + j]);
      }
    }
    const auto words =
        run_gemm(select_rows(v.a, where.rows), select_rows(v.b, where.columns), v.model, part_c);
    std::size_t count = 0;
    std::size_t index = 0;
    for (const std::size_t i : where.rows) {
      for (const std::size_t j : where.columns) {
        if (!same_word(format_, finished(v, words[index++]), output_[at(v, i, j)])) ++count;
      }
    }
    return count;
  }

  /// Tries one on the sample; keeps it if it mends half of the mismatches there.
  void attempt(const Variation& v) {
    ++result_.tried;
    std::size_t count = 0;
    try {
      count = mismatches(v, sample_);
    } catch (const Error&) {
      return;  // the mistaken operands have no product under this model
    }
    if (2 * count > result_.sample_mismatches) return;
    Hypothesis h{v.name, result_.sampled, count, false};
    if (count == 0) {
      OutputSample whole;
      for (std::size_t i = 0; i < m_; ++i) whole.rows.push_back(i);
      for (std::size_t j = 0; j < n_; ++j) whole.columns.push_back(j);
      h.explains_all = mismatches(v, whole) == 0;
    }
    result_.hypotheses.push_back(std::move(h));
  }

  void observe() {
    const WordComparison whole = compare_words(format_, expected_, output_);
    if (whole.zeros == whole.words) {
      result_.observations.emplace_back("every word of the output is zero");
      return;
    }
    std::size_t low_row = m_, high_row = 0, low_column = n_, high_column = 0;
    double low = std::numeric_limits<double>::infinity(), high = -low;
    std::size_t ratios = 0;
    for (std::size_t i = 0; i < m_ * n_; ++i) {
      const double x = to_double(format_, expected_[i]);
      const double y = to_double(format_, output_[i]);
      if (std::isfinite(x) && std::isfinite(y) && x != 0 && y != 0) {
        low = std::min(low, y / x);
        high = std::max(high, y / x);
        ++ratios;
      }
      if (same_word(format_, expected_[i], output_[i])) continue;
      low_row = std::min(low_row, i / n_);
      high_row = std::max(high_row, i / n_);
      low_column = std::min(low_column, i % n_);
      high_column = std::max(high_column, i % n_);
    }
    if (low_row > 0 || high_row + 1 < m_) {
      result_.observations.push_back(
          fmt::format("all mismatches lie in rows {} to {} of {}", low_row, high_row, m_));
    }
    if (low_column > 0 || high_column + 1 < n_) {
      result_.observations.push_back(
          fmt::format("all mismatches lie in columns {} to {} of {}", low_column, high_column, n_));
    }
    if (whole.zero_signs == whole.mismatches) {
      result_.observations.emplace_back("all mismatches are signs of zero");
    }
    const double tolerance = std::ldexp(4.0, -format_.mantissa_bits) * std::abs(high);
    const bool constant = ratios > 3 && high - low <= tolerance;
    if (constant && std::abs(low - 1) > 2 * tolerance) {
      result_.observations.push_back(fmt::format(
          "the output is the model's times {:.9g} throughout: a scale", (low + high) / 2));
    }
  }

  void layouts() {
    if (m_ != 1 || n_ != 1) {
      Variation v = base("D is stored transposed, or A and B are swapped");
      v.transposed = true;
      attempt(v);
    }
    const auto* ta = std::get_if<BlockTensor>(&a_);
    const auto* tb = std::get_if<BlockTensor>(&b_);
    if (ta == nullptr || tb == nullptr) return;
    using Change = std::function<BlockTensor(const BlockTensor&)>;
    const auto each_side = [&](const std::string& what, const Change& change, bool on_a,
                               bool on_b) {
      Variation v = base("");
      if (on_a) {
        v.name = what + " of A";
        v.a = change(*ta);
        attempt(v);
      }
      if (on_b) {
        v = base(what + " of B");
        v.b = change(*tb);
        attempt(v);
      }
      if (on_a && on_b) {
        v = base(what + " of A and B");
        v.a = change(*ta);
        v.b = change(*tb);
        attempt(v);
      }
    };
    const bool packed_a = ta->format->storage_bits() == 4;
    const bool packed_b = tb->format->storage_bits() == 4;
    each_side("nibble order swapped in the codes", with_swapped_nibbles, packed_a, packed_b);
    each_side("row-major block scales read as swizzled (128x4)", with_scales_read_as_swizzled, true,
              true);
    each_side("swizzled (128x4) block scales read as row-major", with_scales_read_as_linear, true,
              true);
    each_side("transposed block scales", with_transposed_scales, true, true);
    each_side(
        "block scales one block late",
        [](const BlockTensor& t) { return with_shifted_scales(t, -1); }, true, true);
    each_side(
        "block scales one block early",
        [](const BlockTensor& t) { return with_shifted_scales(t, 1); }, true, true);
    each_side("block scales not applied", without_scales, true, true);
    each_side("integer flags ignored (all blocks read as float)", with_flags_ignored,
              ta->format->is_adaptive(), tb->format->is_adaptive());
    if (ta->scales.size() == tb->scales.size() && ta->format->family() == tb->format->family()) {
      Variation v = base("block scales of A and B exchanged");
      BlockTensor xa = *ta;
      BlockTensor xb = *tb;
      std::swap(xa.scales, xb.scales);
      v.a = std::move(xa);
      v.b = std::move(xb);
      attempt(v);
    }
  }

  void tensor_scale_mistakes() {
    const auto* ta = std::get_if<BlockTensor>(&a_);
    const auto* tb = std::get_if<BlockTensor>(&b_);
    if (ta == nullptr || tb == nullptr) return;
    struct Scale {
      float amax, constant;
    };
    const auto with = [&](const std::string& name, Scale sa, Scale sb) {
      Variation v = base(name);
      BlockTensor xa = *ta;
      BlockTensor xb = *tb;
      xa.amax = sa.amax;
      xa.encode_constant = sa.constant;
      xb.amax = sb.amax;
      xb.encode_constant = sb.constant;
      v.a = std::move(xa);
      v.b = std::move(xb);
      attempt(v);
    };
    const Scale a{ta->amax, ta->encode_constant};
    const Scale b{tb->amax, tb->encode_constant};
    constexpr Scale one{1, 1};
    const bool has_a = a.amax != a.constant;
    const bool has_b = b.amax != b.constant;
    const bool applied = model_.instruction == nullptr
                             ? model_.tensor_scale != TensorScale::none
                             : model_.schedule.epilogue.scale != AlphaRule::none;
    if (!applied) {
      if (!has_a && !has_b) return;
      Variation v = base("tensor scales applied (ask for --tensor-scale fp32)");
      v.model.tensor_scale = TensorScale::fp32;
      v.model.schedule.epilogue.scale = AlphaRule::product;
      attempt(v);
      v.name = "tensor scales applied, rounded once (ask for --tensor-scale exact)";
      v.model.tensor_scale = TensorScale::exact;
      v.model.schedule.epilogue.scale = AlphaRule::exact;
      attempt(v);
      return;
    }
    if (has_a && has_b) with("neither tensor scale applied", one, one);
    if (has_a) with("tensor scale of A not applied", one, b);
    if (has_b) with("tensor scale of B not applied", a, one);
    if (a.amax > 0 && b.amax > 0) {
      if (has_a) with("tensor scale of A inverted", {a.constant, a.amax}, b);
      if (has_b) with("tensor scale of B inverted", a, {b.constant, b.amax});
      if (has_a && has_b)
        with("both tensor scales inverted", {a.constant, a.amax}, {b.constant, b.amax});
    }
    if (a.constant != 1 || b.constant != 1) {
      with("tensor scales without the encode constants (amax alone)", {a.amax, 1}, {b.amax, 1});
    }
    if (a.constant == 2688 || b.constant == 2688) {
      with("encode constant 1536 (448 -> 256) where the tensors have 2688", {a.amax, 1536},
           {b.amax, 1536});
    }
    if (a.constant == 1536 || b.constant == 1536) {
      with("encode constant 2688 (256 -> 448) where the tensors have 1536", {a.amax, 2688},
           {b.amax, 2688});
    }
    for (const TensorScale other : {TensorScale::exact, TensorScale::fp32}) {
      if (model_.instruction != nullptr || other == model_.tensor_scale) continue;
      Variation v =
          base(other == TensorScale::exact ? "tensor scales applied exactly, with one rounding"
                                           : "tensor scales applied in FP32 after rounding");
      v.model.tensor_scale = other;
      attempt(v);
    }
  }

  void arithmetics() {
    if (format_ == f32) {
      for (const ElementFormat* through : {&f16, &bf16}) {
        Variation v = base(fmt::format("D rounded to {} and widened", through->name));
        v.through = through;
        attempt(v);
      }
    }
    const AlphaRule rule = model_.instruction != nullptr ? model_.schedule.epilogue.scale
                           : model_.tensor_scale == TensorScale::none  ? AlphaRule::none
                           : model_.tensor_scale == TensorScale::exact ? AlphaRule::exact
                                                                       : AlphaRule::product;
    if (model_.instruction != nullptr && c_.empty() && !model_.schedule.epilogue.alpha) {
      Variation v = base("the exact sums, rounded once");
      v.model.instruction = nullptr;
      v.model.tensor_scale = rule == AlphaRule::none    ? TensorScale::none
                             : rule == AlphaRule::exact ? TensorScale::exact
                                                        : TensorScale::fp32;
      attempt(v);
      if (v.model.tensor_scale == TensorScale::fp32) {
        v.name = "the exact product, tensor scales included, rounded once (the model `exact`)";
        v.model.tensor_scale = TensorScale::exact;
        attempt(v);
      }
    }
    // Kernels apply tensor scales in FP32, whatever the exact model was asked to do.
    std::vector<AlphaRule> rules{rule};
    if (rule == AlphaRule::exact) rules.push_back(AlphaRule::product);
    // Other instructions that can take the operands, one for each set of parameters.
    std::vector<std::pair<MmaParameters, int>> seen;
    const auto differs = [&](const MmaParameters& p, int k) {
      const std::pair<MmaParameters, int> key{p, k};
      if (std::find(seen.begin(), seen.end(), key) != seen.end()) return false;
      seen.push_back(key);
      return true;
    };
    if (model_.instruction != nullptr)
      (void)differs(model_.instruction->parameters, model_.instruction->k);
    const Instruction* any = model_.instruction;
    for (const Instruction& other : instructions()) {
      const bool same_types =
          model_.instruction == nullptr
              ? other.scale != nullptr
              : other.a == model_.instruction->a && other.b == model_.instruction->b &&
                    other.d == model_.instruction->d &&
                    (other.scale == nullptr) == (model_.instruction->scale == nullptr);
      if (!same_types || !takes(other) || !differs(other.parameters, other.k)) continue;
      if (any == nullptr) any = &other;
      for (const AlphaRule scale : rules) {
        Variation v = base("");
        v.model.instruction = &other;
        v.model.schedule.epilogue.scale = scale;
        v.name = fmt::format("instruction {}, {}", other.name, describe(v.model.schedule));
        attempt(v);
      }
    }
    if (any == nullptr || any->d != &f32) return;
    Instruction chain = *any;
    chain.parameters.rule = MmaRule::fma_chain;
    for (const AlphaRule scale : rules) {
      Variation v = base("");
      v.model.instruction = &chain;
      v.model.schedule.epilogue.scale = scale;
      v.name = fmt::format("FP32 fused multiply-adds, one product at a time, {}",
                           describe(v.model.schedule));
      attempt(v);
    }
  }

  [[nodiscard]] bool takes(const Instruction& instruction) const {
    const std::size_t row[] = {0};
    try {
      (void)prepare_operand(select_rows(a_, row), instruction, MmaSide::a, model_.schedule,
                            model_.nan_scale);
      (void)prepare_operand(select_rows(b_, row), instruction, MmaSide::b, model_.schedule,
                            model_.nan_scale);
    } catch (const Error&) {
      return false;
    }
    return true;
  }

  void missing_columns() {
    if (!std::holds_alternative<BlockTensor>(a_)) return;
    const std::size_t columns = columns_of(a_);
    for (const std::size_t tile :
         {std::size_t{16}, std::size_t{32}, std::size_t{64}, std::size_t{128}, std::size_t{256}}) {
      if (tile >= columns || columns / tile > 64) continue;
      for (std::size_t first = 0; first < columns; first += tile) {
        const std::size_t last = std::min(first + tile, columns);
        Variation v = base(fmt::format("columns {} to {} of K left out", first, last - 1));
        v.a = without_columns(a_, first, last);
        attempt(v);
        if (first == 0 || last == columns) continue;
        v.name = fmt::format("K ends after column {}", first - 1);
        v.a = without_columns(a_, first, columns);
        attempt(v);
      }
    }
  }

  void settle() {
    auto& all = result_.hypotheses;
    const bool settled =
        std::any_of(all.begin(), all.end(), [](const Hypothesis& h) { return h.explains_all; });
    if (settled) std::erase_if(all, [](const Hypothesis& h) { return !h.explains_all; });
    std::stable_sort(all.begin(), all.end(), [](const Hypothesis& x, const Hypothesis& y) {
      return x.sample_mismatches < y.sample_mismatches;
    });
    if (all.size() > 5) all.resize(5);
  }

  const GemmOperand& a_;
  const GemmOperand& b_;
  const GemmModel& model_;
  std::span<const std::uint32_t> expected_;
  std::span<const std::uint32_t> output_;
  std::span<const float> c_;
  const ElementFormat& format_;
  std::size_t m_;
  std::size_t n_;
  OutputSample sample_;
  Diagnosis result_;
};

}  // namespace

Diagnosis diagnose(const GemmOperand& a, const GemmOperand& b, const GemmModel& model,
                   std::span<const std::uint32_t> expected, std::span<const std::uint32_t> output,
                   std::span<const float> c) {
  return Doctor(a, b, model, expected, output, c).run();
}

}  // namespace lowbit::sim
