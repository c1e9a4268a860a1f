// SPDX-License-Identifier: MIT
/// \file
/// What goes into a MAC unit and what comes out: beats and results, as docs/mac.md (The stream
/// interface) defines them, independent of any simulator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "lowbit/block_format.hpp"
#include "lowbit/sim/wide_integer.hpp"

namespace lowbit::sim {

/// The units of mac_rtl (docs/mac.md).
enum class MacUnit : std::uint8_t {
  published,   ///< the published arithmetic of IF4 and NVFP4
  exact,       ///< every sum exact
  block_fp32,  ///< exact per beat, FP32 between beats
  gst,         ///< the NVFP4 step of the tensor core
  // Baselines: numbers without scales (their scale bytes are not read).
  integer,   ///< INT8 or INT4 products, 32-bit accumulator
  bf16_fma,  ///< BF16 products, a fused FP32 multiply-add per lane, a tree at the end
  fp8_fp32,  ///< FP8 E4M3 products, exact per beat, FP32 between beats
  lut,  ///< INT8 activations and INT4, INT2 or INT1 weights by table lookup, 32-bit accumulator
};

/// The value's name, as the command spells it.
[[nodiscard]] std::string_view name_of(MacUnit unit);
/// The unit of that name, or nullopt.
[[nodiscard]] std::optional<MacUnit> find_mac_unit(std::string_view name);
/// Whether the unit is a baseline: its formats are plain_formats().
[[nodiscard]] bool is_baseline(MacUnit unit);
/// The formats of the baselines: int8, int4, bf16, fp8_e4m3, and int8_int4, int8_int2, int8_int1
/// (activations of 8 bits; a weight is the low 4, 2 or 1 bits of its lane, two's complement). They
/// are no block formats of the registry: their scale format says only how wide the unread port is.
[[nodiscard]] std::span<const BlockFormat> plain_formats();
/// A block format of the registry or one of plain_formats(), or nullptr.
[[nodiscard]] const BlockFormat* find_mac_format(std::string_view name);
/// The format that a unit has where none is named: if4, nvfp4 for `gst`, the first of a baseline's.
[[nodiscard]] std::string_view default_format(MacUnit unit);
/// The lanes that a unit has where none are named: 16, 64 for `gst`, 4 for `bf16_fma`.
[[nodiscard]] int default_lanes(MacUnit unit);
/// Bits of a weight's code in a lane: those of the element, fewer in the formats of `lut`.
[[nodiscard]] int weight_bits(const BlockFormat& format);
/// Whether the unit's arithmetic is defined for the format: `published` IF4 and NVFP4; `gst` NVFP4;
/// `exact` and `block_fp32` every format of the registry but those of E8M0 scales for `block_fp32`;
/// the baselines their plain formats.
[[nodiscard]] bool supports(MacUnit unit, const BlockFormat& format);

/// The shape of a unit's operand ports.
struct MacShape {
  MacUnit unit = MacUnit::exact;        ///< its arithmetic
  const BlockFormat* format = nullptr;  ///< of both operands; required
  int lanes = 16;  ///< 1..64, a power of two; 64 for `gst`, 4 or more for `lut`
  /// Bits of the accumulator of `exact`, `integer` and `lut`, least_accumulator_bits() to 120; 0:
  /// the default, accumulator_bits in mac_rtl/lowbit_formats.sv, or 32.
  int accumulator_width = 0;
  bool pipeline = false;  ///< `exact` with its deeper pipeline: more latency, the same results

  /// Bits of one element code.
  [[nodiscard]] int code_bits() const { return format->element->bits; }
  /// Scale bytes that an operand has in a beat: one, or one for each 16 lanes of `gst`.
  [[nodiscard]] int scale_bytes() const { return unit == MacUnit::gst ? lanes / 16 : 1; }
  /// Lanes that a beat can fill from one block.
  [[nodiscard]] int lanes_used() const {
    return unit == MacUnit::gst || lanes < format->block_size ? lanes : format->block_size;
  }
  /// Whether the unit has the port out_acc_o.
  [[nodiscard]] bool has_accumulator() const {
    return unit == MacUnit::exact || unit == MacUnit::integer || unit == MacUnit::lut;
  }
  /// 64-bit words of one operand's codes.
  [[nodiscard]] int code_words() const { return (lanes * code_bits() + 63) / 64; }
};

/// The narrowest accumulator of `exact` that holds one beat of any codes and scales: products,
/// scales and factors of integer blocks at their largest in all lanes, and a sign. MX: one beat's
/// sum before its place in the window. Plain integers: one beat of any codes, at least 27 bits.
[[nodiscard]] int least_accumulator_bits(const BlockFormat& format, int lanes);
/// The widest accumulator that the models take.
inline constexpr int most_accumulator_bits = 120;
/// The accumulator's bits of an `exact` unit of this shape, as given or the format's default.
[[nodiscard]] int accumulator_bits(const MacShape& shape);
/// \throws Error(usage) where the shape is no unit: a format that the unit lacks, lanes that are no
/// power of two from 1 to 64, an accumulator outside its bounds (the message has them), or a width
/// or pipeline on a unit without that parameter.
void check_mac_shape(const MacShape& shape);

/// Beats in order, one array a field.
class BeatStream {
 public:
  /// An empty stream for a unit of that shape.
  explicit BeatStream(const MacShape& shape) : shape_(shape) {}

  /// The unit that the beats are for.
  [[nodiscard]] const MacShape& shape() const { return shape_; }
  /// Beats in the stream.
  [[nodiscard]] std::size_t size() const { return a_scales_.size(); }
  /// Beats with `last`: segments that end.
  [[nodiscard]] std::size_t segments() const { return segments_; }
  /// Whether the beat starts a segment.
  [[nodiscard]] bool first(std::size_t beat) const { return (control_[beat] & 1) != 0; }
  /// Whether the beat ends a segment.
  [[nodiscard]] bool last(std::size_t beat) const { return (control_[beat] & 2) != 0; }
  /// Scale bytes, group 0 in the low byte.
  [[nodiscard]] std::uint32_t a_scale(std::size_t beat) const { return a_scales_[beat]; }
  /// Scale bytes of W, group 0 in the low byte.
  [[nodiscard]] std::uint32_t w_scale(std::size_t beat) const { return w_scales_[beat]; }
  /// code_words() words, lane 0 in the low bits.
  [[nodiscard]] const std::uint64_t* a_codes(std::size_t beat) const {
    return &a_codes_[beat * words()];
  }
  /// Codes of W, laid out as those of A.
  [[nodiscard]] const std::uint64_t* w_codes(std::size_t beat) const {
    return &w_codes_[beat * words()];
  }
  /// The code of A in one lane, 0 <= lane < lanes.
  [[nodiscard]] unsigned a_code(std::size_t beat, int lane) const {
    return code(a_codes(beat), lane);
  }
  /// The code of W in one lane, 0 <= lane < lanes.
  [[nodiscard]] unsigned w_code(std::size_t beat, int lane) const {
    return code(w_codes(beat), lane);
  }

  /// Appends a beat of zero codes; set_a/set_w fill the newest beat.
  void push(bool first, bool last, std::uint32_t a_scale, std::uint32_t w_scale);
  /// Sets the code of A in one lane of the newest beat.
  void set_a(int lane, unsigned code) { set(a_codes_, lane, code); }
  /// Sets the code of W in one lane of the newest beat.
  void set_w(int lane, unsigned code) { set(w_codes_, lane, code); }
  /// Removes all beats; the shape stays.
  void clear();

 private:
  [[nodiscard]] std::size_t words() const { return static_cast<std::size_t>(shape_.code_words()); }
  [[nodiscard]] unsigned code(const std::uint64_t* codes, int lane) const {
    const int bits = shape_.code_bits();
    const int at = lane * bits;
    std::uint64_t value = codes[at / 64] >> (at % 64);
    if (at % 64 + bits > 64) value |= codes[at / 64 + 1] << (64 - at % 64);
    return static_cast<unsigned>(value) & shape_.format->element->code_mask();
  }
  void set(std::vector<std::uint64_t>& codes, int lane, unsigned code);

  MacShape shape_;
  std::vector<std::uint64_t> a_codes_;
  std::vector<std::uint64_t> w_codes_;
  std::vector<std::uint32_t> a_scales_;
  std::vector<std::uint32_t> w_scales_;
  std::vector<std::uint8_t> control_;
  std::size_t segments_ = 0;
};

/// Result of one segment.
struct MacResult {
  Int128 acc = 0;          ///< the raw accumulator of `exact`, `integer` and `lut`; 0 elsewhere
  std::uint32_t fp32 = 0;  ///< bit pattern
  std::uint8_t flags = 0;  ///< bit 0: a NaN scale byte; bit 1: out of range
  /// Whether all fields are equal.
  friend bool operator==(const MacResult&, const MacResult&) = default;
};

}  // namespace lowbit::sim
