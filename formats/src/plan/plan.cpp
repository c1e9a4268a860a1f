// SPDX-License-Identifier: MIT
#include "lowbit/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"

namespace lowbit {
namespace {

/// A choice of a unit.
struct Point {
  std::size_t choice = 0;
  std::uint64_t bits = 0;
  double error = 0.0;
};

/// Layers that are decided together, in the order of their first layer.
struct Unit {
  std::vector<std::size_t> layers;
  std::vector<Point> points;      ///< finite ones, by bits, then error
  std::vector<std::size_t> hull;  ///< indices of points: the lower convex hull, errors falling
  std::size_t at = 0;             ///< index of points
};

/// A step along a unit's hull.
struct Step {
  std::size_t unit = 0;
  std::size_t from = 0;  ///< indices of the unit's points
  std::size_t to = 0;
  double bits = 0.0;
  double saved = 0.0;
};

double slope(const Point& a, const Point& b) {
  return (a.error - b.error) / static_cast<double>(b.bits - a.bits);
}

std::vector<std::size_t> lower_hull(const std::vector<Point>& points) {
  std::vector<std::size_t> hull;
  for (std::size_t i = 0; i < points.size(); ++i) {
    // Sorted by bits: a point that saves nothing is above the hull.
    if (!hull.empty() && points[i].error >= points[hull.back()].error) continue;
    while (hull.size() >= 2 && slope(points[hull[hull.size() - 2]], points[hull.back()]) <=
                                   slope(points[hull.back()], points[i])) {
      hull.pop_back();
    }
    hull.push_back(i);
  }
  return hull;
}

Unit unit_of(std::span<const PlanLayer> layers, std::vector<std::size_t> members) {
  Unit unit{std::move(members), {}, {}, 0};
  const PlanLayer& first = layers[unit.layers.front()];
  for (std::size_t c = 0; c < first.choices.size(); ++c) {
    Point point{c, 0, 0.0};
    for (const std::size_t layer : unit.layers) {
      const PlanLayer& member = layers[layer];
      if (member.choices.size() != first.choices.size() ||
          member.choices[c].format != first.choices[c].format) {
        throw Error(ErrorKind::usage,
                    fmt::format("{} and {} of one group have not the same formats to choose from",
                                printable(first.name), printable(member.name)));
      }
      point.bits += member.choices[c].bits;
      point.error += member.choices[c].error;
    }
    if (std::isfinite(point.error)) unit.points.push_back(point);
  }
  if (unit.points.empty()) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: under no format is its error a number", printable(first.name)));
  }
  std::stable_sort(unit.points.begin(), unit.points.end(), [](const Point& a, const Point& b) {
    return a.bits != b.bits ? a.bits < b.bits : a.error < b.error;
  });
  unit.hull = lower_hull(unit.points);
  return unit;
}

std::vector<Unit> units_of(std::span<const PlanLayer> layers) {
  std::vector<std::vector<std::size_t>> members;
  std::map<std::string, std::size_t> groups;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::string& group = layers[i].group;
    if (const auto known = groups.find(group); !group.empty() && known != groups.end()) {
      members[known->second].push_back(i);
      continue;
    }
    if (!group.empty()) groups.emplace(group, members.size());
    members.push_back({i});
  }
  std::vector<Unit> units;
  units.reserve(members.size());
  for (std::vector<std::size_t>& m : members) units.push_back(unit_of(layers, std::move(m)));
  return units;
}

/// Every step of every hull, by error saved per bit; the steps of one hull stay in their order,
/// because slopes fall along it.
std::vector<Step> steps_of(const std::vector<Unit>& units) {
  std::vector<Step> steps;
  for (std::size_t u = 0; u < units.size(); ++u) {
    for (std::size_t i = 0; i + 1 < units[u].hull.size(); ++i) {
      const Point& a = units[u].points[units[u].hull[i]];
      const Point& b = units[u].points[units[u].hull[i + 1]];
      steps.push_back({u, units[u].hull[i], units[u].hull[i + 1],
                       static_cast<double>(b.bits - a.bits), a.error - b.error});
    }
  }
  std::stable_sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) {
    return a.saved * b.bits > b.saved * a.bits;
  });
  return steps;
}

/// Spends what is left: the upgrade of one unit that fits and saves most, again and again.
void upgrade_singly(std::vector<Unit>& units, double left) {
  for (;;) {
    double most = 0.0;
    double cost = 0.0;
    Unit* best = nullptr;
    std::size_t to = 0;
    for (Unit& unit : units) {
      const Point& now = unit.points[unit.at];
      for (std::size_t p = 0; p < unit.points.size(); ++p) {
        const Point& other = unit.points[p];
        const double bits = static_cast<double>(other.bits) - static_cast<double>(now.bits);
        if (bits > left || now.error - other.error <= most) continue;
        most = now.error - other.error;
        cost = bits;
        best = &unit;
        to = p;
      }
    }
    if (best == nullptr) return;
    best->at = to;
    left -= cost;
  }
}

}  // namespace

double Plan::bits_per_element() const {
  return elements == 0 ? 0.0 : static_cast<double>(bits) / static_cast<double>(elements);
}

Plan make_plan(std::span<const PlanLayer> layers, double budget) {
  if (layers.empty()) throw Error(ErrorKind::usage, "there is no layer to plan for");
  std::vector<Unit> units = units_of(layers);
  Plan plan;
  double bits = 0.0;
  double error = 0.0;
  for (const PlanLayer& layer : layers) plan.elements += layer.elements;
  for (Unit& unit : units) {
    unit.at = unit.hull.front();
    bits += static_cast<double>(unit.points[unit.at].bits);
    error += unit.points[unit.at].error;
  }
  const auto elements = static_cast<double>(plan.elements);
  const double allowed = budget * elements;
  if (!(bits <= allowed)) {
    throw Error(ErrorKind::usage,
                fmt::format("a budget of {:.6g} bits per element: the cheapest plan takes {:.6g}; "
                            "raise the budget or offer cheaper formats",
                            budget, bits / elements));
  }
  plan.pareto.push_back({bits / elements, error});
  double all_bits = bits;
  double all_error = error;
  double left = allowed - bits;
  double relaxed = error;
  bool in_part = false;
  for (const Step& step : steps_of(units)) {
    all_bits += step.bits;
    all_error -= step.saved;
    plan.pareto.push_back({all_bits / elements, all_error});
    Unit& unit = units[step.unit];
    const bool fits = step.bits <= left;
    if (!in_part) {
      in_part = !fits;
      relaxed -= fits ? step.saved : step.saved * (left / step.bits);
    }
    if (!fits || unit.at != step.from) continue;
    unit.at = step.to;
    left -= step.bits;
  }
  upgrade_singly(units, left);
  plan.chosen.resize(layers.size());
  for (const Unit& unit : units) {
    const Point& point = unit.points[unit.at];
    plan.bits += point.bits;
    plan.error += point.error;
    for (const std::size_t layer : unit.layers) plan.chosen[layer] = point.choice;
  }
  // The two sums differ in the order of their additions.
  plan.lower_bound = std::clamp(relaxed, 0.0, plan.error);
  return plan;
}

}  // namespace lowbit
