// SPDX-License-Identifier: MIT
// Plans against exhaustive search: the bound, the gap, groups, ties, what cannot be met.
#include <chrono>
#include <cmath>
#include <limits>
#include <random>

#include "catch.hpp"
#include "lowbit/error.hpp"
#include "lowbit/plan.hpp"

using namespace lowbit;

namespace {

/// The least error of any plan within the budget, by trying all.
double least_error(const std::vector<PlanLayer>& layers, double budget) {
  std::uint64_t elements = 0;
  for (const PlanLayer& l : layers) elements += l.elements;
  const double allowed = budget * static_cast<double>(elements);
  std::vector<std::size_t> at(layers.size(), 0);
  double best = std::numeric_limits<double>::infinity();
  for (;;) {
    double bits = 0, error = 0;
    bool alike = true;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      bits += static_cast<double>(layers[i].choices[at[i]].bits);
      error += layers[i].choices[at[i]].error;
      for (std::size_t j = 0; j < i; ++j) {
        alike = alike &&
                (layers[i].group.empty() || layers[i].group != layers[j].group || at[i] == at[j]);
      }
    }
    if (alike && bits <= allowed && error < best) best = error;
    std::size_t i = 0;
    while (i < layers.size() && ++at[i] == layers[i].choices.size()) at[i++] = 0;
    if (i == layers.size()) return best;
  }
}

std::vector<PlanLayer> random_layers(std::mt19937& random, std::size_t count, std::size_t formats) {
  std::uniform_int_distribution<std::uint64_t> size(1, 40);
  std::uniform_real_distribution<double> noise(0.2, 5.0);
  std::vector<PlanLayer> layers;
  for (std::size_t i = 0; i < count; ++i) {
    PlanLayer layer{"layer" + std::to_string(i), 16 * size(random), {}, {}};
    const double damage = std::pow(10.0, noise(random) - 3);
    for (std::size_t f = 0; f < formats; ++f) {
      // 3.5, 4.5, 6.5, ... bits; errors fall by about 6 dB per bit, not strictly.
      const std::uint64_t half_bits = 7 + 2 * f + (f > 1 ? 2 : 0);
      layer.choices.push_back({"f" + std::to_string(f), layer.elements * half_bits / 2,
                               damage * noise(random) * std::pow(4.0, -static_cast<double>(f))});
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace

TEST_CASE("plans are within their gap of exhaustive search on 8 layers x 4 formats") {
  std::mt19937 random(5);
  int exact = 0;
  for (int run = 0; run < 60; ++run) {
    std::vector<PlanLayer> layers = random_layers(random, 8, 4);
    if (run % 3 == 1) {
      layers[1].group = layers[4].group = "qkv";
      layers[2].group = layers[7].group = "mlp";
    }
    const double budget = 3.5 + 0.07 * (run % 50);
    const Plan plan = make_plan(layers, budget);
    const double best = least_error(layers, budget);
    INFO("run " << run);
    double bits = 0, error = 0, elements = 0;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      bits += static_cast<double>(layers[i].choices.at(plan.chosen[i]).bits);
      error += layers[i].choices[plan.chosen[i]].error;
      elements += static_cast<double>(layers[i].elements);
    }
    CHECK(bits == static_cast<double>(plan.bits));
    CHECK(plan.bits_per_element() == bits / elements);
    CHECK(bits <= budget * elements);
    CHECK(plan.error == Approx(error));
    CHECK(plan.lower_bound <= best * (1 + 1e-12));
    CHECK(plan.error >= best * (1 - 1e-12));
    CHECK(plan.error - best <= plan.gap() + 1e-12);
    if (!layers[1].group.empty()) {
      CHECK(plan.chosen[1] == plan.chosen[4]);
      CHECK(plan.chosen[2] == plan.chosen[7]);
    }
    exact += plan.error <= best * (1 + 1e-12) ? 1 : 0;
  }
  // Greedy with single upgrades finds the best plan more often than not.
  CHECK(exact > 30);
}

TEST_CASE("at a budget on the greedy path the plan is optimal and the gap is 0") {
  std::mt19937 random(6);
  const std::vector<PlanLayer> layers = random_layers(random, 8, 4);
  const Plan free = make_plan(layers, 100.0);
  CHECK(free.gap() == Approx(0.0).margin(1e-12));
  REQUIRE(free.pareto.size() > 10);
  for (const PlanPoint& point : free.pareto) {
    const Plan plan = make_plan(layers, point.bits_per_element * (1 + 1e-12));
    CHECK(plan.error == Approx(point.error).epsilon(1e-9));
    CHECK(plan.error ==
          Approx(least_error(layers, point.bits_per_element * (1 + 1e-12))).epsilon(1e-9));
    CHECK(plan.gap() <= 1e-9 * plan.error + 1e-12);
  }
  for (std::size_t i = 1; i < free.pareto.size(); ++i) {
    CHECK(free.pareto[i].bits_per_element > free.pareto[i - 1].bits_per_element);
    CHECK(free.pareto[i].error < free.pareto[i - 1].error);
  }
}

TEST_CASE("single upgrades spend what the steps leave, off the hull too") {
  // The step a0 -> a2 does not fit; a1 lies above the hull and does.
  const std::vector<PlanLayer> one{
      {"a", 10, {{"lo", 40, 10.0}, {"mid", 60, 8.0}, {"hi", 80, 1.0}}, {}}};
  const Plan plan = make_plan(one, 6.5);
  CHECK(plan.chosen == std::vector<std::size_t>{1});
  CHECK(plan.error == 8.0);
  CHECK(plan.lower_bound == Approx(10.0 - 9.0 * 25 / 40));
}

TEST_CASE("a single upgrade may take the last bit, and what saves nothing takes none") {
  const std::vector<PlanLayer> exact{
      {"a", 10, {{"lo", 40, 10.0}, {"mid", 65, 8.0}, {"hi", 80, 1.0}}, {}}};
  CHECK(make_plan(exact, 6.5).chosen == std::vector<std::size_t>{1});
  CHECK(make_plan(exact, 6.4).chosen == std::vector<std::size_t>{0});
  const std::vector<PlanLayer> equal{
      {"a", 10, {{"lo", 40, 2.0}, {"same", 60, 2.0}, {"hi", 80, 1.0}, {"like", 90, 1.0}}, {}}};
  const Plan plan = make_plan(equal, 100.0);
  CHECK(plan.chosen == std::vector<std::size_t>{2});
  CHECK(plan.bits == 80);
  CHECK(plan.pareto.size() == 2);
}

TEST_CASE("the bound takes a part of one step only") {
  // By error per bit: a (9 / 40), b (3 / 40), c (1 / 40). 50 bits: all of a and a quarter of b.
  const std::vector<PlanLayer> layers{{"a", 10, {{"lo", 40, 10.0}, {"hi", 80, 1.0}}, {}},
                                      {"b", 10, {{"lo", 40, 5.0}, {"hi", 80, 2.0}}, {}},
                                      {"c", 10, {{"lo", 40, 2.0}, {"hi", 80, 1.0}}, {}}};
  const Plan plan = make_plan(layers, 170.0 / 30);
  CHECK(plan.chosen == std::vector<std::size_t>{1, 0, 0});
  CHECK(plan.error == 8.0);
  CHECK(plan.lower_bound == Approx(17.0 - 9.0 - 3.0 / 4));
}

TEST_CASE("ties go to the layer that comes first") {
  const PlanLayer like{"x", 10, {{"lo", 40, 2.0}, {"hi", 60, 1.0}}, {}};
  const std::vector<PlanLayer> layers{like, like, like};
  CHECK(make_plan(layers, 4.7).chosen == std::vector<std::size_t>{1, 0, 0});
  CHECK(make_plan(layers, 5.4).chosen == std::vector<std::size_t>{1, 1, 0});
}

TEST_CASE("an error that is no number is never chosen") {
  const double nan = std::nan("");
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<PlanLayer> layers{
      {"a", 10, {{"lo", 40, nan}, {"mid", 50, 3.0}, {"hi", 60, inf}}, {}}};
  CHECK(make_plan(layers, 9.0).chosen == std::vector<std::size_t>{1});
  CHECK_THROWS_AS(make_plan(layers, 4.5), Error);
  const std::vector<PlanLayer> hopeless{{"a", 10, {{"lo", 40, nan}}, {}}};
  CHECK_THROWS_AS(make_plan(hopeless, 9.0), Error);
}

TEST_CASE("what cannot be planned is refused") {
  CHECK_THROWS_AS(make_plan({}, 4.0), Error);
  const std::vector<PlanLayer> one{{"a", 10, {{"lo", 40, 1.0}}, {}}};
  CHECK(make_plan(one, 4.0).bits == 40);
  CHECK_THROWS_AS(make_plan(one, 3.99), Error);
  CHECK_THROWS_AS(make_plan(one, std::nan("")), Error);
  std::vector<PlanLayer> group{{"a", 10, {{"lo", 40, 1.0}}, "g"},
                               {"b", 10, {{"hi", 40, 1.0}}, "g"}};
  CHECK_THROWS_AS(make_plan(group, 9.0), Error);
}

TEST_CASE("1,000 layers and 10 formats take well under 2 seconds") {
  std::mt19937 random(8);
  const std::vector<PlanLayer> layers = random_layers(random, 1000, 10);
  const auto begin = std::chrono::steady_clock::now();
  const Plan plan = make_plan(layers, 6.0);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  CHECK(took.count() < 2.0);
  CHECK(plan.gap() < 0.01 * plan.error);
}
