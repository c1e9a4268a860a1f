// SPDX-License-Identifier: MIT
// The portable FP16 kernel on the CPU: every thread's copies into a stage, the lanes' reads and
// expansions, and the fragments that mma.sync takes from them, through the functions that the
// kernel uses. Its machine code for sm_100a and sm_120a is not run on hardware.
#include <cmath>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include "catch.hpp"
#include "lowbit/block_format.hpp"
#include "lowbit/gpu/gemm_raster.hpp"
#include "lowbit/gpu/mma_f16_layout.hpp"

namespace {

using namespace lowbit;
using gpu::GemmFormat;
using Layout = gpu::MmaF16;

struct Operand {
  int rows = 0;
  int k_blocks = 0;
  std::vector<std::uint8_t> codes, scales;
};

Operand random_operand(int rows, int k_blocks, unsigned seed) {
  std::mt19937 random(seed);
  const auto blocks = static_cast<std::size_t>(rows) * static_cast<std::size_t>(k_blocks);
  Operand o{rows, k_blocks, std::vector<std::uint8_t>(blocks * 8),
            std::vector<std::uint8_t>(blocks)};
  for (auto& b : o.codes) b = static_cast<std::uint8_t>(random());
  for (auto& b : o.scales) {
    b = static_cast<std::uint8_t>(random());
    if ((b & 0x7F) == 0x7F) b ^= 1;
  }
  return o;
}

/// One operand's part of a stage after all copies of a step for the tile that starts at row
/// `first`.
std::vector<std::uint8_t> filled(const Operand& o, int first, int step) {
  std::vector<std::uint8_t> stage(Layout::operand_bytes, 0xCC);
  std::vector<int> written(Layout::operand_bytes);
  const int rows = o.rows - first;
  const auto apply = [&](const gpu::StageCopy& c, const std::vector<std::uint8_t>& all,
                         std::size_t base, int size) {
    REQUIRE(c.destination % static_cast<std::uint32_t>(size) == 0);
    REQUIRE((base + c.source) % static_cast<std::size_t>(size) == 0);
    REQUIRE(c.bytes >= 0);
    REQUIRE(c.bytes <= size);
    REQUIRE(base + c.source + static_cast<std::size_t>(c.bytes) <=
            all.size());  // nothing outside is read
    for (int i = 0; i < size; ++i) {
      const std::size_t at = c.destination + static_cast<std::size_t>(i);
      REQUIRE(at < stage.size());
      REQUIRE(written[at]++ == 0);
      stage[at] = i < c.bytes ? all[base + c.source + static_cast<std::size_t>(i)] : 0;
    }
  };
  const std::size_t blocks = static_cast<std::size_t>(first) * static_cast<std::size_t>(o.k_blocks);
  for (int thread = 0; thread < Layout::threads; ++thread) {
    for (int i = 0; i < Layout::code_copies; ++i) {
      apply(Layout::code_copy(thread, i, step, rows, o.k_blocks), o.codes, blocks * 8, 8);
    }
    for (int i = 0; i < Layout::scale_copies; ++i) {
      apply(Layout::scale_copy(thread, i, step, rows, o.k_blocks), o.scales, blocks, 4);
    }
  }
  return stage;
}

/// The FP16 number of an element by the definition of the format; outside the matrix zero.
double element(GemmFormat f, const Operand& o, int row, int column) {
  if (row >= o.rows || column >= o.k_blocks * 16) return 0;
  const BlockFormat& format = *find_block_format(f == GemmFormat::nvfp4 ? "nvfp4"
                                                 : f == GemmFormat::if4 ? "if4"
                                                                        : "if3");
  const std::size_t block = static_cast<std::size_t>(row) * static_cast<std::size_t>(o.k_blocks) +
                            static_cast<std::size_t>(column / 16);
  const std::uint32_t scale = o.scales[block];
  const bool integer = format.is_adaptive() && (scale & 0x80) != 0;
  const ElementFormat& e = integer ? *format.integer : *format.element;
  const std::uint32_t code =
      o.codes[block * 8 + static_cast<std::size_t>(column % 16 / 2)] >> (column % 2 * 4) &
      e.code_mask();
  const auto number = [](const ElementFormat& type, std::uint32_t c) {
    const Number n = decode(type, c);
    return std::ldexp(
        n.negative ? -static_cast<double>(n.significand) : static_cast<double>(n.significand),
        n.exponent);
  };
  return number(e, code) * number(e4m3, scale & 0x7F) *
         (integer ? gpu::integer_factor(f) : gpu::float_factor(f)) / 1024;
}

/// A lane's eight half2 registers of a row's block, as the kernel's expand_block makes them.
template <GemmFormat F>
void expand(const std::vector<std::uint8_t>& stage, int row, int shift, int block,
            std::uint32_t (&out)[8]) {
  gpu::BlockExpansion expansion;
  gpu::BlockExpansion unused;
  gpu::block_expansions<F>(stage[Layout::scale_offset(row, shift, block)], expansion, unused);
  for (int w = 0; w < 2; ++w) {
    std::uint32_t word = 0;
    for (int i = 0; i < 4; ++i) {
      word |= static_cast<std::uint32_t>(
                  stage[Layout::code_offset(row, block) + static_cast<std::uint32_t>(4 * w + i)])
              << (8 * i);
    }
    gpu::expand_word<F>(word, expansion, out + 4 * w);
  }
}

/// Every term of every instruction on one operand's rows of a warp is the element that the schedule
/// names. The instruction's term `slot` of a row (PTX ISA, m16n8k16): lane 4 * (row % 8) + slot % 8
/// / 2, half slot % 2 of the register for slots 8 * r to 8 * r + 7; rows r and r + 8 of A are two
/// such rows.
template <GemmFormat F>
void check_fragments(const Operand& o, int first, int warp_row) {
  for (int step = 0; step * Layout::step_blocks < o.k_blocks; ++step) {
    const auto stage = filled(o, first, step);
    for (int half = 0; half < 2; ++half) {
      for (int group = 0; group < Layout::row_groups; ++group) {
        std::uint32_t fragments[32][8];
        for (int lane = 0; lane < 32; ++lane) {
          expand<F>(stage, warp_row + 8 * group + lane / 4,
                    Layout::scale_shift(lane / 4, o.k_blocks), 2 * (lane % 4) + half,
                    fragments[lane]);
        }
        for (int row = 0; row < 8; ++row) {
          for (int q = 0; q < Layout::block_instructions; ++q) {
            for (int slot = 0; slot < 16; ++slot) {
              const std::uint32_t word = fragments[4 * row + slot % 8 / 2][2 * q + slot / 8];
              const double got = gpu::detail::half_to_double(word >> (slot % 2 * 16) & 0xFFFF);
              const int i =
                  step * Layout::step_instructions + Layout::block_instructions * half + q;
              const int column = gpu::mma_f16_column(i, slot);
              const double want = element(F, o, first + warp_row + 8 * group + row, column);
              if (got != want) {
                FAIL("row " << warp_row + 8 * group + row << " instruction " << i << " slot "
                            << slot << ": " << got << ", not " << want);
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE(
    "portable FP16 kernel: fragments hold the elements that the schedule names (Blackwell code not "
    "run on hardware)") {
  // Block counts of every remainder mod 4, so that rows of scales start at every byte of a word; a
  // second tile with few rows; whole and partial super-steps.
  for (const int k_blocks : {1, 2, 3, 8, 13, 16, 18, 23}) {
    const Operand o = random_operand(150, k_blocks, static_cast<unsigned>(k_blocks));
    for (const int first : {0, 128}) {
      for (int row = 0; row < Layout::tile; row += Layout::warp_tile)
        check_fragments<GemmFormat::if4>(o, first, row);
    }
  }
  const Operand o = random_operand(130, 11, 99);
  check_fragments<GemmFormat::nvfp4>(o, 0, 64);
  check_fragments<GemmFormat::if3>(o, 0, 64);
  check_fragments<GemmFormat::if3>(o, 128, 0);
}

TEST_CASE("portable FP16 kernel: bytes of the next row do not follow the end of K") {
  // NaN scale bytes around a row of one block must not be read as scales of its zero columns.
  Operand o = random_operand(128, 1, 5);
  for (std::size_t row = 0; row < 128; row += 2) o.scales[row] = 0x7F;
  const auto stage = filled(o, 0, 0);
  for (int row = 0; row < 128; ++row) {
    for (int block = 1; block < Layout::step_blocks; ++block) {
      CHECK(stage[Layout::scale_offset(row, Layout::scale_shift(row, 1), block)] == 0);
    }
  }
}

TEST_CASE("portable FP16 kernel: shared memory is read without bank conflicts") {
  for (int group = 0; group < Layout::row_groups; ++group) {
    for (int half = 0; half < 2; ++half) {
      for (int lane0 = 0; lane0 < 32; lane0 += 16) {  // eight bytes per lane: two passes
        std::set<std::uint32_t> banks;
        for (int lane = lane0; lane < lane0 + 16; ++lane) {
          const std::uint32_t at = Layout::code_offset(8 * group + lane / 4, 2 * (lane % 4) + half);
          CHECK(at % 8 == 0);
          banks.insert(at / 4 % 32);
          banks.insert((at + 4) / 4 % 32);
        }
        CHECK(banks.size() == 32);
      }
      for (int shift = 0; shift < 4; ++shift) {
        std::set<std::uint32_t> words;
        std::set<std::uint32_t> banks;
        for (int lane = 0; lane < 32; ++lane) {
          const std::uint32_t word =
              Layout::scale_offset(8 * group + lane / 4, shift, 2 * (lane % 4) + half) / 4;
          words.insert(word);
          banks.insert(word % 32);
        }
        CHECK(words.size() == banks.size());
      }
    }
  }
}

TEST_CASE("portable FP16 kernel: the lanes' accumulators cover a tile once") {
  std::vector<int> written(static_cast<std::size_t>(Layout::tile) * Layout::tile);
  for (int warp = 0; warp < Layout::threads / 32; ++warp) {
    for (int lane = 0; lane < 32; ++lane) {
      for (int i = 0; i < Layout::warp_tile / 16; ++i) {
        for (int j = 0; j < Layout::warp_tile / 8; ++j) {
          for (int r = 0; r < 4; ++r) {
            const int row = Layout::d_row(warp, lane, i, r);
            const int column = Layout::d_column(warp, lane, j, r);
            ++written[static_cast<std::size_t>(row * Layout::tile + column)];
            // The instruction's own place of register r, within the rows of A and B that the warp
            // reads.
            CHECK(row - Layout::warp_row_a(warp) == 16 * i + lane / 4 + (r >= 2 ? 8 : 0));
            CHECK(column - Layout::warp_row_b(warp) == 8 * j + lane % 4 * 2 + (r & 1));
          }
        }
      }
    }
  }
  CHECK(written == std::vector<int>(written.size(), 1));
}

TEST_CASE("the schedule of the portable FP16 kernel takes every column once") {
  for (const int k_blocks : {1, 8, 9, 40}) {
    std::set<int> seen;
    for (int i = 0; i < gpu::mma_f16_instructions(k_blocks); ++i) {
      for (int slot = 0; slot < 16; ++slot) CHECK(seen.insert(gpu::mma_f16_column(i, slot)).second);
    }
    CHECK(*seen.begin() == 0);
    CHECK(*seen.rbegin() == static_cast<int>(seen.size()) - 1);
    CHECK(static_cast<int>(seen.size()) >= k_blocks * 16);
    CHECK(static_cast<int>(seen.size()) < k_blocks * 16 + Layout::step);
  }
}

TEST_CASE("the raster visits every tile once, a band of rows after the other") {
  for (const auto& [m, n] : {std::pair{1, 1}, {16, 5}, {17, 3}, {40, 7}, {5, 40}}) {
    std::set<std::pair<int, int>> seen;
    int band = 0;
    for (int i = 0; i < m * n; ++i) {
      const gpu::TilePlace place = gpu::place_tile(i, m, n);
      CHECK((place.m >= 0 && place.m < m && place.n >= 0 && place.n < n));
      CHECK(place.m / gpu::raster_rows >= band);
      band = place.m / gpu::raster_rows;
      CHECK(seen.emplace(place.m, place.n).second);
    }
  }
}

}  // namespace
