// SPDX-License-Identifier: MIT
// The exact core against __int128 arithmetic on values decoded by the C++ registry: the accumulator
// must be the same integer, bit for bit, whatever the codes, scale bytes, bubbles and lengths.
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include <verilated.h>

#include "catch.hpp"
#include "lowbit/block_format.hpp"

// LOWBIT_MODEL: the Verilated class; LOWBIT_FORMAT: the registry's name of its format.
#define LOWBIT_STRING2(x) #x
#define LOWBIT_STRING(x) LOWBIT_STRING2(x)
#define LOWBIT_HEADER(x) LOWBIT_STRING(x.h)
#include LOWBIT_HEADER(LOWBIT_MODEL)

namespace {

using lowbit::BlockFormat;
using lowbit::NumberClass;
__extension__ typedef __int128 Integer;

constexpr int lanes = LOWBIT_LANES;
constexpr int window_lsb = -48;
#ifndef LOWBIT_LATENCY
#define LOWBIT_LATENCY 4
#endif
constexpr int latency = LOWBIT_LATENCY;

struct Beat {
  bool first = false, last = false;
  std::uint8_t a_scale = 0, w_scale = 0;
  std::vector<std::uint32_t> a = std::vector<std::uint32_t>(lanes), w = a;
};

struct Expected {
  Integer acc = 0;
  bool nan = false, out_of_range = false;
};

const BlockFormat& format() {
  return *lowbit::find_block_format(LOWBIT_STRING(LOWBIT_FORMAT));
}
/// One operand's element as an integer count of the accumulator's units before scaling.
Integer element(std::uint32_t code, bool integer, bool& special) {
  const BlockFormat& f = format();
  const auto& e = integer ? *f.integer : *f.element;
  const lowbit::Number n = lowbit::decode(e, code);
  if (n.number_class == NumberClass::nan || n.number_class == NumberClass::infinity) {
    special = true;
    return 0;
  }
  const int unit = f.element->unit_exponent();
  Integer v = static_cast<Integer>(n.significand) << (integer ? 0 : n.exponent - unit);
  if (integer) {
    v = v * f.integer_unit().numerator * f.exact_denominator() * (1 << -unit) /
        f.integer_unit().denominator;
  } else {
    v *= f.exact_denominator();
  }
  return n.negative ? -v : v;
}

/// 96 for MX; else 2^20 products of the largest elements and scales, and a sign, but at least 72.
int accumulator_bits() {
  const BlockFormat& f = format();
  if (f.family() == lowbit::ScaleFamily::mx) return 96;
  static const int bits = [&f] {
    Integer largest = 0;
    bool special = false;
    for (std::uint32_t code = 0; code < f.element->code_count(); ++code) {
      largest = std::max({largest, element(code, false, special), -element(code, false, special)});
      if (f.is_adaptive())
        largest = std::max({largest, element(code, true, special), -element(code, true, special)});
    }
    largest *= largest * 15 * 15;  // E4M3 1.875 * 2^8: significand 15, 14 places above the smallest
    int n = 28 + 20 + 1;
    for (; largest != 0; largest /= 2) ++n;
    return std::max(n, 72);
  }();
  return bits;
}

Expected reference(const std::vector<Beat>& segment) {
  const BlockFormat& f = format();
  Expected r;
  for (const Beat& beat : segment) {
    Integer sum = 0;
    for (int l = 0; l < lanes; ++l) {
      const auto i = static_cast<std::size_t>(l);
      sum += element(beat.a[i], f.is_adaptive() && beat.a_scale >= 128, r.nan) *
             element(beat.w[i], f.is_adaptive() && beat.w_scale >= 128, r.nan);
    }
    if (f.family() == lowbit::ScaleFamily::nv) {
      for (std::uint32_t s : {beat.a_scale & 0x7FU, beat.w_scale & 0x7FU}) {
        r.nan |= s == 0x7F;
        const lowbit::Number n = lowbit::decode(lowbit::e4m3, s == 0x7F ? 0x7E : s);
        sum = sum * n.significand * (Integer{1} << (n.exponent + 9));
      }
      r.acc += sum;
    } else {
      r.nan |= beat.a_scale == 255 || beat.w_scale == 255;
      int e = beat.a_scale + beat.w_scale - 254 +
              2 * (f.element->unit_exponent() + f.element_exponent) - window_lsb;
      if (sum == 0) continue;
      for (; e < 0 && (sum & 1) == 0; ++e) sum /= 2;
      const Integer limit = Integer{1} << (accumulator_bits() - 1);
      for (; e > 0 && sum >= -limit && sum < limit; --e) sum *= 2;
      if (e != 0 || sum < -limit || sum >= limit) {
        r.out_of_range = true;
      } else {
        r.acc += sum;
        if (r.acc < -limit || r.acc >= limit) {  // wraps, and says so
          r.out_of_range = true;
          r.acc += r.acc < 0 ? 2 * limit : -2 * limit;
        }
      }
    }
  }
  return r;
}

class Unit {
 public:
  Unit() {
    top_->rst_ni = 0;
    for (int i = 0; i < 8; ++i) clock();
    top_->rst_ni = 1;
  }
  /// Drives one clock; a null beat is a bubble (its operands are left as they are).
  void drive(const Beat* beat) {
    top_->valid_i = beat != nullptr;
    if (beat != nullptr) {
      top_->first_i = beat->first;
      top_->last_i = beat->last;
      top_->a_scale_i = beat->a_scale;
      top_->w_scale_i = beat->w_scale;
      pack(beat->a, top_->a_codes_i);
      pack(beat->w, top_->w_codes_i);
    }
    clock();
  }
  [[nodiscard]] bool valid() const { return top_->valid_o != 0; }
  [[nodiscard]] unsigned flags() const { return top_->flags_o; }
  [[nodiscard]] Integer acc() const {
    unsigned __int128 v = 0;
    for (int i = 0; i < 3; ++i) v |= static_cast<unsigned __int128>(top_->acc_o[i]) << (32 * i);
    const int shift = 128 - accumulator_bits();
    return static_cast<Integer>(v << shift) >> shift;
  }
  void reset() {
    top_->rst_ni = 0;
    clock();
    top_->rst_ni = 1;
  }

 private:
  template <typename Port>
  static void pack(const std::vector<std::uint32_t>& codes, Port& port) {
    const int bits = format().element->bits;
    std::vector<std::uint32_t> words(static_cast<std::size_t>(lanes * bits + 63) / 32 + 1);
    for (int l = 0; l < lanes; ++l) {
      for (int b = 0; b < bits; ++b) {
        const int at = l * bits + b;
        words[static_cast<std::size_t>(at / 32)] |= (codes[static_cast<std::size_t>(l)] >> b & 1U)
                                                    << (at % 32);
      }
    }
    if constexpr (requires { port.m_storage; }) {
      for (int i = 0; i * 32 < lanes * bits; ++i) port[i] = words[static_cast<std::size_t>(i)];
    } else if constexpr (sizeof(Port) == 8) {
      port = words[0] | std::uint64_t{words[1]} << 32;
    } else {
      port = static_cast<Port>(words[0]);
    }
  }
  void clock() {
    top_->clk_i = 0;
    top_->eval();
    top_->clk_i = 1;
    top_->eval();
  }
  std::unique_ptr<LOWBIT_MODEL> top_ = std::make_unique<LOWBIT_MODEL>();
};

/// What a campaign draws: everything, or extremes that meet in one segment.
enum class Mode { uniform, largest, most_negative, subnormal, sparse };

struct Source {
  std::mt19937_64 random{20260402};
  std::uint32_t draw(std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); }

  std::vector<Beat> segment(Mode mode, int length) {
    const BlockFormat& f = format();
    const std::uint32_t codes = f.element->code_count();
    std::vector<Beat> beats(static_cast<std::size_t>(length));
    for (Beat& b : beats) {
      b.a_scale = static_cast<std::uint8_t>(draw(256));
      b.w_scale = static_cast<std::uint8_t>(draw(256));
      if (f.family() == lowbit::ScaleFamily::mx && draw(8) != 0) {  // mostly within the window
        b.a_scale = static_cast<std::uint8_t>(110 + draw(34));
        b.w_scale = static_cast<std::uint8_t>(110 + draw(34));
      }
      const std::uint8_t flags_a = draw(2) != 0 ? 0x80 : 0, flags_w = draw(2) != 0 ? 0x80 : 0;
      for (std::size_t l = 0; l < lanes; ++l) {
        b.a[l] = draw(codes);
        b.w[l] = draw(codes);
        if (mode == Mode::largest) {
          b.a[l] = f.element->max_code();
          b.w[l] = f.element->max_code() | (f.element->sign_mask() & (draw(40) == 0 ? ~0U : 0U));
        } else if (mode == Mode::most_negative) {
          b.a[l] = f.element->sign_mask();
          b.w[l] = draw(20) == 0 ? b.w[l] : f.element->sign_mask();
        } else if (mode == Mode::sparse && draw(16) != 0) {
          b.a[l] = 0;
        }
      }
      if (f.family() == lowbit::ScaleFamily::nv) {
        if (mode == Mode::largest || mode == Mode::most_negative) {
          b.a_scale = flags_a | (draw(3) != 0 ? 0x7E : 0x7F);
          b.w_scale = flags_w | 0x7E;
        } else if (mode == Mode::subnormal) {
          b.a_scale = static_cast<std::uint8_t>(flags_a | draw(9));
          b.w_scale = static_cast<std::uint8_t>(flags_w | draw(9));
        }
      }
    }
    beats.front().first = true;
    beats.back().last = true;
    return beats;
  }
};

}  // namespace

TEST_CASE("every accumulator is the exact integer") {
  Unit unit;
  Source source;
  std::vector<Expected> expected;
  std::size_t next = 0;
  std::uint64_t beats = 0, clocks = 0, last_clock = 0;
  const auto check = [&] {
    ++clocks;
    if (!unit.valid()) return;
    REQUIRE(next < expected.size());
    const Expected& e = expected[next];
    if (unit.acc() != e.acc || (unit.flags() & 1U) != e.nan ||
        (unit.flags() >> 1) != e.out_of_range) {
      INFO("segment " << next << " flags " << unit.flags() << " nan " << e.nan << " out "
                      << e.out_of_range);
      REQUIRE(unit.flags() == (e.nan ? 1U : 0U) + (e.out_of_range ? 2U : 0U));
      REQUIRE(static_cast<std::uint64_t>(unit.acc()) == static_cast<std::uint64_t>(e.acc));
      REQUIRE(static_cast<std::int64_t>(unit.acc() >> 64) ==
              static_cast<std::int64_t>(e.acc >> 64));
    }
    ++next;
    last_clock = clocks;
  };
  for (int i = 0; i < LOWBIT_SEGMENTS; ++i) {
    const auto mode = static_cast<Mode>(source.draw(5));
    const int length = source.draw(3) == 0
                           ? 1
                           : 1 + static_cast<int>(source.draw(source.draw(20) == 0 ? 200 : 12));
    auto segment = source.segment(mode, length);
    if (source.draw(2) != 0) segment.front().first = false;  // implied after last
    expected.push_back(reference(segment));
    const bool stall = source.draw(2) != 0;
    for (const Beat& beat : segment) {
      while (stall && source.draw(3) == 0) {
        unit.drive(nullptr);
        check();
      }
      unit.drive(&beat);
      check();
      ++beats;
    }
  }
  const std::uint64_t end = clocks;
  for (int i = 0; i < 10; ++i) {
    unit.drive(nullptr);
    check();
  }
  CHECK(next == expected.size());
  // A result is valid after the edge that ends clock `latency`, the beat's own included.
  CHECK(last_clock == end + latency - 1);
  CHECK(beats > 1000);
}

TEST_CASE("the accumulator does not depend on the order of the beats") {
  Unit unit;
  Source source;
  for (int i = 0; i < 50; ++i) {
    auto segment = source.segment(static_cast<Mode>(i % 5), 30);
    Integer first = 0;
    for (int order = 0; order < 3; ++order) {
      std::shuffle(segment.begin(), segment.end(), source.random);
      for (Beat& beat : segment) beat.first = beat.last = false;
      segment.front().first = true;
      segment.back().last = true;
      for (const Beat& beat : segment) unit.drive(&beat);
      while (!unit.valid()) unit.drive(nullptr);
      if (order == 0) first = unit.acc();
      REQUIRE(unit.acc() == first);
      unit.drive(nullptr);
    }
  }
}

TEST_CASE("reset in the middle of a segment, and first in the middle of one, drop it") {
  Unit unit;
  Source source;
  for (int i = 0; i < 200; ++i) {
    auto dropped = source.segment(Mode::uniform, 1 + static_cast<int>(source.draw(9)));
    dropped.back().last = source.draw(2) != 0 && i % 2 == 0 && dropped.size() > 1;
    auto segment = source.segment(Mode::uniform, 3);
    segment.front().first = i % 2 == 1;
    for (const Beat& beat : dropped) {
      unit.drive(&beat);
      REQUIRE(!unit.valid());
    }
    if (i % 2 == 0) unit.reset();
    for (const Beat& beat : segment) {
      unit.drive(&beat);
      REQUIRE(!unit.valid());
    }
    int clocks = 1;
    for (; !unit.valid(); ++clocks) {
      REQUIRE(clocks < 20);
      unit.drive(nullptr);
    }
    CHECK(clocks == latency);
    const Expected e = reference(segment);
    REQUIRE(unit.acc() == e.acc);
    REQUIRE(unit.flags() == (e.nan ? 1U : 0U) + (e.out_of_range ? 2U : 0U));
    unit.drive(nullptr);
    REQUIRE(!unit.valid());
  }
}
