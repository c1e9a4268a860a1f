// SPDX-License-Identifier: MIT
#include "lowbit/verify_quantize.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "lowbit/dialect_axis.hpp"
#include "lowbit/dialect_formats.hpp"
#include "lowbit/error.hpp"
#include "verify/causes.hpp"
#include "verify/recipe.hpp"

namespace lowbit {
namespace {

using detail::BlockDifference;
using detail::BlockSample;
using detail::DumpBlocks;
using detail::Mixture;
using detail::Recipe;
using detail::Trial;

/// All combinations of what is searched for, ranked.
class Search {
 public:
  Search(const Trial& trial, const VerifyRequest& request) : trial_(trial), request_(request) {
    enumerate();
  }

  [[nodiscard]] std::size_t size() const { return all_.size(); }

  /// The combination that the declaration asks for, or the best of those that it allows.
  Recipe run(std::vector<Combination>& agreeing, bool& declared_agrees) {
    if (all_.size() == 1) {
      const Recipe& only = all_[0].recipe;
      const Combination c = whole(all_[0]);
      declared_agrees = c.different == 0 && c.tensor_scale_equal;
      if (declared_agrees) agreeing.push_back(c);
      return only;
    }
    rank(256);
    rank(4096);
    if (all_.size() > 1) rank(32768);
    confirm(agreeing, declared_agrees);
    // Of the ranked ones: what the declaration allows before the rest, and what agrees with all
    // blocks before what agrees with the sample. Equals stand in the order of the records.
    const auto best = std::ranges::max_element(
        all_, {}, [](const Entry& e) { return std::make_pair(e.is_declared, e.agrees); });
    return best->recipe;
  }

  [[nodiscard]] Combination combination(const Recipe& r) const {
    Combination c;
    c.format = r.format;
    c.rule = r.rule;
    c.scale_max = r.scale_max;
    c.dialect = std::string(r.dialect.name);
    for (const std::string& axis : request_.axes) {
      if (c.dialect.find(axis) == c.dialect.npos) c.dialect += "+" + axis;
    }
    c.layout = r.layout;
    if (!request_.tensor_scale_declared && r.format->family() == ScaleFamily::nv) {
      c.layout.tensor_scale = trial_.check_scale(r).kind;
    }
    return c;
  }

 private:
  struct Entry {
    Recipe recipe;
    bool is_declared = true;    ///< nothing declared is otherwise
    std::size_t different = 0;  ///< of the last sample
    bool scale_equal = true;
    bool agrees = false;  ///< with all blocks and the tensor scale
  };

  void enumerate() {
    const QuantizeOptions& o = request_.declared;
    std::vector<const BlockFormat*> formats;
    const bool any_format = o.format == nullptr || request_.search_format;
    if (any_format) {
      for (const BlockFormat& f : block_formats()) formats.push_back(&f);
    } else {
      formats.push_back(o.format);
    }
    std::string refusal;
    for (const BlockFormat* format : formats) {
      std::vector<Layout> layouts;
      if (request_.layout && !request_.search_layout) {
        layouts.push_back(*request_.layout);
        if (any_format && trial_.dump(*format, layouts[0]) == nullptr) continue;
      } else {
        try {
          layouts = consistent_layouts(*format, trial_.rows(), trial_.columns(),
                                       trial_.stored().values.size(), trial_.stored().scale_shape);
        } catch (const Error& error) {
          if (refusal.empty() || format == o.format) refusal = error.what();
        }
        for (Layout& layout : layouts) {
          if (request_.layout) {
            layout.tensor_scale = request_.layout->tensor_scale;
            layout.scale_type = request_.layout->scale_type;
          }
        }
        if (request_.layout && std::ranges::find(layouts, *request_.layout) == layouts.end() &&
            trial_.dump(*format, *request_.layout) != nullptr) {
          layouts.insert(layouts.begin(), *request_.layout);
        }
      }
      add_rules(*format, distinct(*format, layouts));
    }
    if (all_.empty()) {
      throw Error(ErrorKind::invalid_input,
                  refusal.empty() ? "no format, rule and dialect fit the declaration" : refusal);
    }
  }

  /// Orders that are the same for this shape stand for each other: the first of them is kept.
  [[nodiscard]] std::vector<Layout> distinct(const BlockFormat& format,
                                             const std::vector<Layout>& layouts) const {
    std::vector<Layout> kept;
    for (const Layout& layout : layouts) {
      const DumpBlocks* const read = trial_.dump(format, layout);
      const bool seen = read != nullptr && std::ranges::any_of(kept, [&](const Layout& other) {
                          const DumpBlocks* const earlier = trial_.dump(format, other);
                          return earlier != nullptr && earlier->same_as(*read);
                        });
      if (!seen) kept.push_back(layout);
    }
    return kept;
  }

  void add_rules(const BlockFormat& format, const std::vector<Layout>& layouts) {
    const QuantizeOptions& o = request_.declared;
    const bool any_rule = !o.rule || request_.search_rule;
    const bool any_dialect = o.dialect == nullptr || request_.search_dialect;
    for (const Dialect& record : any_dialect ? dialects() : std::span(o.dialect, 1)) {
      const auto& tried = request_.dialects;
      if (any_dialect && !tried.empty() && std::ranges::find(tried, record.name) == tried.end()) {
        continue;
      }
      // Of the records only those of programs that have the format and a rule that is searched for,
      // and what is declared.
      const bool is_given = o.dialect != nullptr && o.dialect->name == record.name;
      if (!is_given && !has_format(record, format)) continue;
      Recipe r;
      r.format = &format;
      r.dialect = record;
      for (const std::string& axis : request_.axes) set_dialect_axis(r.dialect, axis);
      r.dialect.name = record.name;
      for (const ScaleRule rule : scale_rules()) {
        if (any_rule ? searches(rule) : rule != *o.rule) continue;
        if (!is_valid_rule(format, rule, &record)) continue;
        if (any_rule && !is_given && !has_rule(record, format, rule)) continue;
        r.rule = rule;
        std::vector<std::optional<float>> maxima{o.scale_max};
        if (any_rule && format.family() == ScaleFamily::nv) {
          const float own = default_scale_max(format, rule);
          const float other =
              own == format.largest_scale() ? format.headroom_scale() : format.largest_scale();
          if (!o.scale_max || request_.search_rule) maxima = {std::nullopt, other};
        }
        for (const std::optional<float>& m : maxima) {
          r.scale_max = m;
          if (!Trial::exists(r)) continue;
          for (const Layout& layout : layouts) {
            r.layout = layout;
            Entry e{r};
            e.is_declared = (o.format == nullptr || o.format == &format) &&
                            (!o.rule || *o.rule == rule) &&
                            (!o.rule || same_max(o.scale_max, m, format, rule)) &&
                            (o.dialect == nullptr || o.dialect->name == record.name) &&
                            (!request_.layout || *request_.layout == layout);
            all_.push_back(std::move(e));
          }
        }
      }
    }
  }

  static bool same_max(std::optional<float> x, std::optional<float> y, const BlockFormat& format,
                       ScaleRule rule) {
    if (format.family() != ScaleFamily::nv) return true;
    const float own = default_scale_max(format, rule);
    return x.value_or(own) == y.value_or(own);
  }

  /// Sorts by the blocks of a sample that differ, and keeps those that agree with it, or the best.
  void rank(std::size_t blocks) {
    std::map<int, BlockSample> samples;
    std::map<std::pair<const BlockFormat*, std::string>, BlockTensor> dumps;
    std::map<std::pair<std::string, std::string>, std::size_t> known;
    std::string last;
    BlockTensor wanted;
    bool works = false;
    for (Entry& e : all_) {
      const Recipe& r = e.recipe;
      const int size = r.format->block_size;
      if (!samples.contains(size)) samples[size] = trial_.sample(*r.format, blocks);
      const BlockSample& sample = samples[size];
      const std::string layout = describe(r.layout);
      const std::string key = trial_.key(r);
      e.scale_equal = trial_.check_scale(r).equal;
      const auto result = known.find({key, layout});
      if (result != known.end()) {
        e.different = result->second;
        continue;
      }
      // Layouts of one recipe follow each other: it is quantized once.
      if (last != key) {
        works = true;
        try {
          wanted = trial_.quantize_sample(r, sample);
        } catch (const Error&) {
          works = false;
        }
      }
      last = key;
      const DumpBlocks* const dump = trial_.dump(*r.format, r.layout);
      if (!works || dump == nullptr) {
        e.different = static_cast<std::size_t>(-1);
      } else {
        const auto at = std::make_pair(r.format, layout);
        if (!dumps.contains(at)) dumps[at] = trial_.dump_sample(*dump, sample);
        e.different = difference_of(wanted, nullptr, Mixture::none, dumps[at]).different;
      }
      known[{key, layout}] = e.different;
    }
    std::ranges::stable_sort(all_, [](const Entry& x, const Entry& y) {
      if (x.different != y.different) return x.different < y.different;
      if (x.scale_equal != y.scale_equal) return x.scale_equal;
      return x.is_declared && !y.is_declared;
    });
    constexpr std::size_t kept = 24;
    const std::size_t least = all_[0].different;
    const Entry* declared = nullptr;
    for (const Entry& e : all_) {
      if (e.is_declared) {
        declared = &e;
        break;
      }
    }
    std::optional<Entry> best_declared;
    if (declared != nullptr) best_declared = *declared;
    std::size_t count = 0;
    while (count < all_.size() && (least == 0 ? all_[count].different == 0 : count < kept)) {
      ++count;
    }
    all_.resize(count);
    if (best_declared && std::ranges::none_of(all_, &Entry::is_declared)) {
      all_.push_back(std::move(*best_declared));
    }
  }

  [[nodiscard]] Combination whole(const Entry& e) const {
    Combination c = combination(e.recipe);
    c.tensor_scale_equal = trial_.check_scale(e.recipe).equal;
    const DumpBlocks* const dump = trial_.dump(*e.recipe.format, e.recipe.layout);
    if (dump == nullptr) {
      c.different = c.compared = 1;
      return c;
    }
    const BlockDifference d = trial_.compare_all(e.recipe, nullptr, Mixture::none, *dump);
    c.different = d.different;
    c.compared = d.compared;
    return c;
  }

  /// All that agree with the sample, on all blocks. What differs on no block that the dump can
  /// show is computed once.
  void confirm(std::vector<Combination>& agreeing, bool& declared_agrees) {
    std::map<std::string, bool> known;
    declared_agrees = false;
    for (Entry& e : all_) {
      if (e.different != 0 || !e.scale_equal) continue;
      const DumpBlocks* const dump = trial_.dump(*e.recipe.format, e.recipe.layout);
      const std::string key = trial_.key(e.recipe, dump) + describe(e.recipe.layout);
      const auto [result, is_new] = known.try_emplace(key, false);
      if (is_new) result->second = dump != nullptr && trial_.agrees(e.recipe, *dump);
      e.agrees = result->second;
      if (!e.agrees) continue;
      declared_agrees = declared_agrees || e.is_declared;
      agreeing.push_back(combination(e.recipe));
      agreeing.back().compared = dump->blocks();
    }
  }

  const Trial& trial_;
  const VerifyRequest& request_;
  std::vector<Entry> all_;
};

}  // namespace

std::string describe(const Combination& c) {
  return fmt::format("{} {}{}, {}, {}", c.format->name, name_of(c.rule),
                     c.scale_max ? fmt::format(" M={}", *c.scale_max) : "", c.dialect,
                     describe(c.layout));
}

Verification verify_quantized(std::span<const float> values, std::size_t rows, std::size_t columns,
                              const QuantizedDump& dump, const VerifyRequest& request) {
  if (values.size() != rows * columns) {
    throw Error(ErrorKind::usage, fmt::format("{} values are given for a matrix of {} x {}",
                                              values.size(), rows, columns));
  }
  TensorInfo tensor;
  tensor.dtype = &dtype_f32;
  tensor.shape = {rows, columns};
  tensor.bytes = std::as_bytes(values);
  return verify_quantized(
      {&tensor, {rows, columns, 1}, false},
      {dump.name, dump.values, dump.scales, dump.scale_shape, dump.tensor_scale}, request);
}

Verification verify_quantized(const StoredMatrix& matrix, const StoredDump& dump,
                              const VerifyRequest& request) {
  const std::size_t rows = matrix.rows();
  const std::size_t columns = matrix.columns();
  const Trial trial(matrix, dump, request);
  Search search(trial, request);
  Verification v;
  v.name = dump.name;
  v.rows = rows;
  v.columns = columns;
  v.tried = search.size();
  v.searched = v.tried > 1;
  const Recipe recipe = search.run(v.agreeing, v.equal);
  v.declared = search.combination(recipe);
  const Trial::ScaleCheck check = trial.check_scale(recipe);
  v.stored_scale = dump.tensor_scale;
  v.expected_scale = check.expected;
  v.declared.tensor_scale_equal = check.equal;
  const auto size = static_cast<std::size_t>(recipe.format->block_size);
  v.difference.blocks = rows * ((columns + size - 1) / size);
  v.difference.amax_differs = !check.equal;
  const DumpBlocks* const held = trial.dump(*recipe.format, recipe.layout);
  v.fits = held != nullptr;
  v.declared.compared = v.difference.blocks;
  if (v.equal) return v;
  if (held != nullptr) {
    const BlockDifference d = trial.compare_all(recipe, nullptr, Mixture::none, *held);
    v.difference.different = d.different;
    v.difference.scales = d.scales;
    v.difference.codes = d.codes;
    v.difference.first_row = d.first_row;
    v.difference.first_block = d.first_block;
  } else {
    v.difference.different = v.difference.blocks;
  }
  v.declared.different = v.difference.different;
  v.causes = detail::find_causes(trial, recipe);
  return v;
}

}  // namespace lowbit
