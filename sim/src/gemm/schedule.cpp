// SPDX-License-Identifier: MIT
#include "lowbit/sim/schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "lowbit/conversion.hpp"
#include "lowbit/detail/parallel.hpp"
#include "lowbit/error.hpp"

namespace lowbit::sim {

using lowbit::detail::parallel_chunks;
namespace {

float as_float(const Instruction& instruction, std::uint32_t word) {
  return instruction.d->bits == 16 ? to_float(f16, word) : std::bit_cast<float>(word);
}

/// The one rounding of an FP32 value to the output type.
std::uint32_t to_output(const ElementFormat& output, float value) {
  if (std::isnan(value)) return output.nan_code();
  ConversionPolicy policy;
  policy.overflow = Overflow::infinity;
  return from_float(output, value, policy);
}

void reduce(std::vector<float>& parts, Reduction reduction) {
  if (parts.empty()) {
    parts.push_back(0.0F);
    return;
  }
  if (reduction == Reduction::pairwise) {
    while (parts.size() > 1) {
      std::size_t out = 0;
      for (std::size_t i = 0; i < parts.size(); i += 2) {
        parts[out++] = i + 1 < parts.size() ? parts[i] + parts[i + 1] : parts[i];
      }
      parts.resize(out);
    }
    return;
  }
  if (reduction == Reduction::reverse) std::reverse(parts.begin(), parts.end());
  float sum = parts[0];
  for (std::size_t i = 1; i < parts.size(); ++i) sum += parts[i];
  parts.assign(1, sum);
}

/// Runs of consecutive steps, so that a forward accumulator is one call of the model.
struct Run {
  std::size_t first;
  std::size_t last;
};
std::vector<Run> runs_of(std::span<const std::uint32_t> steps) {
  std::vector<Run> runs;
  for (const std::uint32_t s : steps) {
    if (!runs.empty() && runs.back().last == s) {
      ++runs.back().last;
    } else {
      runs.push_back({s, s + std::size_t{1}});
    }
  }
  return runs;
}

}  // namespace

Plan plan(const Schedule& s, std::size_t steps) {
  Plan result;
  result.promote = s.promote;
  result.reduction = s.reduction;
  if (!s.explicit_steps.empty()) {
    std::vector<bool> seen(steps);
    std::size_t count = 0;
    for (const auto& accumulator : s.explicit_steps) {
      for (const std::uint32_t step : accumulator) {
        if (step >= steps || seen[step]) {
          throw Error(ErrorKind::usage,
                      step >= steps ? fmt::format("schedule: step {} of only {}", step, steps)
                                    : fmt::format("schedule: step {} twice", step));
        }
        seen[step] = true;
        ++count;
      }
    }
    if (count != steps) {
      throw Error(ErrorKind::usage, fmt::format("schedule: {} of {} steps named", count, steps));
    }
    result.slices.push_back(s.explicit_steps);
    std::erase_if(result.slices[0], [](const auto& list) { return list.empty(); });
    return result;
  }
  if (s.split_k == 0 || s.accumulators == 0 || s.accumulator_run == 0) {
    throw Error(ErrorKind::usage,
                "schedule: split_k, accumulators and accumulator_run are at least 1");
  }
  // More slices or accumulators than steps only add empty ones.
  const std::size_t split = std::min(s.split_k, std::max<std::size_t>(steps, 1));
  const std::size_t per_slice = (steps + s.split_k - 1) / s.split_k;
  std::vector<std::vector<std::uint32_t>> slices(split);
  for (std::size_t step = 0; step < steps; ++step) {
    const std::size_t slice = s.split_run == 0 ? step / per_slice : step / s.split_run % s.split_k;
    if (slice < split) slices[slice].push_back(static_cast<std::uint32_t>(step));
  }
  for (const auto& slice : slices) {
    if (slice.empty()) continue;
    const std::size_t count = std::min(s.accumulators, slice.size());
    std::vector<std::vector<std::uint32_t>> accumulators(count);
    for (std::size_t i = 0; i < slice.size(); ++i) {
      const std::size_t to = i / s.accumulator_run % s.accumulators;
      accumulators[to].push_back(slice[i]);
    }
    std::erase_if(accumulators, [](const auto& list) { return list.empty(); });
    if (s.order == StepOrder::backward) {
      for (auto& list : accumulators) std::reverse(list.begin(), list.end());
    }
    result.slices.push_back(std::move(accumulators));
  }
  return result;
}

std::uint32_t apply_epilogue(const Epilogue& epilogue, const TensorScales& scales,
                             float accumulator, std::optional<float> c) {
  // Every line is one binary32 operation, to nearest even, never contracted; powers of two are
  // exact.
  const float scale_a = scales.amax_a / scales.constant_a;
  const float scale_b = scales.amax_b / scales.constant_b;
  const auto denominator = static_cast<float>(scales.denominator);
  const auto scaled_exactly = [&](const ExactValue& exact) {
    return std::bit_cast<float>(round_exact_scaled(exact, f32, scales.amax_a, scales.constant_a,
                                                   scales.amax_b, scales.constant_b));
  };
  bool has_alpha = false;
  float alpha = 1.0F;
  float value = accumulator;
  switch (epilogue.scale) {
    case AlphaRule::none:
      value = std::ldexp(accumulator, scales.exponent);
      if (scales.denominator != 1) value = value / denominator;
      break;
    case AlphaRule::product:
      has_alpha = true;
      if (epilogue.alpha) {
        alpha = *epilogue.alpha;
        break;
      }
      alpha = scale_a * scale_b;
      if (scales.denominator != 1) alpha = alpha / denominator;
      alpha = std::ldexp(alpha, scales.exponent);
      break;
    case AlphaRule::rational: {
      has_alpha = true;
      ExactValue one;
      one.number_class = NumberClass::finite;
      one.integer = WideInteger(1);
      one.exponent = scales.exponent;
      one.denominator = scales.denominator;
      alpha = scaled_exactly(one);
      break;
    }
    case AlphaRule::sequential:
      value = std::ldexp(accumulator, scales.exponent) * scale_a;
      value = value * scale_b;
      if (scales.denominator != 1) value = value / denominator;
      break;
    case AlphaRule::exact: {
      if (!std::isfinite(accumulator) || accumulator == 0.0F) break;
      const Number n = decode(f32, std::bit_cast<std::uint32_t>(accumulator));
      ExactValue exact;
      exact.number_class = NumberClass::finite;
      exact.negative = n.negative;
      exact.integer = WideInteger(n.negative ? -static_cast<Int128>(n.significand) : n.significand);
      exact.exponent = n.exponent + scales.exponent;
      exact.denominator = scales.denominator;
      value = scaled_exactly(exact);
      break;
    }
  }
  if (has_alpha) value = accumulator * alpha;
  if (c) {
    const float source = epilogue.beta * *c;
    switch (epilogue.combine) {
      case Combine::fma:
        value = has_alpha ? std::fma(alpha, accumulator, source) : value + source;
        break;
      case Combine::fma_source:
        value = std::fma(epilogue.beta, *c, value);
        break;
      case Combine::mul_add:
        value = value + source;
        break;
    }
  }
  return to_output(*epilogue.output, value);
}

std::vector<std::uint32_t> replay(const Instruction& instruction, const MmaOperand& a,
                                  const MmaOperand& b, const Schedule& schedule,
                                  const TensorScales& scales, std::span<const float> c,
                                  unsigned threads) {
  const Plan p = plan(schedule, a.steps());
  const std::size_t columns = b.vectors();
  const std::size_t count = a.vectors() * columns;
  if (!c.empty() && c.size() != count) {
    throw Error(ErrorKind::usage, fmt::format("C has {} elements, D {}", c.size(), count));
  }
  // One word per accumulator and output, and beside them the promoted FP32 sums. A single
  // accumulator works in place.
  std::vector<std::uint32_t> words(count);
  std::size_t accumulators = 0;
  for (const auto& slice : p.slices) accumulators += slice.size();
  std::vector<std::vector<float>> sums(accumulators, std::vector<float>(count));
  const std::size_t chunk = std::max<std::size_t>(1, std::min<std::size_t>(16, a.vectors() / 4));
  parallel_chunks(a.vectors(), chunk, threads, [&](std::size_t first, std::size_t last) {
    const auto begin = first * columns;
    const auto end = last * columns;
    std::size_t index = 0;
    for (const auto& slice : p.slices) {
      for (const auto& steps : slice) {
        std::vector<float>& sum = sums[index++];
        const std::size_t interval = p.promote == 0 ? steps.size() : p.promote;
        for (std::size_t at = 0; at < steps.size(); at += interval) {
          const std::size_t length = std::min(interval, steps.size() - at);
          std::fill(words.begin() + static_cast<std::ptrdiff_t>(begin),
                    words.begin() + static_cast<std::ptrdiff_t>(end), 0U);
          for (const Run& run : runs_of(std::span(steps).subspan(at, length))) {
            mma(instruction, a, b, words, {run.first, run.last, first, last});
          }
          for (std::size_t i = begin; i < end; ++i) {
            const float partial = as_float(instruction, words[i]);
            sum[i] = p.promote == 0 ? partial : sum[i] + partial;
          }
        }
      }
    }
    std::vector<float> parts;
    std::vector<float> of_slices;
    for (std::size_t i = begin; i < end; ++i) {
      float value = 0.0F;
      if (sums.size() == 1) {
        value = sums[0][i];
      } else {
        index = 0;
        of_slices.clear();
        for (const auto& slice : p.slices) {
          parts.clear();
          for (std::size_t n = 0; n < slice.size(); ++n) parts.push_back(sums[index++][i]);
          reduce(parts, p.reduction);
          of_slices.push_back(parts[0]);
        }
        reduce(of_slices, p.reduction);
        value = of_slices[0];
      }
      words[i] = apply_epilogue(schedule.epilogue, scales, value,
                                c.empty() ? std::nullopt : std::optional(c[i]));
    }
  });
  return words;
}

std::vector<RunningSum> running_sums(const Instruction& instruction, const MmaOperand& a,
                                     const MmaOperand& b, const Schedule& schedule) {
  if (a.vectors() != 1 || b.vectors() != 1) {
    throw Error(ErrorKind::usage, "running sums of one output need one vector of each operand");
  }
  const Plan p = plan(schedule, a.steps());
  std::vector<RunningSum> trace;
  std::size_t index = 0;
  for (const auto& slice : p.slices) {
    for (const auto& steps : slice) {
      float promoted = 0.0F;
      std::vector<std::uint32_t> word(1);
      for (std::size_t at = 0; at < steps.size(); ++at) {
        mma(instruction, a, b, word, {steps[at], steps[at] + std::size_t{1}, 0, 1});
        const float partial = as_float(instruction, word[0]);
        const float sum = p.promote == 0 ? partial : promoted + partial;
        trace.push_back({steps[at], index, partial, sum});
        if (p.promote != 0 && (at + 1) % p.promote == 0) {
          promoted = sum;
          word[0] = 0;
        }
      }
      ++index;
    }
  }
  return trace;
}

}  // namespace lowbit::sim
