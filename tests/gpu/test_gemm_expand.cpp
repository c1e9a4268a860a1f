// SPDX-License-Identifier: MIT
// Four-bit codes to FP16: every code under every scale byte, at every place of a word, against the
// format's own definition in integers.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "lowbit/block_format.hpp"
#include "lowbit/gpu/gemm_expand.hpp"
#include "lowbit/gpu/gemm_layout.hpp"

namespace {

using namespace lowbit;
using gpu::GemmFormat;

const BlockFormat& record(GemmFormat f) {
  const char* name = f == GemmFormat::nvfp4 ? "nvfp4" : f == GemmFormat::if4 ? "if4" : "if3";
  const BlockFormat* found = find_block_format(name);
  REQUIRE(found != nullptr);
  return *found;
}

double value(const ElementFormat& format, std::uint32_t code) {
  const Number n = decode(format, code);
  return std::ldexp(
      n.negative ? -static_cast<double>(n.significand) : static_cast<double>(n.significand),
      n.exponent);
}

template <GemmFormat F>
void check_every_code_and_scale() {
  const BlockFormat& format = record(F);
  const ElementFormat& element = *format.element;
  const std::uint32_t code_mask = element.code_mask();
  std::uint64_t checked = 0;
  for (std::uint32_t scale = 0; scale < 256; ++scale) {
    for (std::uint32_t other = 0; other < 256;
         other += 85) {  // the pair's other byte must not matter
      for (int byte = 0; byte < 4; ++byte) {
        const int side = byte % 2;
        gpu::BlockExpansion pair[2];
        const std::uint32_t bytes = side == 0 ? scale | other << 8 : other | scale << 8;
        // Nor must the other half of the word.
        if (byte >= 2) {
          gpu::block_expansions<F, 1>(bytes << 16 | (~bytes & 0xFFFF), pair[0], pair[1]);
        } else {
          gpu::block_expansions<F, 0>(bytes | ~bytes << 16, pair[0], pair[1]);
        }
        for (std::uint32_t code = 0; code < 16; ++code) {
          // The code at every place, the others its complement.
          for (int place = 0; place < 8; ++place) {
            std::uint32_t word = 0;
            for (int i = 0; i < 8; ++i) word |= (i == place ? code : code ^ 0xF) << (4 * i);
            std::uint32_t out[4];
            gpu::expand_word<F>(word, pair[side], out);
            for (int r = 0; r < 4; ++r) {
              for (int h = 0; h < 2; ++h) {
                const int column = gpu::expanded_column(r, h);
                const std::uint32_t c = (word >> (4 * column) & 0xF) & code_mask;
                const double got = gpu::detail::half_to_double(out[r] >> (16 * h) & 0xFFFF);
                if ((scale & 0x7F) == 0x7F) {
                  if (!std::isnan(got)) FAIL("a NaN scale gave " << got);
                  continue;
                }
                const bool integer = format.is_adaptive() && (scale & 0x80) != 0;
                const double units = format.exact_denominator();
                const double per_unit = integer ? units * format.integer_unit().numerator /
                                                      format.integer_unit().denominator
                                                : units;
                const double want = value(integer ? *format.integer : element, c) *
                                    value(e4m3, scale & 0x7F) * per_unit / 1024;
                if (got != want) {
                  FAIL(format.name << " scale " << scale << " code " << c << " place " << column
                                   << ": " << got << ", not " << want);
                }
                ++checked;
              }
            }
          }
        }
      }
    }
  }
  CHECK(checked >= 254U * 16 * 8 * 4);
}

TEST_CASE("every code and scale byte expands to FP16 without rounding") {
  SECTION("nvfp4") {
    check_every_code_and_scale<GemmFormat::nvfp4>();
  }
  SECTION("if4") {
    check_every_code_and_scale<GemmFormat::if4>();
  }
  SECTION("if3") {
    check_every_code_and_scale<GemmFormat::if3>();
  }
}

TEST_CASE("expansion factors follow from the format records") {
  for (const GemmFormat f : {GemmFormat::nvfp4, GemmFormat::if4, GemmFormat::if3}) {
    const BlockFormat& format = record(f);
    CHECK(gpu::float_factor(f) == format.exact_denominator());
    CHECK(format.block_size == gpu::gemm_block);
    if (format.is_adaptive()) {
      CHECK(gpu::integer_factor(f) * format.integer_unit().denominator ==
            format.exact_denominator() * format.integer_unit().numerator);
    }
  }
}

TEST_CASE("the decode kernel's instructions take every column of a super-step once") {
  bool seen[gpu::decode_super_step] = {};
  for (int j = 0; j < gpu::decode_instructions; ++j) {
    for (int slot = 0; slot < 16; ++slot) {
      const int column = gpu::decode_column(j, slot);
      REQUIRE(column >= 0);
      REQUIRE(column < gpu::decode_super_step);
      CHECK_FALSE(seen[column]);
      seen[column] = true;
      CHECK(column / (gpu::decode_super_step / 4) == slot % 8 / 2);  // a quarter per lane
    }
  }
}

TEST_CASE("the decode kernel's A lies where its instructions read it") {
  std::vector<int> at(gpu::decode_a_bytes / 2, -1);  // row and column that a place holds
  const auto element = [](int row, int column) { return row * gpu::decode_super_step + column; };
  for (int warp = 0; warp < 2; ++warp) {
    for (int lane = 0; lane < 32; ++lane) {
      const int row = gpu::decode_a_row(lane);
      const int block = gpu::decode_a_block(lane, warp);
      for (int word = 0; word < 2; ++word) {
        for (int r = 0; r < 4; ++r) {
          for (int part = 0; part < 4; ++part) {
            for (int half = 0; half < 2; ++half) {
              const int column = gpu::decode_super_step / 4 * part + 16 * block + 8 * word +
                                 gpu::expanded_column(r, half);
              const int byte = gpu::decode_a_offset(4 * block + 2 * word + r / 2, row, r % 2 * 8) +
                               4 * part + 2 * half;
              REQUIRE(at[static_cast<std::size_t>(byte / 2)] == -1);
              at[static_cast<std::size_t>(byte / 2)] = element(row, column);
            }
          }
        }
      }
    }
  }
  for (int j = 0; j < gpu::decode_instructions; ++j) {
    for (int row = 0; row < 16; ++row) {
      for (int slot = 0; slot < 16; ++slot) {
        const auto place = static_cast<std::size_t>(gpu::decode_a_offset(j, row, slot) / 2);
        if (at[place] != element(row, gpu::decode_column(j, slot))) {
          FAIL("instruction " << j << " row " << row << " slot " << slot << " reads element "
                              << at[place]);
        }
      }
    }
  }
}

TEST_CASE("each super-step belongs to one group of the decode kernel") {
  for (const int super_steps : {0, 1, 3, 4, 5, 15, 16, 17, 31, 64, 100}) {
    std::vector<int> owners(static_cast<std::size_t>(super_steps), 0);
    for (int w = 0; w < gpu::decode_splits; ++w) {
      const int count = gpu::decode_step_count(w, super_steps);
      for (int i = 0; i < count; ++i) {
        REQUIRE(gpu::decode_step(w, i) < super_steps);
        ++owners[static_cast<std::size_t>(gpu::decode_step(w, i))];
      }
      CHECK(gpu::decode_step(w, count) >= super_steps);
    }
    CHECK(std::all_of(owners.begin(), owners.end(), [](int n) { return n == 1; }));
  }
}

TEST_CASE("the wgmma kernel's operands name the same columns") {
  for (int group = 0; group < 3; ++group) {
    bool seen[gpu::wgmma_group] = {};
    for (int block = 0; block < 4; ++block) {
      for (int word = 0; word < 2; ++word) {
        for (int r = 0; r < 4; ++r) {
          for (int half = 0; half < 2; ++half) {
            const int within = 16 * block + 8 * word + gpu::expanded_column(r, half);
            const int column = group * gpu::wgmma_group + within;
            // B: a producer's 16-byte unit 4 * word + r of the row holds register r of that word of
            // the four blocks; two units an instruction.
            const int position = 8 * (4 * word + r) + 2 * block + half;
            CHECK(gpu::wgmma_column(group * 4 + position / 16, position % 16) == column);
            // A: lane t = block feeds slots 2t + half and 8 + 2t + half of instruction 2 * word + r
            // / 2.
            CHECK(gpu::wgmma_column(group * 4 + 2 * word + r / 2, r % 2 * 8 + 2 * block + half) ==
                  column);
            CHECK_FALSE(seen[within]);
            seen[within] = true;
          }
        }
      }
    }
  }
  CHECK(gpu::wgmma_step_count(0) == 0);
  CHECK(gpu::wgmma_step_count(16) == 4);
  CHECK(gpu::wgmma_step_count(64) == 4);
  CHECK(gpu::wgmma_step_count(80) == 8);
}

}  // namespace
