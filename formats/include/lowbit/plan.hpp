// SPDX-License-Identifier: MIT
/// \file
/// Which format each layer gets under a budget of bits. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lowbit {

/// One layer under one format.
struct PlanChoice {
  std::string format;      ///< as the command spells it
  std::uint64_t bits = 0;  ///< stored: codes, padding and scales
  double error = 0.0;      ///< what is to be minimized in sum; not negative. NaN: not to be chosen
};
/// One layer and the formats that it may have.
struct PlanLayer {
  std::string name;                 ///< for reports
  std::uint64_t elements = 0;       ///< weights of the layer
  std::vector<PlanChoice> choices;  ///< at least one with a finite error
  std::string group{};              ///< layers of one group (not empty) get the same format
};

/// A point on the way from the cheapest plan to the best one.
struct PlanPoint {
  double bits_per_element = 0.0;  ///< average over all layers
  double error = 0.0;             ///< the sum over the layers
};

/// One format per layer, within a budget.
struct Plan {
  std::vector<std::size_t> chosen;  ///< per layer, an index of its choices
  std::uint64_t bits = 0;           ///< stored in all
  std::uint64_t elements = 0;       ///< of all layers
  double error = 0.0;               ///< the sum over the layers
  double lower_bound = 0.0;         ///< no plan within the budget has a smaller error
  std::vector<PlanPoint> pareto;    ///< by the greedy steps without a budget, cheapest first

  /// bits / elements.
  [[nodiscard]] double bits_per_element() const;
  /// error - lower_bound: at most so much is lost to the best plan.
  [[nodiscard]] double gap() const { return error - lower_bound; }
};

/// Minimizes the sum of errors with at most `budget` bits per element on average. Each layer starts
/// at its cheapest choice; the steps along the lower convex hulls of (bits, error) follow by error
/// saved per bit while they fit; what is left of the budget goes into single upgrades, the largest
/// saving first. Ties go to the layer that comes first. The lower bound is that of the linear
/// relaxation, in which the first step that does not fit is taken in part.
/// \throws Error(usage) where there are no layers, a layer has no choice with a finite error, a
///         group's layers have not the same formats, or the cheapest plan exceeds the budget.
[[nodiscard]] Plan make_plan(std::span<const PlanLayer> layers, double budget);

}  // namespace lowbit
