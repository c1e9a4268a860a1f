// SPDX-License-Identifier: MIT
#include "quantize/request.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "lowbit/dialect.hpp"
#include "lowbit/error.hpp"

namespace lowbit::detail {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorKind::usage, message);
}

}  // namespace

Request::Request(std::size_t rows, std::size_t columns, const QuantizeOptions& options)
    : rows_(rows), columns_(columns), options_(options) {
  const QuantizeOptions& o = options_;
  if (o.format == nullptr) refuse("no block format is given");
  check_block_format(*o.format);
  const ScaleRule rule = o.rule.value_or(default_rule(*o.format, o.dialect));
  if (!is_valid_rule(*o.format, rule, o.dialect)) {
    const std::string_view dialect = o.dialect != nullptr ? o.dialect->name : canonical.name;
    refuse(fmt::format("format {} has no rule {} in dialect {}", o.format->name, name_of(rule),
                       dialect));
  }
  check_search(rule);
  if (o.format->has_levels()) {
    if (o.block_2d) refuse(fmt::format("format {} has no 2D blocks", o.format->name));
    if (o.rounding != ElementRounding::nearest) {
      refuse(fmt::format("format {} rounds to nearest only", o.format->name));
    }
  }
  if (columns_ != 0 && rows_ > std::numeric_limits<std::size_t>::max() / columns_) {
    refuse(fmt::format("a matrix of {} x {} does not fit in memory", rows_, columns_));
  }
  if (o.scale_max && !is_valid_scale_max(*o.format, *o.scale_max)) {
    refuse(o.format->family() != ScaleFamily::nv
               ? fmt::format("format {} has no E4M3 scale whose maximum could be chosen",
                             o.format->name)
               : fmt::format("the largest scale of format {} is {} or {}, not {}", o.format->name,
                             o.format->largest_scale(), o.format->headroom_scale(), *o.scale_max));
  }
  // Where NaN and infinity go through a dialect's arithmetic, A may be what it measures: of a
  // tensor in pieces, that of another piece.
  const bool propagates = o.nonfinite == NonFinite::propagate && o.dialect != nullptr &&
                          o.dialect->nonfinite != Nonfinite::nan_block;
  if (o.amax && !(*o.amax >= 0.0F && std::isfinite(*o.amax)) &&
      !(propagates && !(*o.amax < 0.0F))) {
    refuse(fmt::format("the tensor's amax must be finite and not negative, not {}", *o.amax));
  }
  for (const auto& transform : o.transforms) transform->check(columns_);
  if (o.rounding == ElementRounding::nearest) return;
  check_random(o.random0, "rand0");
  if (selects(rule)) check_random(o.random1, "rand1");
}

void Request::check_search(ScaleRule rule) const {
  const QuantizeOptions& o = options_;
  if (rule == ScaleRule::search ? o.search_radius < 1 : o.search_radius != 0) {
    refuse(fmt::format("rule {} with a search radius of {}: `search` needs 1 or more, others none",
                       name_of(rule), o.search_radius));
  }
  if (searches(rule) && o.rounding != ElementRounding::nearest) {
    refuse(fmt::format("rule {} rounds to nearest only", name_of(rule)));
  }
  if (o.importance.empty()) return;
  if (!searches(rule)) {
    refuse(fmt::format("rule {} looks at no importance; `optimal` and `search` do", name_of(rule)));
  }
  if (o.importance.size() != columns_) {
    refuse(fmt::format("{} importances are given for {} columns", o.importance.size(), columns_));
  }
  for (std::size_t i = 0; i < o.importance.size(); ++i) {
    if (o.importance[i] >= 0.0F && std::isfinite(o.importance[i])) continue;
    throw Error(ErrorKind::invalid_input,
                fmt::format("the importance of column {} is {}, not a finite number of at least 0",
                            i, o.importance[i]));
  }
}

void Request::check_random(std::span<const float> random, std::string_view name) const {
  const std::size_t wanted = rows_ * padded_columns();
  if (random.size() != wanted) {
    refuse(
        fmt::format("stochastic rounding needs {} numbers in {}, one an element of the padded "
                    "matrix of {} x {}; {} are given",
                    wanted, name, rows_, padded_columns(), random.size()));
  }
  for (std::size_t i = 0; i < random.size(); ++i) {
    if (!(random[i] >= 0.0F && random[i] < 1.0F)) {
      throw Error(ErrorKind::invalid_input,
                  fmt::format("{}: number {} is {}, outside [0, 1)", name, i, random[i]));
    }
  }
}

}  // namespace lowbit::detail
