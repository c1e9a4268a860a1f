// SPDX-License-Identifier: MIT
#include "verify/causes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>

#include "lowbit/error.hpp"

namespace lowbit {

std::span<const Cause> causes() {
  static constexpr std::array all{Cause::nibble_order,   Cause::scale_layout, Cause::negative_zero,
                                  Cause::scale_rounding, Cause::scale_max,    Cause::fp16_input,
                                  Cause::stale_amax,     Cause::element_tie,  Cause::zero_block,
                                  Cause::selection,      Cause::saturation,   Cause::dialect};
  return all;
}

std::string_view name_of(Cause cause) {
  switch (cause) {
    case Cause::nibble_order:
      return "nibble_order";
    case Cause::scale_layout:
      return "scale_layout";
    case Cause::negative_zero:
      return "negative_zero";
    case Cause::scale_rounding:
      return "scale_rounding";
    case Cause::scale_max:
      return "scale_max";
    case Cause::fp16_input:
      return "fp16_input";
    case Cause::stale_amax:
      return "stale_amax";
    case Cause::element_tie:
      return "element_tie";
    case Cause::zero_block:
      return "zero_block";
    case Cause::selection:
      return "selection";
    case Cause::saturation:
      return "saturation";
    case Cause::dialect:
      return "dialect";
  }
  return "";
}

namespace detail {
namespace {

/// The layouts that the stored sizes allow, whatever shape the scale bytes have; the recipe's own
/// left out.
std::vector<Layout> other_layouts(const Trial& trial, const Recipe& base) {
  std::vector<Layout> others;
  std::vector<Layout> all;
  try {
    all = consistent_layouts(*base.format, trial.rows(), trial.columns(),
                             trial.stored().values.size(), trial.stored().scale_shape);
  } catch (const Error&) {
    return others;
  }
  for (Layout layout : all) {
    layout.tensor_scale = base.layout.tensor_scale;
    layout.scale_type = base.layout.scale_type;
    if (layout == base.layout || trial.dump(*base.format, layout) == nullptr) continue;
    if (std::ranges::find(others, layout) == others.end()) others.push_back(layout);
  }
  // One decision before two.
  std::ranges::stable_sort(others, [&](const Layout& x, const Layout& y) {
    const auto changes = [&](const Layout& l) {
      return (l.codes != base.layout.codes ? 1 : 0) + (l.scales != base.layout.scales ? 1 : 0) +
             (l.fused_blocks != base.layout.fused_blocks ? 2 : 0);
    };
    return changes(x) < changes(y);
  });
  return others;
}

class CauseSearch {
 public:
  CauseSearch(const Trial& trial, const Recipe& base) : trial_(trial), base_(base) {}

  std::vector<CauseFinding> run() {
    const DumpBlocks* const own = trial_.dump(*base_.format, base_.layout);
    std::vector<BlockRef> wanted;
    if (own != nullptr) wanted = trial_.differing(base_, *own, 384);
    sample_ = trial_.sample(*base_.format, trial_.all_finite() ? 256 : 64, wanted);
    base_sample_ = trial_.quantize_sample(base_, sample_);
    layouts_ = other_layouts(trial_, base_);
    if (own != nullptr) layouts_.insert(layouts_.begin(), base_.layout);
    changes_ = modifications(trial_, base_);
    for (const Modification& m : changes_) {
      try {
        samples_.push_back(trial_.quantize_sample(m.recipe, sample_));
      } catch (const Error&) {
        samples_.emplace_back();  // a pair that this dialect does not have
      }
    }

    std::vector<CauseFinding> found;
    // A layout alone, numerics alone, then both.
    for (const Layout& layout : layouts_) {
      if (layout != base_.layout && settles(layout, nullptr, found)) return found;
    }
    for (std::size_t pass = 0; pass < 2; ++pass) {
      for (const Layout& layout : layouts_) {
        if ((layout == base_.layout) != (pass == 0)) continue;
        const BlockTensor dump = trial_.dump_sample(*trial_.dump(*base_.format, layout), sample_);
        for (std::size_t i = 0; i < changes_.size(); ++i) {
          if (samples_[i].format == nullptr) continue;
          if (difference_of(samples_[i], &base_sample_, changes_[i].mixture, dump).different != 0) {
            continue;
          }
          if (settles(layout, &changes_[i], found)) return found;
        }
      }
    }
    classify(found);
    return found;
  }

 private:
  /// Whether the layout, with or without the change, explains every block and the tensor scale.
  bool settles(const Layout& layout, const Modification* change, std::vector<CauseFinding>& found) {
    const DumpBlocks* const dump = trial_.dump(*base_.format, layout);
    Recipe recipe = change != nullptr ? change->recipe : base_;
    recipe.layout = layout;
    // A stored amax that is named as stale need not be the recipe's.
    const bool stale = change != nullptr && change->cause == Cause::stale_amax;
    if (!stale && !trial_.check_scale(recipe).equal) return false;
    if (change == nullptr &&
        difference_of(base_sample_, nullptr, Mixture::none, trial_.dump_sample(*dump, sample_))
                .different != 0) {
      return false;
    }
    const Recipe* const other =
        change != nullptr && change->mixture != Mixture::none ? &base_ : nullptr;
    const Mixture mixture = change != nullptr ? change->mixture : Mixture::none;
    if (trial_.compare_all(recipe, other, mixture, *dump).different != 0) return false;

    if (layout != base_.layout) add_layout(layout, recipe, found);
    if (change == nullptr) return true;
    Recipe plain = base_;
    plain.layout = layout;
    CauseFinding finding{change->cause, change->change, 0, 0, 0, {}};
    const BlockDifference d = trial_.compare_all(plain, nullptr, Mixture::none, *dump);
    place(finding, d);
    if (d.different != 0) {
      finding.explanation = block_explanation(trial_, plain, *dump, d.first_row, d.first_block);
    }
    finding.explanation += change->meaning;
    found.push_back(std::move(finding));
    return true;
  }

  static void place(CauseFinding& finding, const BlockDifference& d) {
    finding.blocks = d.different;
    finding.row = d.first_row;
    finding.block = d.first_block;
  }

  /// \param recipe  what the dump is under the right layout
  void add_layout(const Layout& layout, const Recipe& recipe, std::vector<CauseFinding>& found) {
    const auto add = [&](Cause cause, std::string_view is, std::string_view was, Layout partly) {
      CauseFinding finding{cause, fmt::format("{} instead of {}", is, was), 0, 0, 0, {}};
      // What differs while only this is read as declared.
      const DumpBlocks* const dump = trial_.dump(*base_.format, partly);
      if (dump != nullptr) {
        const BlockDifference d = trial_.compare_all(recipe, nullptr, Mixture::none, *dump);
        place(finding, d);
        if (d.different != 0) {
          finding.explanation =
              block_explanation(trial_, recipe, *dump, d.first_row, d.first_block);
        }
      } else {
        finding.blocks = trial_.rows() * recipe_blocks();
        finding.explanation = "  the stored bytes do not have the sizes of the declared layout\n";
      }
      finding.explanation += fmt::format("  --layout {} reads the dump\n", describe(layout));
      found.push_back(std::move(finding));
    };
    Layout partly = layout;
    if (layout.codes != base_.layout.codes) {
      partly.codes = base_.layout.codes;
      add(Cause::nibble_order, name_of(layout.codes), name_of(base_.layout.codes), partly);
    }
    if (layout.scales != base_.layout.scales || layout.fused_blocks != base_.layout.fused_blocks ||
        layout.once_per_2d_block != base_.layout.once_per_2d_block) {
      partly = layout;
      partly.scales = base_.layout.scales;
      partly.fused_blocks = base_.layout.fused_blocks;
      partly.once_per_2d_block = base_.layout.once_per_2d_block;
      const auto text = [](const Layout& l) {
        return l.fused_blocks != 0   ? fmt::format("fused={}", l.fused_blocks)
               : l.once_per_2d_block ? fmt::format("{}, once per 2D block", name_of(l.scales))
                                     : std::string(name_of(l.scales));
      };
      add(Cause::scale_layout, text(layout), text(base_.layout), partly);
    }
  }

  [[nodiscard]] std::size_t recipe_blocks() const {
    const auto size = static_cast<std::size_t>(base_.format->block_size);
    return (trial_.columns() + size - 1) / size;
  }

  /// No single cause: what each block that differs is.
  void classify(std::vector<CauseFinding>& found) {
    Layout layout = base_.layout;
    std::size_t fewest = static_cast<std::size_t>(-1);
    // The layout under which the fewest sampled blocks differ; the declared one where it is as
    // good.
    for (const Layout& candidate : layouts_) {
      const BlockTensor dump = trial_.dump_sample(*trial_.dump(*base_.format, candidate), sample_);
      const std::size_t n = difference_of(base_sample_, nullptr, Mixture::none, dump).different;
      if (n < fewest) {
        fewest = n;
        layout = candidate;
      }
    }
    const DumpBlocks* const dump = trial_.dump(*base_.format, layout);
    if (dump == nullptr) return;
    Recipe recipe = base_;
    recipe.layout = layout;
    // Another layout is named only where it mends most blocks.
    const bool mends = layout != base_.layout && 2 * fewest <= sample_.blocks.size();
    if (mends) {
      add_layout(layout, recipe, found);
    } else if (layout != base_.layout) {
      layout = base_.layout;
      recipe.layout = layout;
    }
    const DumpBlocks* const held = trial_.dump(*base_.format, layout);
    if (held == nullptr) return;
    const BlockDifference all = trial_.compare_all(recipe, nullptr, Mixture::none, *held);
    const std::vector<BlockRef> blocks = trial_.differing(recipe, *held, 2048);
    std::map<Cause, std::pair<std::size_t, BlockRef>> classes;
    for (const BlockRef& at : blocks) {
      auto [entry, is_new] =
          classes.try_emplace(class_of_block(trial_, recipe, *held, at), std::size_t{0}, at);
      ++entry->second.first;
    }
    for (const auto& [cause, where] : classes) {
      CauseFinding finding{cause, "in some blocks, and no one change gives them all", 0, 0, 0, {}};
      if (cause == Cause::dialect) finding.change = "no record and no axis gives these blocks";
      finding.blocks = blocks.empty() ? 0 : where.first * all.different / blocks.size();
      finding.row = where.second.first;
      finding.block = where.second.second;
      finding.explanation = block_explanation(trial_, recipe, *held, finding.row, finding.block);
      found.push_back(std::move(finding));
    }
    const Trial::ScaleCheck check = trial_.check_scale(recipe);
    if (!check.equal && trial_.stored().tensor_scale && !trial_.amax_is_given()) {
      found.push_back({Cause::stale_amax,
                       fmt::format("{} (0x{:08x}) is stored where {} (0x{:08x}) is measured",
                                   *trial_.stored().tensor_scale,
                                   std::bit_cast<std::uint32_t>(*trial_.stored().tensor_scale),
                                   check.expected, std::bit_cast<std::uint32_t>(check.expected)),
                       0,
                       0,
                       0,
                       {}});
    }
  }

  const Trial& trial_;
  const Recipe& base_;
  BlockSample sample_;
  BlockTensor base_sample_;
  std::vector<Layout> layouts_;
  std::vector<Modification> changes_;
  std::vector<BlockTensor> samples_;
};

}  // namespace

std::vector<CauseFinding> find_causes(const Trial& trial, const Recipe& base) {
  return CauseSearch(trial, base).run();
}

}  // namespace detail
}  // namespace lowbit
