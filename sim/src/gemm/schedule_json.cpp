// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "lowbit/error.hpp"
#include "lowbit/sim/schedule.hpp"

namespace lowbit::sim {
namespace {

using nlohmann::json;

template <typename T>
struct Name {
  T value;
  const char* name;
};
constexpr std::array<Name<StepOrder>, 2> orders{
    {{StepOrder::forward, "forward"}, {StepOrder::backward, "backward"}}};
constexpr std::array<Name<Reduction>, 3> reductions{{{Reduction::sequential, "sequential"},
                                                     {Reduction::pairwise, "pairwise"},
                                                     {Reduction::reverse, "reverse"}}};
constexpr std::array<Name<AlphaRule>, 5> alpha_rules{{{AlphaRule::none, "none"},
                                                      {AlphaRule::product, "product"},
                                                      {AlphaRule::rational, "rational"},
                                                      {AlphaRule::sequential, "sequential"},
                                                      {AlphaRule::exact, "exact"}}};
constexpr std::array<Name<Combine>, 3> combines{
    {{Combine::fma, "fma"}, {Combine::fma_source, "fma_source"}, {Combine::mul_add, "mul_add"}}};

template <typename T, std::size_t n>
const char* name_in(const std::array<Name<T>, n>& names, T value) {
  for (const auto& entry : names) {
    if (entry.value == value) return entry.name;
  }
  return "?";
}

/// An object. A key that the reader never asks for is an error at the end.
class Object {
 public:
  Object(const json& object, std::string source, std::string place)
      : object_(object), source_(std::move(source)), place_(std::move(place)) {
    if (!object.is_object()) fail("", "is not an object");
  }
  [[noreturn]] void fail(const std::string& key, const std::string& what) const {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: schedule {}{} {}", source_, place_, key, what));
  }
  [[nodiscard]] const json* get(const char* key) {
    asked_.insert(key);
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }
  void count(const char* key, std::size_t& value, std::size_t least) {
    const json* found = get(key);
    if (found == nullptr) return;
    if (!found->is_number_unsigned() || *found < least || *found > 1000000U) {
      fail(key, fmt::format("is not a whole number from {} to 1000000", least));
    }
    value = *found;
  }
  void number(const char* key, float& value) {
    const json* found = get(key);
    if (found == nullptr) return;
    if (!found->is_number()) fail(key, "is not a number");
    value = static_cast<float>(found->get<double>());
    if (!std::isfinite(value)) fail(key, "is not a finite FP32 number");
  }
  template <typename T, std::size_t n>
  void name(const char* key, const std::array<Name<T>, n>& names, T& value) {
    const json* found = get(key);
    if (found == nullptr) return;
    std::string all;
    for (const auto& entry : names) {
      if (found->is_string() && *found == entry.name) {
        value = entry.value;
        return;
      }
      all += all.empty() ? entry.name : fmt::format(", {}", entry.name);
    }
    fail(key, "is none of " + all);
  }
  void no_other_keys() const {
    for (const auto& [key, value] : object_.items()) {
      if (!asked_.contains(key)) fail(key, "is not a key of the format; see docs/schedules.md");
    }
  }

 private:
  const json& object_;
  std::string source_;
  std::string place_;
  std::set<std::string> asked_;
};

}  // namespace

Schedule schedule_from_json(const std::string& text, const std::string& source) {
  json document;
  try {
    document = json::parse(text);
  } catch (const json::exception& error) {
    throw Error(ErrorKind::invalid_input, fmt::format("{}: not JSON: {}", source, error.what()));
  }
  Schedule s;
  Object top(document, source, "");
  top.count("split_k", s.split_k, 1);
  top.count("split_run", s.split_run, 0);
  top.count("accumulators", s.accumulators, 1);
  top.count("accumulator_run", s.accumulator_run, 1);
  top.count("promote", s.promote, 0);
  top.name("order", orders, s.order);
  top.name("reduction", reductions, s.reduction);
  if (const json* shift = top.get("prescale")) {
    if (!shift->is_number_integer() || *shift < -100 || *shift > 100) {
      top.fail("prescale", "is not a whole number from -100 to 100");
    }
    s.prescale = *shift;
  }
  if (const json* columns = top.get("column_order")) {
    const auto bad = [&] { top.fail("column_order", "is not a permutation of 0, 1, ..., P-1"); };
    if (!columns->is_array()) bad();
    std::vector<bool> seen(columns->size());
    for (const json& column : *columns) {
      if (!column.is_number_unsigned() || column >= seen.size()) bad();
      const auto index = column.get<std::uint32_t>();
      if (seen[index]) bad();
      seen[index] = true;
      s.column_order.push_back(index);
    }
  }
  if (const json* lists = top.get("steps")) {
    const auto bad = [&] { top.fail("steps", "is not a list of lists of step numbers"); };
    if (!lists->is_array() || lists->empty()) bad();
    for (const json& list : *lists) {
      if (!list.is_array()) bad();
      auto& steps = s.explicit_steps.emplace_back();
      for (const json& step : list) {
        if (!step.is_number_unsigned() || step > 0xFFFFFFFFU) bad();
        steps.push_back(step.get<std::uint32_t>());
      }
    }
  }
  if (const json* inner = top.get("epilogue")) {
    Object e(*inner, source, "epilogue.");
    e.name("scale", alpha_rules, s.epilogue.scale);
    if (e.get("alpha") != nullptr) {
      float alpha = 1.0F;
      e.number("alpha", alpha);
      s.epilogue.alpha = alpha;
    }
    e.number("beta", s.epilogue.beta);
    e.name("combine", combines, s.epilogue.combine);
    if (const json* output = e.get("output")) {
      const std::string name = output->is_string() ? output->get<std::string>() : "";
      if (name != "f32" && name != "f16" && name != "bf16")
        e.fail("output", "is none of f32, f16, bf16");
      s.epilogue.output = find_element_format(name);
    }
    e.no_other_keys();
  }
  top.no_other_keys();
  return s;
}

std::string schedule_to_json(const Schedule& s) {
  nlohmann::ordered_json j;
  if (!s.explicit_steps.empty()) {
    j["steps"] = s.explicit_steps;
  } else {
    j["split_k"] = s.split_k;
    j["split_run"] = s.split_run;
    j["accumulators"] = s.accumulators;
    j["accumulator_run"] = s.accumulator_run;
    j["order"] = name_in(orders, s.order);
  }
  if (!s.column_order.empty()) j["column_order"] = s.column_order;
  if (s.prescale != 0) j["prescale"] = s.prescale;
  j["promote"] = s.promote;
  j["reduction"] = name_in(reductions, s.reduction);
  auto& e = j["epilogue"];
  e["scale"] = name_in(alpha_rules, s.epilogue.scale);
  if (s.epilogue.alpha) e["alpha"] = *s.epilogue.alpha;
  e["beta"] = s.epilogue.beta;
  e["combine"] = name_in(combines, s.epilogue.combine);
  e["output"] = s.epilogue.output->name;
  return j.dump(2);
}

std::string describe(const Schedule& s) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (!s.explicit_steps.empty())
    add(fmt::format("{} listed accumulators", s.explicit_steps.size()));
  if (s.explicit_steps.empty()) {
    add(s.order == StepOrder::forward ? "K forward" : "K backward");
    if (s.split_k > 1) {
      add(s.split_run == 0 ? fmt::format("split-K {}", s.split_k)
                           : fmt::format("split-K {} in turns of {}", s.split_k, s.split_run));
    }
    if (s.accumulators > 1) {
      add(fmt::format("{} accumulators in turns of {}", s.accumulators, s.accumulator_run));
    }
  }
  if (s.promote != 0) add(fmt::format("promoted every {}", s.promote));
  const bool several = s.split_k > 1 || s.accumulators > 1 || s.explicit_steps.size() > 1;
  if (several) add(fmt::format("{} reduction", name_in(reductions, s.reduction)));
  if (s.epilogue.scale != AlphaRule::none) {
    add(fmt::format("scale {}", name_in(alpha_rules, s.epilogue.scale)));
  }
  if (s.epilogue.beta != 0.0F) add(fmt::format("C by {}", name_in(combines, s.epilogue.combine)));
  if (s.epilogue.output != &f32) add(fmt::format("output {}", s.epilogue.output->name));
  return text;
}

}  // namespace lowbit::sim
