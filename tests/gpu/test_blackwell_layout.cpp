// SPDX-License-Identifier: MIT
// The layouts of the native Blackwell kernels (not run on hardware), on the CPU: whole tiles
// gathered through the functions that the kernels use and multiplied by the instruction's model
// must equal the model on the row-major operands.
#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "catch.hpp"
#include "lowbit/gpu/blackwell_layout.hpp"
#include "lowbit/scale_layout.hpp"
#include "lowbit/sim/mma.hpp"

namespace {

using namespace lowbit;

struct Matrix {
  std::size_t rows, columns;
  std::vector<std::uint8_t> codes, scales;  // row-major
  [[nodiscard]] std::uint32_t code(std::size_t r, std::size_t c) const {
    return codes[(r * columns + c) / 2] >> (c % 2 * 4) & 15;
  }
};

Matrix random_matrix(std::size_t rows, std::size_t columns, unsigned seed) {
  std::mt19937 random(seed);
  Matrix m{rows, columns, std::vector<std::uint8_t>(rows * columns / 2),
           std::vector<std::uint8_t>(rows * columns / 16)};
  for (auto& b : m.codes) b = static_cast<std::uint8_t>(random());
  for (auto& b : m.scales) b = static_cast<std::uint8_t>(random() % 0x7F);
  return m;
}

std::vector<std::uint32_t> model(const sim::Instruction& instruction, const Matrix& a,
                                 const Matrix& b) {
  std::vector<std::uint32_t> d(a.rows * b.rows);
  sim::mma(instruction,
           sim::MmaOperand(instruction, sim::MmaSide::a, a.codes, a.rows, a.columns, a.scales),
           sim::MmaOperand(instruction, sim::MmaSide::b, b.codes, b.rows, b.columns, b.scales), d);
  return d;
}

const sim::Instruction& nvfp4(std::string_view architecture, std::string_view family) {
  for (const sim::Instruction& i : sim::instructions()) {
    if (i.architecture == architecture && i.name.starts_with(family) && i.k == 64 &&
        i.block == 16 && i.scale == &ue4m3)
      return i;
  }
  FAIL("no NVFP4 instruction of " << architecture);
  return sim::instructions()[0];
}

TEST_CASE("sm_120a fragments and scales gather the operands of m16n8k64 (not run on hardware)") {
  using Mma = gpu::Sm120Mma;
  const Matrix a = random_matrix(16, 128, 1);
  const Matrix b = random_matrix(8, 128, 2);
  const auto a_scales = swizzle_scales(a.scales, 16, 8);
  const auto b_scales = swizzle_scales(b.scales, 8, 8);
  const sim::Instruction& instruction = nvfp4("RTX_Blackwell", "mma");
  const auto want = model(instruction, a, b);
  std::vector<std::uint32_t> got(16 * 8);
  for (std::size_t step = 0; step < 2; ++step) {
    // Registers as the kernel fills them.
    std::array<std::array<std::uint32_t, 4>, 32> ra{};
    std::array<std::array<std::uint32_t, 2>, 32> rb{};
    std::array<std::uint32_t, 32> sa{}, sb{};
    const auto word = [&](const Matrix& m, int row, int column) {
      std::uint32_t w = 0;
      for (std::size_t i = 0; i < 8; ++i)
        w |= m.code(static_cast<std::size_t>(row), step * 64 + static_cast<std::size_t>(column) + i)
             << (4 * i);
      return w;
    };
    const auto scale_word = [&](const std::vector<std::uint8_t>& s, int row) {
      std::uint32_t w = 0;
      for (std::size_t i = 0; i < 4; ++i)
        w |= static_cast<std::uint32_t>(
                 s[swizzled_scale_offset(static_cast<std::size_t>(row), step * 4, 8) + i])
             << (8 * i);
      return w;
    };
    for (int lane = 0; lane < 32; ++lane) {
      const auto l = static_cast<std::size_t>(lane);
      for (int r = 0; r < 4; ++r)
        ra[l][static_cast<std::size_t>(r)] = word(a, Mma::a_row(lane, r), Mma::a_column(lane, r));
      for (int r = 0; r < 2; ++r)
        rb[l][static_cast<std::size_t>(r)] = word(b, Mma::b_row(lane), Mma::b_column(lane, r));
      sa[l] = scale_word(a_scales, Mma::scale_a_row(lane));
      sb[l] = scale_word(b_scales, Mma::scale_b_row(lane));
    }
    // What the instruction reads, by the published fragment layout of the PTX ISA.
    for (std::size_t m = 0; m < 16; ++m) {
      for (std::size_t n = 0; n < 8; ++n) {
        std::vector<std::uint32_t> ca(64), cb(64);
        for (std::size_t k = 0; k < 64; ++k) {
          const std::size_t quad = k % 32 / 8;
          ca[k] = ra[4 * (m % 8) + quad][m / 8 + 2 * (k / 32)] >> (4 * (k % 8)) & 15;
          cb[k] = rb[4 * n + quad][k / 32] >> (4 * (k % 8)) & 15;
        }
        std::vector<std::uint8_t> qa(4), qb(4);
        for (std::size_t j = 0; j < 4; ++j) {
          qa[j] = static_cast<std::uint8_t>(sa[4 * (m % 8) + m / 8] >> (8 * j));
          qb[j] = static_cast<std::uint8_t>(sb[4 * n] >> (8 * j));
        }
        got[m * 8 + n] = sim::dot(instruction, ca, cb, got[m * 8 + n], qa, qb);
      }
    }
  }
  // D fragments cover the tile once.
  std::vector<int> written(16 * 8);
  for (int lane = 0; lane < 32; ++lane) {
    for (int r = 0; r < 4; ++r)
      ++written[static_cast<std::size_t>(Mma::d_row(lane, r) * 8 + Mma::d_column(lane, r))];
  }
  CHECK(written == std::vector<int>(16 * 8, 1));
  CHECK(got == want);
}

TEST_CASE("sm_100a shared tiles, descriptors and tensor-memory scales (not run on hardware)") {
  using Mma = gpu::Sm100Mma;
  const Matrix a = random_matrix(128, 256, 3);
  const Matrix b = random_matrix(128, 256, 4);
  const sim::Instruction& instruction = nvfp4("Blackwell", "tcgen05");
  const auto want = model(instruction, a, b);
  // The kernel's stage: codes through operand_offset, scale tiles as they lie in global memory.
  const auto gathered = [&](const Matrix& m) {
    std::vector<std::uint8_t> shared(Mma::operand_bytes);
    for (int row = 0; row < 128; ++row) {
      for (int byte = 0; byte < 128; ++byte)
        shared[Mma::operand_offset(row, byte)] =
            m.codes[static_cast<std::size_t>(row * 128 + byte)];
    }
    const auto scale_tiles = swizzle_scales(m.scales, 128, 16);
    // Tensor memory after tcgen05.cp: [column][lane], four bytes a cell.
    std::vector<std::array<std::uint8_t, 4>> tensor(16 * 32);
    for (int step = 0; step < 4; ++step) {
      for (int o = 0; o < 512; ++o) {
        tensor[static_cast<std::size_t>((4 * step + Mma::scale_column(o)) * 32 +
                                        Mma::scale_lane(o))]
              [static_cast<std::size_t>(Mma::scale_byte(o))] =
                  scale_tiles[static_cast<std::size_t>(step * 512 + o)];
      }
    }
    // What the instruction reads: 32 bytes per row from the descriptor's start, address bits 4-6
    // XOR 7-9.
    Matrix read{128, 256, std::vector<std::uint8_t>(128 * 128),
                std::vector<std::uint8_t>(128 * 16)};
    for (int step = 0; step < 4; ++step) {
      const std::uint64_t descriptor = Mma::operand_descriptor(0, step);
      const auto start = static_cast<std::uint32_t>(descriptor & 0x3FFF) << 4;
      const auto atom = static_cast<std::uint32_t>(descriptor >> 32 & 0x3FFF) << 4;
      for (std::uint32_t row = 0; row < 128; ++row) {
        for (std::uint32_t byte = 0; byte < 32; ++byte) {
          const std::uint32_t linear = start + row / 8 * atom + row % 8 * 128 + byte;
          read.codes[row * 128 + static_cast<std::uint32_t>(step) * 32 + byte] =
              shared[linear ^ (linear >> 7 & 7) << 4];
        }
      }
      for (int lane = 0; lane < 32; ++lane) {
        for (int column = 0; column < 4; ++column) {
          for (std::size_t j = 0; j < 4; ++j) {
            read.scales[static_cast<std::size_t>(Mma::scale_row(lane, column) * 16 + 4 * step) +
                        j] = tensor[static_cast<std::size_t>((4 * step + column) * 32 + lane)][j];
          }
        }
      }
    }
    return read;
  };
  const Matrix ga = gathered(a);
  const Matrix gb = gathered(b);
  CHECK(ga.codes == a.codes);
  CHECK(ga.scales == a.scales);
  CHECK(model(instruction, ga, gb) == want);
}

TEST_CASE("sm_100a descriptors (not run on hardware)") {
  using Mma = gpu::Sm100Mma;
  // 128-byte swizzle is mode 2 in bits 61-63; version 1 in bits 46-47.
  CHECK(Mma::operand_descriptor(0x4000, 3) >> 61 == 2);
  CHECK((Mma::operand_descriptor(0x4000, 3) & 0x3FFF) == (0x4000 + 96) / 16);
  CHECK((Mma::scale_descriptor(0, 2) & 0x3FFF) == 64);
  CHECK((Mma::scale_descriptor(0, 2) >> 46 & 3) == 1);
  const std::uint32_t i = Mma::instruction_descriptor();
  CHECK((i >> 7 & 7) == 1);
  CHECK((i >> 10 & 7) == 1);
  CHECK((i >> 17 & 63) * 8 == 128);
  CHECK((i >> 23 & 1) == 0);
  CHECK((i >> 27 & 3) * 128 == 128);
}

}  // namespace
