// SPDX-License-Identifier: MIT
#include "accumulation.hpp"

#include <fmt/format.h>

#include <bit>

#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/sim/gemm_model.hpp"
#include "lowbit/sim/mac_accuracy.hpp"

namespace lowbit::cli {
namespace {

constexpr sim::MacUnit units[] = {sim::MacUnit::exact, sim::MacUnit::published,
                                  sim::MacUnit::block_fp32, sim::MacUnit::gst};

std::variant<const sim::Instruction*, sim::MacUnit> model_named(const std::string& name) {
  std::string names;
  for (const sim::MacUnit unit : units) {
    if (sim::name_of(unit) == name) return unit;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", sim::name_of(unit));
  }
  try {
    return &sim::instruction(name);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("--accumulate {}: not one of the MAC units {}; {}",
                                          printable(name), names, error.what()));
  }
}

}  // namespace

Accumulation::Accumulation(const std::string& name) : name_(name), model_(model_named(name)) {}

std::vector<float> Accumulation::outputs(const BlockTensor& inputs, const BlockTensor& weights,
                                         unsigned threads, const sim::Watch& watch) const {
  if (const auto* unit = std::get_if<sim::MacUnit>(&model_)) {
    const sim::MacShape shape{*unit, inputs.format, sim::default_lanes(*unit)};
    sim::check_mac_shape(shape);
    return sim::unit_outputs(shape, inputs, weights, threads, watch);
  }
  sim::GemmModel model;
  model.instruction = std::get<const sim::Instruction*>(model_);
  model.schedule.epilogue.scale = sim::AlphaRule::product;
  model.threads = threads;
  const sim::GemmRun run = sim::run_gemm(inputs, weights, model, {}, watch);
  std::vector<float> values(run.words.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::bit_cast<float>(run.words[i]);
  return values;
}

}  // namespace lowbit::cli
