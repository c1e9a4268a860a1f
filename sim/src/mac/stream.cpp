// SPDX-License-Identifier: MIT
#include "lowbit/sim/mac_stream.hpp"

#include <array>

namespace lowbit::sim {
namespace {

constexpr std::array<std::string_view, 4> names{"published", "exact", "block_fp32", "gst"};

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

bool supports(MacUnit unit, const BlockFormat& format) {
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
  }
  return false;
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
