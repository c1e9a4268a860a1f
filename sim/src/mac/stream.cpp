// SPDX-License-Identifier: MIT
#include "lowbit/sim/mac_stream.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>

#include "lowbit/error.hpp"
#include "mac/widths.hpp"

namespace lowbit::sim {
namespace {

constexpr std::array<std::string_view, 8> names{"published", "exact",    "block_fp32", "gst",
                                                "integer",   "bf16_fma", "fp8_fp32",   "lut"};

// The scale's format decides nothing: its bytes are not read.
constexpr std::array<BlockFormat, 7> plain{{{"int8", &int8, nullptr, &e4m3, 64},
                                            {"int4", &int4, nullptr, &e4m3, 64},
                                            {"bf16", &bf16, nullptr, &e4m3, 64},
                                            {"fp8_e4m3", &e4m3, nullptr, &e4m3, 64},
                                            {"int8_int4", &int8, nullptr, &e4m3, 64},
                                            {"int8_int2", &int8, nullptr, &e4m3, 64},
                                            {"int8_int1", &int8, nullptr, &e4m3, 64}}};

bool is_plain(const BlockFormat& format) {
  return &format >= plain.data() && &format < plain.data() + plain.size();
}

}  // namespace

std::string_view name_of(MacUnit unit) {
  return names[static_cast<std::size_t>(unit)];
}

std::optional<MacUnit> find_mac_unit(std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<MacUnit>(i);
  }
  return std::nullopt;
}

bool is_baseline(MacUnit unit) {
  return unit >= MacUnit::integer;
}

std::span<const BlockFormat> plain_formats() {
  return plain;
}

const BlockFormat* find_mac_format(std::string_view name) {
  for (const BlockFormat& f : plain) {
    if (f.name == name) return &f;
  }
  return find_block_format(name);
}

std::string_view default_format(MacUnit unit) {
  if (unit == MacUnit::gst) return "nvfp4";
  if (!is_baseline(unit)) return "if4";
  for (const BlockFormat& f : plain) {
    if (supports(unit, f)) return f.name;
  }
  return {};
}

int default_lanes(MacUnit unit) {
  return unit == MacUnit::gst ? 64 : unit == MacUnit::bf16_fma ? 4 : 16;
}

int weight_bits(const BlockFormat& format) {
  const std::size_t at = is_plain(format) ? format.name.find("_int") : std::string_view::npos;
  return at != std::string_view::npos ? format.name[at + 4] - '0' : format.element->bits;
}

bool supports(MacUnit unit, const BlockFormat& format) {
  if (is_baseline(unit) != is_plain(format)) return false;
  if (!has_mac_scales(format)) return false;
  const bool nv_fp4 = format.family() == ScaleFamily::nv && *format.element == e2m1;
  switch (unit) {
    case MacUnit::published:
      return nv_fp4;
    case MacUnit::gst:
      return nv_fp4 && !format.is_adaptive();
    case MacUnit::block_fp32:
      return format.family() == ScaleFamily::nv;
    case MacUnit::exact:
      return true;
    case MacUnit::integer:
      return format.element->is_integer() && weight_bits(format) == format.element->bits;
    case MacUnit::bf16_fma:
      return *format.element == bf16;
    case MacUnit::fp8_fp32:
      return *format.element == e4m3;
    case MacUnit::lut:
      return weight_bits(format) < format.element->bits;
  }
  return false;
}

int least_accumulator_bits(const BlockFormat& format, int lanes) {
  // Plain integers: a product takes both operands' bits, the sum log2(lanes) more; the table lookup
  // doubles it first. The conversion to FP32 wants 27 bits.
  if (is_plain(format)) {
    const int doubled = weight_bits(format) < format.element->bits ? 1 : 0;
    return std::max(27, format.element->bits + weight_bits(format) + doubled - 1 +
                            static_cast<int>(std::bit_width(static_cast<unsigned>(lanes))));
  }
  // The sum over the lanes grows by log2(lanes) bits and has a sign; E4M3 exponents add 28.
  const int growth = std::bit_width(static_cast<unsigned>(lanes));
  return factored_bits(format) + growth + (format.family() == ScaleFamily::mx ? 0 : 28);
}

int accumulator_bits(const MacShape& shape) {
  if (shape.accumulator_width != 0) return shape.accumulator_width;
  return is_baseline(shape.unit) ? 32 : default_accumulator_bits(*shape.format);
}

void check_mac_shape(const MacShape& shape) {
  const auto fail = [](const std::string& what) { throw Error(ErrorKind::usage, what); };
  if (shape.format == nullptr || !supports(shape.unit, *shape.format)) {
    fail(fmt::format("unit {} has no arithmetic for format {}", name_of(shape.unit),
                     shape.format != nullptr ? shape.format->name : "(none)"));
  }
  if (shape.lanes < 1 || shape.lanes > 64 ||
      !std::has_single_bit(static_cast<unsigned>(shape.lanes)))
    fail(fmt::format("{} lanes: a power of two from 1 to 64", shape.lanes));
  if (shape.unit == MacUnit::gst && shape.lanes != 64)
    fail(fmt::format("unit gst has 64 lanes, not {}", shape.lanes));
  if (shape.unit == MacUnit::lut && shape.lanes < 4)
    fail(fmt::format("unit lut has groups of four lanes: {} are too few", shape.lanes));
  if (shape.pipeline && shape.unit != MacUnit::exact)
    fail(fmt::format("unit {} has no parameter for the pipeline: only exact has",
                     name_of(shape.unit)));
  if (shape.accumulator_width == 0) return;
  if (!shape.has_accumulator()) {
    fail(fmt::format(
        "unit {} has no parameter for the accumulator's width: exact, integer and lut have",
        name_of(shape.unit)));
  }
  const int least = least_accumulator_bits(*shape.format, shape.lanes);
  if (shape.accumulator_width < least || shape.accumulator_width > most_accumulator_bits) {
    fail(
        fmt::format("an accumulator of {} bits: one beat of {} lanes of {} takes {}; give {} to {}",
                    shape.accumulator_width, shape.lanes, shape.format->name, least, least,
                    most_accumulator_bits));
  }
}

void BeatStream::push(bool first, bool last, std::uint32_t a_scale, std::uint32_t w_scale) {
  a_scales_.push_back(a_scale);
  w_scales_.push_back(w_scale);
  control_.push_back(static_cast<std::uint8_t>((first ? 1 : 0) | (last ? 2 : 0)));
  a_codes_.resize(a_codes_.size() + words());
  w_codes_.resize(w_codes_.size() + words());
  segments_ += last ? 1 : 0;
}

void BeatStream::set(std::vector<std::uint64_t>& codes, int lane, unsigned code) {
  const int bits = shape_.code_bits();
  const int at = lane * bits;
  std::uint64_t* word = &codes[codes.size() - words()] + at / 64;
  const std::uint64_t mask = shape_.format->element->code_mask();
  *word = (*word & ~(mask << (at % 64))) | (std::uint64_t{code} << (at % 64));
  const int over = at % 64 + bits - 64;
  if (over > 0) {
    word[1] = (word[1] & ~(mask >> (bits - over))) | (std::uint64_t{code} >> (bits - over));
  }
}

void BeatStream::clear() {
  a_codes_.clear();
  w_codes_.clear();
  a_scales_.clear();
  w_scales_.clear();
  control_.clear();
  segments_ = 0;
}

}  // namespace lowbit::sim
