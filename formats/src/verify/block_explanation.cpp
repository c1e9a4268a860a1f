// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "lowbit/error.hpp"
#include "verify/causes.hpp"
#include "verify/margins.hpp"
#include "verify/trace_text.hpp"

namespace lowbit::detail {
namespace {

std::string code_text(const ElementFormat& format, unsigned code) {
  return fmt::format("0x{:x} ({:g})", code, to_double(format, code));
}

std::string scale_text(const BlockFormat& format, std::uint8_t byte) {
  return fmt::format("0x{:02x} ({:g}{})", byte,
                     to_double(*format.scale, format.scale_magnitude(byte)),
                     format.is_integer_block(byte) ? ", integer block" : "");
}

std::string margin_text(const ElementFormat& format, float x) {
  if (!std::isfinite(x)) return "not finite";
  const Margin m = margin_of(format, x);
  if (m.is_beyond) return fmt::format("above the largest value, {:g}", m.upper);
  if (m.is_tie) return fmt::format("on the tie between {:g} and {:g}", m.lower, m.upper);
  if (m.lower == m.upper) return "a value of the format";
  return fmt::format("{:.3g} of a step from the tie {:g}", m.distance, m.boundary);
}

}  // namespace

std::string block_explanation(const Trial& trial, const Recipe& recipe, const DumpBlocks& dump,
                              std::size_t row, std::size_t block) {
  std::string text = fmt::format("  row {}, block {}", row, block);
  const auto out = std::back_inserter(text);
  BlockTrace trace;
  try {
    trace = trial.trace(recipe, {row, block});
  } catch (const Error& error) {
    return text + fmt::format(": {}\n", error.what());
  }
  const BlockFormat& format = *recipe.format;
  const BlockTensor stored = dump.block(row, block);
  const std::uint8_t held = stored.scale(0, 0);
  fmt::format_to(out, ": block amax {}", number_text(trace.block_amax));
  if (format.family() == ScaleFamily::nv) {
    fmt::format_to(out, ", tensor amax {}", number_text(trace.tensor_amax));
  }
  text += '\n';
  const bool propagated = trace.propagated || trace.candidates.empty();
  if (propagated) {
    fmt::format_to(out,
                   "  the block holds NaN or infinity: its scale byte is the NaN of {}, its codes "
                   "are 0\n",
                   format.scale->name);
  }
  const CandidateTrace* const chosen = propagated ? nullptr : &trace.candidates[trace.chosen];
  fmt::format_to(out, "  scale byte {}", scale_text(format, trace.scale_byte));
  text += held == trace.scale_byte ? std::string(" in both")
                                   : fmt::format(", the dump has {}", scale_text(format, held));
  if (format.family() != ScaleFamily::mx && chosen != nullptr && chosen->h != 0.0F) {
    fmt::format_to(out, "; before rounding {}, {}", number_text(chosen->h),
                   margin_text(*format.scale, chosen->h));
  }
  text += '\n';
  if (chosen != nullptr && trace.candidates.size() > 1) {
    fmt::format_to(out, "  chosen {}: error {} against {} of {}, {:.3g} % apart\n",
                   choice_text(chosen->kind), number_text(chosen->error),
                   number_text(trace.candidates[1 - trace.chosen].error),
                   choice_text(trace.candidates[1 - trace.chosen].kind), percent_apart(trace));
  }
  if (format.has_levels()) {
    const std::uint32_t want = chosen != nullptr ? chosen->levels : 0;
    const std::uint32_t got = levels_of(format, stored.block(0, 0));
    fmt::format_to(out, "  levels {}", levels_text(format, want));
    text += want == got ? std::string(" in both\n")
                        : fmt::format(", the dump has {}\n", levels_text(format, got));
  }
  const auto size = static_cast<std::size_t>(format.block_size);
  const std::size_t height = trial.block_rows(format);
  const std::size_t first = height == 1 ? 0 : row % height * size;
  for (std::size_t i = 0; i < size && block * size + i < trial.columns(); ++i) {
    const unsigned want = chosen != nullptr ? chosen->codes[first + i] : 0U;
    const unsigned got = stored.code(0, i);
    if (want == got) continue;
    const ElementFormat& element = format.element_of(trace.scale_byte);
    fmt::format_to(
        out, "  column {}: x {},{} code {}, the dump has {}", block * size + i,
        number_text(trace.elements[first + i]),
        chosen != nullptr ? fmt::format(" scaled {},", number_text(chosen->scaled[first + i])) : "",
        code_text(element, want), code_text(format.element_of(held), got));
    if (chosen != nullptr) {
      fmt::format_to(out, "; {}", margin_text(element, chosen->scaled[first + i]));
    }
    text += '\n';
    break;
  }
  return text;
}

Cause class_of_block(const Trial& trial, const Recipe& recipe, const DumpBlocks& dump,
                     const BlockRef& at) {
  const BlockFormat& format = *recipe.format;
  const BlockTrace trace = trial.trace(recipe, at);
  if (trace.propagated || trace.candidates.empty()) return Cause::saturation;
  const CandidateTrace& chosen = trace.candidates[trace.chosen];
  const auto size = static_cast<std::size_t>(format.block_size);
  const std::size_t height = trial.block_rows(format);
  const std::size_t first = height == 1 ? 0 : at.first % height * size;
  const std::size_t count = std::min(size, trial.columns() - at.second * size);
  const BlockTensor stored = dump.block(at.first, at.second);
  const std::uint8_t held = stored.scale(0, 0);
  const ElementFormat& element = format.element_of(trace.scale_byte);
  const auto got = [&](std::size_t i) { return static_cast<std::uint8_t>(stored.code(0, i)); };
  const auto codes_are = [&](const CandidateTrace& c) {
    for (std::size_t i = 0; i < count; ++i) {
      if (c.codes[first + i] != got(i)) return false;
    }
    return true;
  };
  if (trace.block_amax == 0.0F ||
      (held != trace.scale_byte && (held == 0 || trace.scale_byte == 0))) {
    return Cause::zero_block;
  }
  for (const CandidateTrace& other : trace.candidates) {
    if (&other == &chosen) continue;
    const auto byte = static_cast<std::uint8_t>(other.kind == BlockChoice::integer
                                                    ? other.scale_byte | format.integer_flag()
                                                    : other.scale_byte);
    if (byte == held && codes_are(other)) return Cause::selection;
  }
  if (held != trace.scale_byte) {
    const int step = static_cast<int>(format.scale_magnitude(held)) -
                     static_cast<int>(format.scale_magnitude(trace.scale_byte));
    const bool same_kind =
        format.is_integer_block(held) == format.is_integer_block(trace.scale_byte);
    if (chosen.h > format.largest_scale() && format.family() != ScaleFamily::mx) {
      return Cause::saturation;
    }
    return same_kind && std::abs(step) == 1 ? Cause::scale_rounding : Cause::dialect;
  }
  if (levels_of(format, stored.block(0, 0)) != chosen.levels) return Cause::dialect;
  bool zeros = true, ties = true, beyond = true;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t want = chosen.codes[first + i];
    if (want == got(i)) continue;
    const double y = chosen.scaled[first + i];
    zeros = zeros && to_double(element, want) == 0 && to_double(element, got(i)) == 0;
    if (!std::isfinite(y)) {
      ties = false;
      continue;
    }
    const Margin m = margin_of(element, y);
    const double value = std::abs(to_double(element, got(i)));
    ties = ties && m.is_tie && (value == m.lower || value == m.upper);
    beyond = beyond && m.is_beyond;
  }
  if (zeros) return Cause::negative_zero;
  if (ties) return Cause::element_tie;
  return beyond ? Cause::saturation : Cause::dialect;
}

}  // namespace lowbit::detail
