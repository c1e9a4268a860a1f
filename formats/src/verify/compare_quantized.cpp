// SPDX-License-Identifier: MIT
#include "lowbit/compare_quantized.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <iterator>

#include "lowbit/block_trace.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"

namespace lowbit {
namespace {

const char* choice_name(BlockChoice choice) {
  switch (choice) {
    case BlockChoice::only:
      return "the only one";
    case BlockChoice::six:
      return "6";
    case BlockChoice::four:
      return "4";
    case BlockChoice::floating:
      return "float";
    case BlockChoice::integer:
      return "integer";
  }
  return "";
}

/// Amax and scales, and what each way of coding the block would have cost.
std::string decisions_text(const BlockTrace& trace, const BlockFormat& format) {
  std::string text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "\n  amax {:a}, encode scale {:a}, block amax {:a}", trace.tensor_amax,
                 trace.encode_scale, trace.block_amax);
  for (const CandidateTrace& candidate : trace.candidates) {
    fmt::format_to(out, "\n  candidate {}: scale before rounding {:a}, byte 0x{:02x}, error {:a}{}",
                   choice_name(candidate.kind), candidate.h, candidate.scale_byte, candidate.error,
                   &candidate == &trace.candidates[trace.chosen] ? ", chosen" : "");
  }
  if (trace.propagated) {
    fmt::format_to(out,
                   "\n  the block holds NaN or infinity: its scale byte is the NaN of {}, its "
                   "codes are 0",
                   format.scale->name);
  }
  return text;
}

/// The decisions of the first block that differs, so that the difference can be placed: scale,
/// choice, or element rounding.
std::string first_block_text(const QuantizedDifference& difference, const BlockTensor& other,
                             std::span<const float> values, const QuantizeOptions& request) {
  const std::size_t row = difference.first_row;
  const std::size_t block = difference.first_block;
  const BlockTrace trace = trace_block(values, other.rows, other.columns, request, row, block);
  std::string text = fmt::format("\n  first difference: row {}, block {}", row, block);
  text += decisions_text(trace, *other.format);
  // A propagated block has no candidates: its codes are 0.
  const CandidateTrace* chosen = trace.propagated ? nullptr : &trace.candidates[trace.chosen];
  const unsigned stored = other.scale(row, block);
  text += fmt::format("\n  scale byte 0x{:02x}, the dump has 0x{:02x}", trace.scale_byte, stored);
  const auto size = static_cast<std::size_t>(other.format->block_size);
  // A square block's trace holds all its rows; the row in question is found by its place in it.
  const std::size_t first = request.block_2d ? row % size * size : 0;
  for (std::size_t i = 0; i < size && block * size + i < other.columns; ++i) {
    const unsigned want = chosen != nullptr ? chosen->codes[first + i] : 0U;
    const unsigned got = other.code(row, block * size + i);
    if (want == got) continue;
    text += fmt::format(
        "\n  column {}: x {:a},{} code 0x{:x}, the dump has 0x{:x}", block * size + i,
        trace.elements[first + i],
        chosen != nullptr ? fmt::format(" scaled {:a},", chosen->scaled[first + i]) : "", want,
        got);
    break;
  }
  return text;
}

}  // namespace

QuantizedDifference compare_quantized(const BlockTensor& wanted, const BlockTensor& other) {
  if (wanted.format != other.format || wanted.rows != other.rows ||
      wanted.columns != other.columns) {
    throw Error(ErrorKind::usage,
                fmt::format("a {} tensor of {}x{} is compared with {} of {}x{}; they must agree",
                            wanted.format->name, wanted.rows, wanted.columns, other.format->name,
                            other.rows, other.columns));
  }
  QuantizedDifference found;
  const std::size_t blocks = wanted.blocks_per_row();
  const auto size = static_cast<std::size_t>(wanted.format->block_size);
  found.blocks = wanted.rows * blocks;
  for (std::size_t row = 0; row < wanted.rows; ++row) {
    for (std::size_t block = 0; block < blocks; ++block) {
      const bool scale_differs = wanted.scale(row, block) != other.scale(row, block);
      std::size_t codes = 0;
      for (std::size_t c = block * size; c < std::min((block + 1) * size, wanted.columns); ++c) {
        codes += wanted.code(row, c) != other.code(row, c) ? 1 : 0;
      }
      if (!scale_differs && codes == 0) continue;
      if (found.different++ == 0) {
        found.first_row = row;
        found.first_block = block;
      }
      found.scales += scale_differs ? 1 : 0;
      found.codes += codes;
    }
  }
  found.amax_differs =
      std::bit_cast<std::uint32_t>(wanted.amax) != std::bit_cast<std::uint32_t>(other.amax);
  return found;
}

std::string difference_text(const QuantizedDifference& difference, const std::string& name,
                            const BlockTensor& wanted, const BlockTensor& other,
                            std::span<const float> values, const QuantizeOptions& request) {
  std::string text =
      fmt::format("{}: {} {} {}: {} of {} blocks differ, {} scale bytes, {} codes{}",
                  printable(name), wanted.format->name,
                  name_of(request.rule.value_or(default_rule(*request.format, request.dialect))),
                  request.dialect == nullptr ? canonical.name : request.dialect->name,
                  difference.different, difference.blocks, difference.scales, difference.codes,
                  difference.amax_differs
                      ? fmt::format("; amax {:a}, the dump has {:a}", wanted.amax, other.amax)
                      : "");
  if (difference.different != 0) text += first_block_text(difference, other, values, request);
  return text;
}

std::string block_text(std::span<const float> values, std::size_t rows, std::size_t columns,
                       const QuantizeOptions& request, std::size_t row, std::size_t block) {
  const BlockTrace trace = trace_block(values, rows, columns, request, row, block);
  std::string text =
      fmt::format("row {}, block {}: {} {} {}", row, block, request.format->name,
                  name_of(request.rule.value_or(default_rule(*request.format, request.dialect))),
                  request.dialect == nullptr ? canonical.name : request.dialect->name);
  text += decisions_text(trace, *request.format);
  text += fmt::format("\n  scale byte 0x{:02x}", trace.scale_byte);
  if (trace.propagated) return text;
  const CandidateTrace& chosen = trace.candidates[trace.chosen];
  for (std::size_t i = 0; i < chosen.codes.size(); ++i) {
    text += fmt::format("\n  x {:a}, scaled {:a}, code 0x{:x}", trace.elements[i], chosen.scaled[i],
                        chosen.codes[i]);
  }
  return text;
}

}  // namespace lowbit
