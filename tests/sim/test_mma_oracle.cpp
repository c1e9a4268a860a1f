// SPDX-License-Identifier: MIT
// Every instruction against the slow oracle, on random and adversarial inputs; the batched path and
// the term-by-term path must both agree with it.
#include <random>

#include "catch.hpp"
#include "lowbit/sim/mma.hpp"
#include "mma_oracle.hpp"

using namespace lowbit;
using namespace lowbit::sim;

namespace {

constexpr std::size_t rows = 3;      // an odd share of a panel
constexpr std::size_t columns = 17;  // one panel and a lane

struct Problem {
  std::size_t k = 0;
  std::vector<std::uint32_t> a, b, c;  // codes, vectors along K
  std::vector<std::uint8_t> scale_a, scale_b;
};

std::uint32_t code_of(const ElementFormat& f, bool negative, int field, std::uint32_t mantissa) {
  const int top = (1 << f.exponent_bits) - (f.specials == Specials::ieee ? 2 : 1);
  const std::uint32_t magnitude =
      (static_cast<std::uint32_t>(std::clamp(field, 0, top)) << f.mantissa_bits) |
      (mantissa & ((1U << f.mantissa_bits) - 1));
  const bool nan = f.specials == Specials::nan_all_ones && magnitude == f.magnitude_mask();
  return (nan ? magnitude - 1 : magnitude) | (negative ? f.sign_mask() : 0);
}

/// kind: 0 raw bits, 1 narrow exponents, 2 cancelling pairs with a small rest, 3 subnormals,
/// 4 zeros of both signs, 5 about the exponent of zero, 6 huge.
Problem make(const Instruction& i, int kind, std::mt19937& random) {
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  Problem p;
  // Sometimes two instructions along K, sometimes a padded tail.
  p.k = static_cast<std::size_t>(i.k) * (kind % 2 == 0 ? 2U : 1U) -
        (kind == 1 ? static_cast<std::size_t>(i.k / 4) : 0U);
  if (container_bits(*i.a) == 4) p.k -= p.k % 2;
  int centre[2];
  for (int side = 0; side < 2; ++side) {
    const ElementFormat& f = side == 0 ? *i.a : *i.b;
    const int fields = 1 << f.exponent_bits;
    centre[side] = below(fields);
    if (kind == 2) centre[side] = fields - 2 - below(fields / 3 + 1);
    if (kind == 3) centre[side] = below(3);
    if (kind == 5)
      centre[side] = std::max(0, (i.parameters.exponent_of_zero - below(16)) / 2 + f.bias);
    if (kind == 6) centre[side] = fields - 2;
  }
  const int gap = i.parameters.fraction_bits - 14 + below(20);
  const auto fill = [&](bool side_b, std::size_t vectors, std::vector<std::uint32_t>& codes) {
    const ElementFormat& f = side_b ? *i.b : *i.a;
    const int middle = centre[side_b ? 1 : 0];
    for (std::size_t v = 0; v < vectors; ++v) {
      for (std::size_t at = 0; at < p.k; ++at) {
        std::uint32_t code = random() & f.code_mask();
        const bool negative = below(2) != 0;
        if (kind == 1 || kind == 3 || kind == 6)
          code = code_of(f, negative, middle - below(3), random());
        if (kind == 5)
          code = below(3) == 0 ? 0 : code_of(f, negative, middle - 4 + below(9), random());
        if (kind == 4)
          code = below(8) != 0 ? (negative ? f.sign_mask() : 0) : code_of(f, negative, below(2), 1);
        if (kind == 4 && v % 2 == 0) code = side_b ? code_of(f, false, f.bias, 0) : f.sign_mask();
        if (kind == 2) {
          if (at % 2 == 1 && at > 3) {
            const std::uint32_t before = f.bits == 19 ? codes.back() >> 13 : codes.back();
            code = side_b ? before ^ f.sign_mask() : before;
          } else {
            code = code_of(f, negative, at > 3 ? middle - below(2) : middle - gap / 2 + below(3),
                           random());
          }
        }
        codes.push_back(f.bits == 19 ? (code << 13) | (random() & 0x1FFFU) : code);
      }
    }
  };
  fill(false, rows, p.a);
  fill(true, columns, p.b);
  const ElementFormat& c = *i.c;
  for (std::size_t at = 0; at < rows * columns; ++at) {
    const bool negative = below(2) != 0;
    std::uint32_t code = random() & c.code_mask();
    if (kind == 4 || below(4) == 0)
      code = negative ? c.sign_mask() : 0;
    else if (kind != 0) {
      const int products = centre[0] - i.a->bias + centre[1] - i.b->bias;
      code = code_of(c, negative, products + c.bias + below(50) - 25, random());
    }
    p.c.push_back(code);
  }
  if (i.block != 0) {
    const std::size_t blocks =
        (p.k + static_cast<std::size_t>(i.block) - 1) / static_cast<std::size_t>(i.block);
    const auto scales = [&](std::size_t vectors, std::vector<std::uint8_t>& out) {
      const int middle = below(256);
      for (std::size_t at = 0; at < vectors * blocks; ++at) {
        int byte = kind == 0 ? below(256) : std::clamp(middle + below(17) - 8, 0, 254);
        if (kind == 3) byte = below(4);
        out.push_back(static_cast<std::uint8_t>(byte));
      }
    };
    scales(rows, p.scale_a);
    scales(columns, p.scale_b);
  }
  return p;
}

std::vector<std::uint8_t> memory_of(const ElementFormat& f, const std::vector<std::uint32_t>& codes,
                                    std::size_t k) {
  const int bits = container_bits(f);
  std::vector<std::uint8_t> out;
  for (std::size_t first = 0; first < codes.size(); first += k) {
    for (std::size_t at = 0; at < k; ++at) {
      const std::uint32_t code = codes[first + at];
      if (bits == 4) {
        if (at % 2 == 0)
          out.push_back(static_cast<std::uint8_t>(code));
        else
          out.back() = static_cast<std::uint8_t>(out.back() | (code << 4));
      } else {
        for (int byte = 0; byte < bits / 8; ++byte)
          out.push_back(static_cast<std::uint8_t>(code >> (8 * byte)));
      }
    }
  }
  return out;
}

/// How many of the outputs of the problem differ from the oracle's, by either path.
std::size_t differences(const Instruction& i, const Problem& p, std::size_t& checked) {
  const MmaOperand a(i, MmaSide::a, memory_of(*i.a, p.a, p.k), rows, p.k, p.scale_a);
  const MmaOperand b(i, MmaSide::b, memory_of(*i.b, p.b, p.k), columns, p.k, p.scale_b);
  const bool widen = i.c != i.d;
  std::vector<std::uint32_t> d = p.c;
  for (std::uint32_t& word : d) {
    if (widen) word = std::bit_cast<std::uint32_t>(to_float(f16, word));
  }
  const std::vector<std::uint32_t> c = d;
  mma(i, a, b, d);
  const std::size_t blocks = p.scale_a.size() / rows;
  const std::size_t k = static_cast<std::size_t>(i.k);
  const std::size_t padded = (p.k + k - 1) / k * k;
  std::size_t wrong = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < columns; ++column) {
      const std::size_t at = row * columns + column;
      std::vector<std::uint32_t> x(p.a.begin() + static_cast<std::ptrdiff_t>(row * p.k),
                                   p.a.begin() + static_cast<std::ptrdiff_t>((row + 1) * p.k));
      std::vector<std::uint32_t> y(p.b.begin() + static_cast<std::ptrdiff_t>(column * p.k),
                                   p.b.begin() + static_cast<std::ptrdiff_t>((column + 1) * p.k));
      std::vector<std::uint8_t> sx(
          p.scale_a.begin() + static_cast<std::ptrdiff_t>(row * blocks),
          p.scale_a.begin() + static_cast<std::ptrdiff_t>((row + 1) * blocks));
      std::vector<std::uint8_t> sy(
          p.scale_b.begin() + static_cast<std::ptrdiff_t>(column * blocks),
          p.scale_b.begin() + static_cast<std::ptrdiff_t>((column + 1) * blocks));
      const std::uint32_t by_terms = dot(i, x, y, p.c[at], sx, sy);
      x.resize(padded);
      y.resize(padded);
      if (i.block != 0) {
        sx.resize(padded / static_cast<std::size_t>(i.block));
        sy.resize(padded / static_cast<std::size_t>(i.block));
      }
      std::uint32_t expected = c[at];
      for (std::size_t step = 0; step < padded / k; ++step) {
        const std::size_t block = i.block == 0 ? 0 : step * k / static_cast<std::size_t>(i.block);
        expected = test::oracle_dot(i, &x[step * k], &y[step * k], sx.data() + block,
                                    sy.data() + block, expected);
      }
      ++checked;
      if (d[at] != expected || by_terms != expected) {
        if (wrong++ == 0)
          UNSCOPED_INFO(i.name << " [" << row << "," << column << "]: batched " << std::hex << d[at]
                               << ", terms " << by_terms << ", oracle " << expected);
      }
    }
  }
  return wrong;
}

}  // namespace

TEST_CASE("every instruction equals the oracle") {
  std::mt19937 random(20251122);
  std::size_t checked = 0;
  for (const Instruction& i : instructions()) {
    for (int kind = 0; kind < 7; ++kind) {
      INFO(i.name << ", kind " << kind);
      CHECK(differences(i, make(i, kind, random), checked) == 0);
    }
  }
  CHECK(checked == instructions().size() * 7 * rows * columns);
}

TEST_CASE("changed parameters equal the oracle, so that a mutant is what it says") {
  std::mt19937 random(7);
  std::size_t checked = 0;
  for (const char* name :
       {"mma.Hopper.m16n8k16.f32.bf16.bf16.f32", "mma.Hopper.m16n8k16.f16.f16.f16.f16",
        "mma.Hopper.m16n8k8.f32.tf32.tf32.f32", "wgmma.Hopper.m64n8k32.f32.e4m3.e5m2",
        "mma.Hopper.m16n8k32.f16.e5m2.e5m2.f16", "mma.Blackwell.m16n8k32.f32.e4m3.e4m3.f32",
        "tcgen05mma_block_scale.Blackwell.m128n8k32.block32.f32.e3m2.e4m3.ue8m0",
        "tcgen05mma_block_scale.Blackwell.m128n8k64.block16.f32.e2m1.e2m1.ue4m3",
        "tcgen05mma_block_scale.Blackwell.m128n8k64.block32.f32.e2m1.e2m1.ue8m0"}) {
    const Instruction& right = instruction(name);
    std::vector<MmaParameters> changed(10, right.parameters);
    --changed[0].fraction_bits;
    ++changed[1].fraction_bits;
    if (right.parameters.rule == MmaRule::aligned) changed[2].terms /= 2;
    if (right.parameters.rule == MmaRule::grouped) changed[2].group = 8;
    if (right.parameters.rule == MmaRule::emulated) changed[2].group = 16;
    changed[3].zero_sum = ZeroSum::negative_if_all_negative;
    if (right.parameters.rule != MmaRule::emulated)
      changed[4].zero_sum = ZeroSum::negative_if_addend_negative;
    changed[5].underflow_keeps_sign = true;
    changed[6].exponent_of_zero += 3;
    changed[7].exponent_of_zero -= 5;
    const bool half = right.d == &f16;
    changed[8].rounding = half ? FinalRounding::f16_toward_zero : FinalRounding::f32_nearest_even;
    if (!half) changed[9].rounding = FinalRounding::e8m13_nearest_even;
    for (const MmaParameters& p : changed) {
      Instruction i = right;
      i.parameters = p;
      for (int kind = 0; kind < 7; ++kind) {
        INFO(name << ", change " << &p - changed.data() << ", kind " << kind);
        CHECK(differences(i, make(i, kind, random), checked) == 0);
      }
    }
  }
}
