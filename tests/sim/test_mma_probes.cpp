// SPDX-License-Identifier: MIT
// Directed probes: inputs whose result names one parameter, with the words that hardware gave or,
// for FP4, that the model must give (docs/tensor_cores.md). Each mutant below must fail its probe.
#include "catch.hpp"
#include "lowbit/error.hpp"
#include "lowbit/sim/mma.hpp"

using namespace lowbit;
using namespace lowbit::sim;

namespace {

using Codes = std::vector<std::uint32_t>;

/// `first`, then `copies` times `code`.
Codes repeated(std::uint32_t first, std::uint32_t code, int copies) {
  Codes codes{first};
  codes.insert(codes.end(), static_cast<std::size_t>(copies), code);
  return codes;
}

Instruction changed(const Instruction& i, std::string_view assignment) {
  Instruction mutant = i;
  select_alternative(mutant.parameters, assignment);
  return mutant;
}

const char* const nvfp4_names[] = {
    "tcgen05mma_block_scale.Blackwell.m128n8k64.block16.f32.e2m1.e2m1.ue4m3",
    "mma_block_scale.RTX_Blackwell.m16n8k64.block16.f32.e2m1.e2m1.f32.ue4m3"};

/// K = 64 with 1.0 * 1.0 at k = 0, scales {78,01,01,01} and C = -2^16: block 0 cancels C, and the
/// window ends 35 places below 2^16 whatever the other blocks hold.
std::uint32_t fp4_probe(const Instruction& i, std::initializer_list<int> halves, int one_at = -1) {
  Codes a(64, 0);
  Codes b(64, 0);
  a[0] = b[0] = 2;
  for (const int k : halves) a[static_cast<std::size_t>(k)] = b[static_cast<std::size_t>(k)] = 1;
  if (one_at >= 0) b[static_cast<std::size_t>(one_at)] = 2;
  const std::vector<std::uint8_t> scales{0x78, 0x01, 0x01, 0x01};
  return dot(i, a, b, 0xC7800000U, scales, scales);
}

Codes nibbles(std::string_view text) {
  Codes codes;
  for (const char c : text)
    codes.push_back(static_cast<std::uint32_t>(c <= '9' ? c - '0' : c - 'a' + 10));
  return codes;
}

}  // namespace

TEST_CASE("BF16 floor: sums below the exponent of zero lose their last bits (H100: -133)") {
  struct Probe {
    int copies;
    std::uint32_t b;
    int needs;  // 1 iff the exponent of zero is at most this
  };
  for (const char* name :
       {"mma.Hopper.m16n8k16.f32.bf16.bf16.f32", "wgmma.Hopper.m64n8k16.f32.bf16.bf16",
        "tcgen05mma.Blackwell.m64n8k16.f32.bf16.bf16",
        "mma.RTX_Blackwell.m16n8k16.f32.bf16.bf16.f32"}) {
    for (const Probe& p :
         {Probe{1, 0x1800, -132}, {2, 0x1780, -133}, {4, 0x1700, -134}, {8, 0x1680, -135}}) {
      const Codes a = repeated(0x1A00, 0x1880, p.copies);
      const Codes b = repeated(0x1A7F, p.b, p.copies);
      INFO(name << ", " << p.copies << " copies");
      CHECK(dot(instruction(name), a, b, 0) == (p.needs >= -133 ? 1U : 0U));
      for (const int zero : {-126, -131, -132, -133, -134, -135}) {
        const Instruction other =
            changed(instruction(name), "exponent_of_zero=" + std::to_string(zero));
        CHECK(dot(other, a, b, 0) == (zero <= p.needs ? 1U : 0U));
      }
    }
  }
}

TEST_CASE("FP16 floor: an FP16 accumulator's exponent of zero (H100: -21)") {
  for (const char* name :
       {"mma.Hopper.m16n8k16.f16.f16.f16.f16", "wgmma.Hopper.m64n8k16.f16.f16.f16"}) {
    const Instruction& i = instruction(name);
    struct Probe {
      std::uint32_t b;
      int needs;
    };
    for (const Probe& p : {Probe{4, -21}, {2, -22}, {1, -23}}) {
      const Codes a{0x1000, 0x0001};
      const Codes b{0x0400, p.b};
      INFO(name << ", b = " << p.b);
      CHECK(dot(i, a, b, 0) == (p.needs >= -21 ? 1U : 0U));
      for (const int zero : {-14, -20, -21, -22, -23, -24}) {
        CHECK(dot(changed(i, "exponent_of_zero=" + std::to_string(zero)), a, b, 0) ==
              (zero <= p.needs ? 1U : 0U));
      }
    }
  }
}

TEST_CASE("sign of zero: an all -0 sum is +0 (H100)") {
  for (const Instruction& i : instructions()) {
    if (i.scale != nullptr) continue;
    const bool wide = i.a == &tf32;
    const Codes minus_zeros(static_cast<std::size_t>(i.k), wide ? 0x80000000U : i.a->sign_mask());
    const std::uint32_t one = static_cast<std::uint32_t>(i.b->bias) << i.b->mantissa_bits;
    const Codes ones(static_cast<std::size_t>(i.k), wide ? one << 13 : one);
    const std::uint32_t minus = i.c == &f16 ? 0x8000U : 0x80000000U;
    INFO(i.name);
    CHECK(dot(i, minus_zeros, ones, minus) == 0);
    CHECK(dot(i, minus_zeros, ones, 0) == 0);
    CHECK(dot(i, Codes(static_cast<std::size_t>(i.k), 0), ones, minus) == 0);
    if (i.parameters.rule == MmaRule::emulated) continue;  // its first step starts from +0
    const std::uint32_t d_minus = i.d == &f16 ? 0x8000U : 0x80000000U;
    CHECK(dot(changed(i, "zero_sum=negative_if_all_negative"), minus_zeros, ones, minus) ==
          d_minus);
  }
}

TEST_CASE("sign of underflow: a negative sum too small for the result is +0 (H100)") {
  const Instruction& bf = instruction("mma.Hopper.m16n8k16.f32.bf16.bf16.f32");
  CHECK(dot(bf, Codes{0x9A00}, Codes{0x1980}, 0) == 0);  // -2^-151
  CHECK(dot(changed(bf, "underflow_sign=keep"), Codes{0x9A00}, Codes{0x1980}, 0) == 0x80000000U);
  const Instruction& half = instruction("wgmma.Hopper.m64n8k16.f16.f16.f16");
  CHECK(dot(half, Codes{0x8400}, Codes{0x0400}, 0) == 0);  // -2^-28
  CHECK(dot(changed(half, "underflow_sign=keep"), Codes{0x8400}, Codes{0x0400}, 0) == 0x8000U);
  CHECK(dot(instruction("mma.Hopper.m16n8k32.f16.e5m2.e5m2.f16"), Codes{0x81}, Codes{0x01},
            0x8000) == 0);
}

TEST_CASE("FP4 probe P1: no more than 35 fraction bits") {
  for (const char* name : nvfp4_names) {
    const Instruction& i = instruction(name);
    CHECK(fp4_probe(i, {16}) == 0);
    CHECK(fp4_probe(changed(i, "fraction_bits=36"), {16}) == 0x35800000U);
  }
}

TEST_CASE("FP4 probe P2: no fewer than 35 fraction bits") {
  for (const char* name : nvfp4_names) {
    const Instruction& i = instruction(name);
    CHECK(fp4_probe(i, {16}, 16) == 0x36000000U);
    CHECK(fp4_probe(changed(i, "fraction_bits=34"), {16}, 16) == 0);
  }
}

TEST_CASE("FP4 probes P3 to P6: groups of exactly 16") {
  for (const char* name : nvfp4_names) {
    const Instruction& i = instruction(name);
    CHECK(fp4_probe(i, {16, 24}) == 0x36000000U);
    CHECK(fp4_probe(changed(i, "group=8"), {16, 24}) == 0);
    CHECK(fp4_probe(i, {16, 20}) == 0x36000000U);
    CHECK(fp4_probe(changed(i, "group=4"), {16, 20}) == 0);
    CHECK(fp4_probe(i, {16, 17}) == 0x36000000U);
    CHECK(fp4_probe(changed(i, "group=1"), {16, 17}) == 0);
    CHECK(fp4_probe(i, {16, 32}) == 0);
    CHECK(fp4_probe(changed(i, "group=64"), {16, 32}) == 0x36000000U);
    CHECK(fp4_probe(i, {32, 48}) == 0);
    CHECK(fp4_probe(changed(i, "group=32"), {32, 48}) == 0x36000000U);
  }
}

TEST_CASE("NVFP4 window: the two published rules, and the words that would decide") {
  struct Word {
    const char* a;
    const char* b;
    std::vector<std::uint8_t> scale_a, scale_b;
    std::uint32_t c, scales, products;
  };
  const Word words[] = {
      {"7ed11ef8db941f7bdc95f784a86cac31420fdacca531570dd41bce0f68b0a447",
       "26c641e916cfc0a456f26b9711fe8e64b494d84ead9756628d0275df8e97b725",
       {0x7A, 0x14, 0x0C, 0x0E},
       {0x72, 0x15, 0x16, 0x07},
       0x48BB8000,
       0xBD0C0000,
       0xBD0BFA00},
      {"cc6bfd72bbdb54e72ec1dcf25d7ad3965e55f7eec6e83933673e4bc96cc13b95",
       "8db4018ce69c5858def652c0c001130f65e1d8fd62b547db1b4524aa7ca04789",
       {0x71, 0x18, 0x06, 0x0E},
       {0x79, 0x1E, 0x0D, 0x03},
       0x484A8000,
       0x3A5E0000,
       0x3A5E8000},
  };
  const Instruction& i = instruction(nvfp4_names[0]);
  for (const Word& w : words) {
    CHECK(dot(i, nibbles(w.a), nibbles(w.b), w.c, w.scale_a, w.scale_b) == w.scales);
    CHECK(dot(changed(i, "window=products"), nibbles(w.a), nibbles(w.b), w.c, w.scale_a,
              w.scale_b) == w.products);
  }
}

TEST_CASE("FP32 windows: the last kept place, fraction bits and final rounding") {
  // 2^e - 2^e + a term at the window's end: kept at F, gone one place below.
  struct Probe {
    const char* name;
    int fraction_bits;
  };
  for (const Probe& p : {Probe{"mma.Volta.m8n8k4.f32.f16.f16.f32", 23},
                         {"mma.Turing.m16n8k8.f32.f16.f16.f32", 24},
                         {"mma.Ampere.m16n8k8.f32.f16.f16.f32", 24},
                         {"mma.Ada_Lovelace.m16n8k16.f32.f16.f16.f32", 24},
                         {"mma.Hopper.m16n8k16.f32.f16.f16.f32", 25},
                         {"wgmma.Hopper.m64n8k16.f32.f16.f16", 25},
                         {"tcgen05mma.Blackwell.m64n8k16.f32.f16.f16", 25}}) {
    const Instruction& i = instruction(p.name);
    const auto probe = [&](const Instruction& with, int place) {
      // 2^10 * 2^5, its negative, and 1 * 2^place as a product of two FP16 numbers.
      const auto power = [](int e) { return static_cast<std::uint32_t>(e + 15) << 10; };
      const Codes a{power(10), power(10), power(place / 2)};
      const Codes b{power(5), power(5) | 0x8000U, power(place - place / 2)};
      return dot(with, a, b, 0);
    };
    const int last = 15 - p.fraction_bits;
    INFO(p.name);
    CHECK(probe(i, last) == static_cast<std::uint32_t>(last + 127) << 23);
    CHECK(probe(i, last - 1) == 0);
    CHECK(probe(changed(i, "fraction_bits=" + std::to_string(p.fraction_bits - 1)), last) == 0);
    CHECK(probe(changed(i, "fraction_bits=" + std::to_string(p.fraction_bits + 1)), last - 1) != 0);
    // 1 + 2^-23 * 3/4: truncated; to nearest it would go up. (F = 23 does not hold the fraction.)
    const Codes a{0x3C00, 0x0C00, 0x0C00};  // 1, 2^-12, 2^-12
    const Codes b{0x3C00, 0x0C00, 0x0800};  // 1, 2^-12, 2^-13: 2^-24 and 2^-25
    CHECK(dot(i, a, b, 0) == 0x3F800000U);
    if (p.fraction_bits >= 25)
      CHECK(dot(changed(i, "rounding=f32_nearest_even"), a, b, 0) == 0x3F800001U);
  }
}

TEST_CASE("FP8 windows: 13 fraction bits and an E8M13 result on Hopper wgmma and Ada") {
  for (const char* name :
       {"wgmma.Hopper.m64n8k32.f32.e4m3.e4m3", "mma.Ada_Lovelace.m16n8k32.f32.e4m3.e4m3.f32"}) {
    const Instruction& i = instruction(name);
    // 2^8 - 2^8 + 2^place, E4M3 powers from 2^-6 to 2^8
    const auto power = [](int e) { return static_cast<std::uint32_t>(e + 7) << 3; };
    const auto probe = [&](const Instruction& with, int place) {
      const Codes a{power(4), power(4), power(place / 2)};
      const Codes b{power(4), power(4) | 0x80U, power(place - place / 2)};
      return dot(with, a, b, 0);
    };
    CHECK(probe(i, -5) == static_cast<std::uint32_t>(-5 + 127) << 23);
    CHECK(probe(i, -6) == 0);
    CHECK(probe(changed(i, "fraction_bits=12"), -5) == 0);
    CHECK(probe(changed(i, "fraction_bits=14"), -6) != 0);
    // 32 products of 1.5 * 1 and C = 2^-12: C is truncated away in the second step or the first.
    CHECK(dot(i, Codes(32, 0x3C), Codes(32, 0x38), 0x39800000U) == 0x42400000U);
  }
  // Ada takes 16 products per step, Hopper 32: 2^8 in the first half, -2^8 in the second, 2^-6
  // beside.
  Codes a(32, 0);
  Codes b(32, 0);
  a[0] = a[16] = b[0] = (4U + 7U) << 3;
  b[16] = a[0] | 0x80U;
  a[1] = b[1] = (0U + 7U) << 3;
  a[2] = (7U - 3U) << 3;
  b[2] = (7U - 2U) << 3;  // 2^-5
  CHECK(dot(instruction("wgmma.Hopper.m64n8k32.f32.e4m3.e4m3"), a, b, 0) == 0x3F840000U);
  Instruction halved = instruction("wgmma.Hopper.m64n8k32.f32.e4m3.e4m3");
  halved.parameters.terms = 16;
  CHECK(dot(halved, a, b, 0) ==
        dot(instruction("mma.Ada_Lovelace.m16n8k32.f32.e4m3.e4m3.f32"), a, b, 0));
}

TEST_CASE("terms of a step: a cancellation across two steps loses what one step keeps") {
  // 2^15 at k = 0 and -2^15 at the other end; a product of 2^-10 beside the first.
  for (const auto& [name, terms] : {std::pair{"mma.Hopper.m16n8k16.f32.f16.f16.f32", 16},
                                    {"mma.Ampere.m16n8k16.f32.f16.f16.f32", 8},
                                    {"tcgen05mma.Blackwell.m64n8k16.f32.f16.f16", 16}}) {
    const Instruction& i = instruction(name);
    CHECK(i.parameters.terms == terms);
    const auto power = [](int e) { return static_cast<std::uint32_t>(e + 15) << 10; };
    Codes a(16, 0);
    Codes b(16, 0);
    a[0] = a[15] = power(10);
    b[0] = power(5);
    b[15] = power(5) | 0x8000U;
    a[1] = power(-5);
    b[1] = power(-4);  // 2^-9: kept by a window of 24 bits, but not by an FP32 running sum of 2^15
    const std::uint32_t whole = static_cast<std::uint32_t>(-9 + 127) << 23;
    CHECK(dot(i, a, b, 0) == (terms == 16 ? whole : 0U));
    Instruction other = i;
    other.parameters.terms = terms == 16 ? 8 : 16;
    CHECK(dot(other, a, b, 0) == (terms == 16 ? 0U : whole));
  }
}

TEST_CASE("emulated FP8: C is added outside, and k % 4 decides the step") {
  const Instruction& i = instruction("mma.Hopper.m16n8k32.f32.e4m3.e4m3.f32");
  const auto power = [](int e) { return static_cast<std::uint32_t>(e + 7) << 3; };
  Codes a(32, 0);
  Codes b(32, 0);
  // 2^16 and -2^16 in one step (k = 0, 4); 2^-12 beside them is below that window's end, 2^-9.
  a[0] = a[4] = b[0] = power(8);
  b[4] = power(8) | 0x80U;
  a[1] = b[1] = power(-6);
  CHECK(dot(i, a, b, 0) == 0);
  // The same small product in the other step is kept.
  std::swap(a[1], a[2]);
  std::swap(b[1], b[2]);
  const std::uint32_t small = static_cast<std::uint32_t>(-12 + 127) << 23;
  CHECK(dot(i, a, b, 0) == small);
  CHECK(dot(changed(i, "group=16"), a, b, 0) == 0);
  // 2^-18 is half of the last place of C = 64 and its neighbour: a tie goes to the even one.
  CHECK(dot(i, Codes{0x01}, Codes{0x01}, 0x42800000U) == 0x42800000U);
  CHECK(dot(i, Codes{0x01}, Codes{0x01}, 0x42800001U) == 0x42800002U);
  // Half a last place of 4096 and as much again: up, where truncation in the sum would also go.
  CHECK(dot(i, Codes{power(-6), power(-6)}, Codes{power(-6), power(-6)}, 0x45800000U) ==
        0x45800001U);
}

TEST_CASE("names: any M and N, nearest record, alternatives that do not exist") {
  CHECK(find_instruction("wgmma.Hopper.m64n256k16.f32.f16.f16") ==
        find_instruction("wgmma.Hopper.m64n8k16.f32.f16.f16"));
  CHECK(find_instruction("wgmma.Hopper.m64n256k17.f32.f16.f16") == nullptr);
  CHECK(find_instruction("mma.Hopper.mnk16.f32.f16.f16.f32") == nullptr);
  CHECK(find_instruction("mma") == nullptr);
  CHECK(find_instruction("") == nullptr);
  CHECK_THROWS_AS(instruction("mma.Pascal.m8n8k4.f32.f16.f16.f32"), Error);
  MmaParameters p;
  for (const char* bad : {"", "=", "terms", "terms=", "terms=0", "terms=1x", "fraction_bits=99",
                          "window=both", "colour=red"}) {
    CHECK_THROWS_AS(select_alternative(p, bad), Error);
  }
  for (const Instruction& i : instructions()) {
    CHECK(find_instruction(i.name) == &i);
    CHECK_FALSE(i.open_points.empty());
  }
}

TEST_CASE("operands of the wrong size or side are refused") {
  const Instruction& i = instruction(nvfp4_names[0]);
  const std::vector<std::uint8_t> row(32, 0);
  const std::vector<std::uint8_t> scales(4, 0);
  CHECK_NOTHROW(MmaOperand(i, MmaSide::a, row, 1, 64, scales));
  CHECK_THROWS_AS(MmaOperand(i, MmaSide::a, row, 1, 63, std::span(scales).first(3)), Error);
  CHECK_THROWS_AS(MmaOperand(i, MmaSide::a, row, 2, 64, scales), Error);
  const MmaOperand a(i, MmaSide::a, row, 1, 64, scales);
  const MmaOperand b(i, MmaSide::b, row, 1, 64, scales);
  std::vector<std::uint32_t> d(1);
  CHECK_NOTHROW(mma(i, a, b, d));
  CHECK_THROWS_AS(mma(i, b, a, d), Error);
  CHECK_THROWS_AS(mma(instruction(nvfp4_names[1]), a, b, std::span(d).first(0)), Error);
  CHECK_THROWS_AS(mma(instruction("mma.Hopper.m16n8k16.f32.f16.f16.f32"), a, b, d), Error);
  CHECK_THROWS_AS(dot(i, Codes(64), Codes(63), 0, scales, scales), Error);
  CHECK_THROWS_AS(dot(i, Codes(64), Codes(64), 0), Error);
}
