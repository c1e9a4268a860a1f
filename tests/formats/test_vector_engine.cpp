// SPDX-License-Identifier: MIT
// Every vector engine, on every instruction set that this machine has, against the scalar engine:
// the same bytes for every format, rule and dialect that it serves.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "catch.hpp"
#include "dequantize/value_table.hpp"
#include "formats/vector_cases.hpp"
#include "formats/vector_runs.hpp"
#include "lowbit/dialect_axis.hpp"
#include "quantize/vector/served_dialects.hpp"
#include "quantize/vector/vector_engine.hpp"

namespace {

using namespace lowbit;
using namespace lowbit::detail;
using namespace lowbit::cases;

/// Of each request and data set.
constexpr std::size_t usual_blocks = is_sanitized ? 96 : 420;
/// The same in scripts/nightly.sh.
constexpr std::size_t nightly_blocks = 8192;

/// \return the elements that every instruction set was compared on, by format and rule: those of
/// all dialects that are served.
/// \param sixteens  blocks of sixteen elements per request and data set
std::map<std::string, std::size_t> compare_bytes(std::size_t sixteens, std::uint32_t seed) {
  const auto scratch = std::make_unique<BlockScratch>();
  std::map<std::string, std::size_t> compared;
  std::map<std::size_t, std::vector<Data>> made;
  // LOWBIT_FORMAT=NAME compares one format, so that formats can run side by side.
  const char* const only = std::getenv("LOWBIT_FORMAT");
  for (const Request& request : served_requests()) {
    if (only != nullptr && request.format->name != only) continue;
    const std::size_t size = request.block_size();
    // Of other dialects a part: there are many.
    const std::size_t part = request.is_canonical() ? 1 : 4;
    const std::size_t all_blocks = size < 16 ? sixteens * 16 / size : sixteens;
    const std::size_t blocks = all_blocks / part;
    std::vector<Data>& all = made[size];
    if (all.empty()) all = all_data(size, all_blocks, seed);
    for (const Data& data : all) {
      const TensorConstants t = request.constants(data.amax());
      if (vector_engine(t) == nullptr) continue;
      const Coded wanted = run_engine(scalar_engine(*t.format), t, data.x.data(), blocks, *scratch);
      compared[std::string(request.format->name) + " " + std::string(name_of(request.rule))] +=
          blocks * size;
      const std::size_t squares = blocks / size;
      const Coded wanted_squares =
          run_engine(scalar_engine(*t.format), t, data.x.data(), squares, *scratch, size);
      for (const VectorTarget& target : vector_targets()) {
        const Forced forced(target);
        INFO(target.name << ": " << request.name() << " on " << data.name << ", seed " << seed);
        const Engine& engine = *vector_engine(t);
        REQUIRE(run_engine(engine, t, data.x.data(), blocks, *scratch) == wanted);
        REQUIRE(run_engine(engine, t, data.x.data(), squares, *scratch, size) == wanted_squares);
      }
    }
  }
  return compared;
}

}  // namespace

TEST_CASE("every instruction set gives the scalar engine's bytes") {
  // As many as make 10^8 in the two seeds of scripts/nightly.sh.
  for (const auto& [name, elements] : compare_bytes(usual_blocks, 1)) {
    INFO(name);
    CHECK(2 * elements * nightly_blocks / usual_blocks > 100'000'000);
  }
}

// scripts/nightly.sh: more than 10^8 elements per format and rule.
// LOWBIT_SEED=N takes the part of one seed, so that the parts can run side by side.
TEST_CASE("the same for many elements", "[.nightly]") {
  const char* only = std::getenv("LOWBIT_SEED");
  const auto first = static_cast<std::uint32_t>(only == nullptr ? 100 : std::stoul(only));
  const std::uint32_t end = only == nullptr ? 102 : first + 1;
  for (std::uint32_t seed = first; seed < end; ++seed) compare_bytes(nightly_blocks, seed);
}

TEST_CASE("every format has a kernel for every rule but searches") {
  for (const VectorTarget& target : vector_targets()) {
    const Forced forced(target);
    for (const BlockFormat& format : block_formats()) {
      for (const ScaleRule rule : scale_rules()) {
        if (!is_valid_rule(format, rule) || searches(rule)) continue;
        const Request request{&format, rule, &canonical};
        INFO(target.name << ": " << request.name());
        CHECK((vector_engine(request.constants(1.0F)) != nullptr) == !format.has_levels());
      }
    }
  }
}

TEST_CASE("no request has a vector engine where none is wanted") {
  const TensorConstants t =
      Request{find_block_format("nvfp4"), ScaleRule::mse, &canonical}.constants(1.0F);
  REQUIRE(vector_engine(t) != nullptr);
  const Forced forced({no_vector_target, ""});
  CHECK(vector_engine(t) == nullptr);
  CHECK(engine_for(t).name == "scalar");
}

TEST_CASE("a dialect with a value that the kernels were not written for is not served") {
  CHECK(serves_dialect(canonical));
  for (const DialectAxis& axis : dialect_axes()) {
    INFO(axis.name);
    Dialect later = canonical;
    axis.set(later, 31);
    CHECK_FALSE(serves_dialect(later));
  }
}

TEST_CASE("the recorded kernels' dialects are served") {
  for (const char* name : {"fos_pytorch", "fos_pytorch_cuda", "fos_triton"}) {
    INFO(name);
    CHECK(serves_dialect(*find_dialect(name)));
  }
}

namespace {

/// Four blocks per exponent of the largest magnitude: of 2^e, and of what rules round up or not.
std::vector<float> blocks_of_every_exponent(std::size_t size) {
  std::mt19937 random(5);
  std::vector<float> x;
  for (int exponent = -149; exponent <= 127; ++exponent) {
    for (const float top : {1.0F, 1.25F, 1.75F, 1.984375F}) {
      const std::size_t largest = random() % size;
      for (std::size_t i = 0; i < size; ++i) {
        const float part = i == largest ? 1.0F : static_cast<float>(random() % 33) / 32.0F;
        x.push_back(std::ldexp(random() % 2 != 0 ? -top : top, exponent) * part);
      }
    }
  }
  return x;
}

}  // namespace

TEST_CASE("MX blocks of every exponent, down to subnormal numbers and up to the largest") {
  // The ends of the range are where dialects clamp, wrap and recompute scales.
  const auto scratch = std::make_unique<BlockScratch>();
  std::map<std::size_t, std::vector<float>> made;
  std::size_t served = 0;
  for (const Request& request : served_requests()) {
    const TensorConstants t = request.constants(1.0F);
    if (request.format->family() != ScaleFamily::mx || vector_engine(t) == nullptr) continue;
    if (is_sanitized && !request.is_canonical()) continue;
    ++served;
    const std::size_t size = request.block_size();
    std::vector<float>& x = made[size];
    if (x.empty()) x = blocks_of_every_exponent(size);
    const std::size_t blocks = x.size() / size;
    const Coded wanted = run_engine(scalar_engine(*t.format), t, x.data(), blocks, *scratch);
    for (const VectorTarget& target : vector_targets()) {
      const Forced forced(target);
      INFO(target.name << ": " << request.name());
      REQUIRE(run_engine(*vector_engine(t), t, x.data(), blocks, *scratch) == wanted);
    }
  }
  CHECK(served > (is_sanitized ? 40 : 500));
}

namespace {

/// Whether the engine says of the blocks that one of them is not finite.
bool finds_nonfinite(const TensorConstants& t, const std::vector<float>& x, BlockScratch& scratch) {
  bool found = false;
  BlockRun run;
  run.x = x.data();
  run.last_columns = static_cast<std::size_t>(t.format->block_size);
  run.blocks = run.blocks_per_row = x.size() / run.last_columns;
  run.found_nonfinite = &found;
  std::vector<std::uint8_t> codes(x.size()), scales(run.blocks);
  vector_engine(t)->quantize(t, run, scratch, {codes.data(), scales.data(), nullptr});
  return found;
}

}  // namespace

TEST_CASE("NaN and infinities are found wherever they are, and nothing else is") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float largest = std::numeric_limits<float>::max();
  const auto signalling = std::bit_cast<float>(0xFF800001U);
  const auto scratch = std::make_unique<BlockScratch>();
  const Request requests[] = {
      {find_block_format("nvfp4"), ScaleRule::static_6, &canonical},
      {find_block_format("nvfp4"), ScaleRule::static_6, find_dialect("te_ge_2.14")},
      {find_block_format("nvfp4"), ScaleRule::abs_max, &canonical},
      {find_block_format("if4_bs8"), ScaleRule::mse, &canonical},
      {find_block_format("nvint3_bs8"), ScaleRule::static_6, &canonical},
      {find_block_format("mxfp4"), ScaleRule::floor, &canonical},
      {find_block_format("mxint8"), ScaleRule::rceil, find_dialect("torchao")},
  };
  for (const Request& request : requests) {
    const TensorConstants t = request.constants(1.0F);
    REQUIRE(vector_engine(t) != nullptr);
    // Four groups together, one alone, and one that is not whole.
    std::vector<float> x(request.block_size() * (is_sanitized ? 21 : 85), 0.0F);
    for (const VectorTarget& target : vector_targets()) {
      const Forced forced(target);
      INFO(target.name << ": " << request.name());
      for (const float others : {0.0F, -0.5F, largest, 1e-42F}) {
        std::fill(x.begin(), x.end(), others);
        CHECK_FALSE(finds_nonfinite(t, x, *scratch));
        std::size_t missed = 0;
        for (float& v : x) {
          for (const float odd : {infinity, -infinity, std::nanf(""), signalling}) {
            v = odd;
            missed += finds_nonfinite(t, x, *scratch) ? 0 : 1;
          }
          v = others;
        }
        CHECK(missed == 0);
      }
      for (const float odd : {infinity, std::nanf("")}) {
        std::fill(x.begin(), x.end(), odd);
        CHECK(finds_nonfinite(t, x, *scratch));
      }
    }
  }
}

TEST_CASE("every number of blocks and every misalignment gives the scalar engine's bytes") {
  const auto scratch = std::make_unique<BlockScratch>();
  for (const VectorTarget& target : vector_targets()) {
    const Forced forced(target);
    std::size_t served = 0;
    for (const Request& request : served_requests()) {
      if (request.dialect->name != canonical.name) continue;
      const std::size_t size = request.block_size();
      const Data data = normal_data(size, 40, 7);
      const TensorConstants t = request.constants(data.amax());
      const Engine* const engine = vector_engine(t);
      if (engine == nullptr) continue;
      ++served;
      for (std::size_t blocks = 0; blocks <= 35; ++blocks) {
        // Bytes from a multiple of 64: every misalignment of a float.
        const std::size_t shift = blocks % 16;
        std::vector<float> buffer(blocks * size + 16);
        std::copy_n(data.x.data(), blocks * size, buffer.data() + shift);
        INFO(target.name << ": " << request.name() << ", " << blocks << " blocks");
        REQUIRE(run_engine(*engine, t, buffer.data() + shift, blocks, *scratch) ==
                run_engine(scalar_engine(*t.format), t, buffer.data() + shift, blocks, *scratch));
      }
      // Square blocks: none, one, and on both sides of a group of sixteen. Among them are blocks of
      // zeros of both signs, and blocks whose scales are subnormal.
      Data more = normal_data(size, 33 * size + 1, 8);
      for (std::size_t i = 0; i < more.x.size(); ++i) {
        const std::size_t square = i / (size * size);
        if (square % 3 == 1) more.x[i] = i % 2 != 0 ? -0.0F : 0.0F;
        if (square % 5 == 3) more.x[i] *= 0x1p-16F;
      }
      for (const std::size_t squares : {0U, 1U, 15U, 16U, 17U, 31U, 32U, 33U}) {
        INFO(target.name << ": " << request.name() << ", " << squares << " square blocks");
        REQUIRE(run_engine(*engine, t, more.x.data(), squares, *scratch, size) ==
                run_engine(scalar_engine(*t.format), t, more.x.data(), squares, *scratch, size));
      }
    }
    CHECK(served > 50);
  }
}

TEST_CASE("every instruction set gives the scalar engine's error sums") {
  const auto scratch = std::make_unique<BlockScratch>();
  // Which NaN a sum is does not matter.
  const auto bits_of = [](double v) {
    return std::isnan(v) ? ~std::uint64_t{0} : std::bit_cast<std::uint64_t>(v);
  };
  const auto bits = [&](const ErrorStatistics& s) {
    return std::vector<std::uint64_t>{s.elements,
                                      s.nonzero,
                                      s.clipped,
                                      s.zeroed,
                                      s.blocks,
                                      s.four_or_int,
                                      s.bits,
                                      bits_of(s.squared_error),
                                      bits_of(s.squared_value),
                                      bits_of(s.squared_result),
                                      bits_of(s.product),
                                      bits_of(s.max_abs_error)};
  };
  for (const VectorTarget& target : vector_targets()) {
    const Forced forced(target);
    std::map<std::size_t, std::vector<Data>> made;
    for (const Request& request : served_requests()) {
      // Of dialects the recorded ones: sums come from bytes, which are compared in all of them.
      if (request.has_other_axis || (is_sanitized && !request.is_canonical())) continue;
      const std::size_t size = request.block_size();
      std::vector<Data>& all = made[size];
      if (all.empty()) all = all_data(size, 135);
      for (const Data& data : all) {
        const TensorConstants t = request.constants(data.amax());
        const Engine* const engine = vector_engine(t);
        if (engine == nullptr) continue;
        // Three rows of 45 blocks, the last of each padded from 5 columns.
        std::vector<float> x = data.x;
        BlockRun run;
        run.x = run.original = x.data();
        run.blocks = 135;
        run.blocks_per_row = 45;
        run.original_stride = 45 * size;
        run.last_columns = 5;
        for (const std::size_t block : {44U, 89U, 134U}) {
          std::fill_n(x.data() + block * size + 5, size - 5, 0.0F);
        }
        ValueTable table(*t.format, t.amax, t.encode_constant, *t.dialect);
        ErrorStatistics got, wanted;
        engine->measure(t, run, *scratch, table, got);
        scalar_engine(*t.format).measure(t, run, *scratch, table, wanted);
        INFO(target.name << ": " << request.name() << " on " << data.name);
        REQUIRE(bits(got) == bits(wanted));
      }
    }
  }
}

namespace {

/// Every code at every place of a block, under every scale byte.
void check_expanded(const VectorTarget& target, const BlockFormat& format, ValueTable table) {
  const auto size = static_cast<std::size_t>(format.block_size);
  constexpr std::size_t most = 256;
  const bool is_packed = format.storage_bits() == 4;
  std::vector<std::uint8_t> scales(most), codes(most * size / (is_packed ? 2 : 1));
  std::vector<float> out(most * size + 9);
  for (std::size_t shift = 0; shift < 16; ++shift) {
    // An odd number too: vectors may hold two blocks.
    const std::size_t blocks = most - shift % 2;
    std::fill(out.begin(), out.end(), -7.0F);
    const std::size_t count = is_packed ? 16 : 256;
    const std::size_t mask = format.element->code_mask();
    // Codes of fewer bits than a byte may come with any bits beside them.
    const auto code = [&](std::size_t i) { return (i + i / size * 41 + shift * 16) % count; };
    for (std::size_t k = 0; k < most; ++k) scales[k] = static_cast<std::uint8_t>(k + shift % 2);
    for (std::size_t i = 0; i < codes.size(); ++i) {
      codes[i] =
          static_cast<std::uint8_t>(is_packed ? code(2 * i) | code(2 * i + 1) << 4 : code(i));
    }
    const std::size_t at = shift % 8;
    expand(format, codes.data(), scales.data(), blocks, table, out.data() + at);
    bool same = true;
    for (std::size_t i = 0; i < blocks * size; ++i) {
      same = same && std::bit_cast<std::uint32_t>(out[at + i]) ==
                         std::bit_cast<std::uint32_t>(table.row(scales[i / size])[code(i) & mask]);
    }
    INFO(target.name << ": " << format.name);
    REQUIRE(same);
    CHECK(out[at + blocks * size] == -7.0F);
  }
}

}  // namespace

TEST_CASE("every instruction set dequantizes every code to its value") {
  Dialect positive_zero = canonical;
  positive_zero.dequantization = Dequantization::decode_product;
  positive_zero.dequantized_zero = DequantizedZero::positive;
  for (const VectorTarget& target : vector_targets()) {
    const Forced forced(target);
    for (const char* name :
         {"nvfp4", "if4", "mxfp4", "nvint4", "mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e2m3", "if6_e3m2",
          "if3", "mxfp3", "nvint6", "mxint8", "nvfp4_bs8", "if4_bs8", "nvint4_bs8", "nvfp3_bs8",
          "if3_bs8", "nvint3_bs8"}) {
      const BlockFormat& format = *find_block_format(name);
      // Products that round, exact ones, and multiples but for the sign of zero.
      check_expanded(target, format, {format, 3.0F, 2688.0F, canonical});
      check_expanded(target, format, {format, 1.0F, 1.0F, canonical});
      check_expanded(target, format, {format, 1.0F, 1.0F, positive_zero});
    }
  }
}

TEST_CASE("what is known of the values under a scale byte") {
  const auto shape = [](const char* name, float amax, const Dialect& dialect) {
    ValueTable table(*find_block_format(name), amax, 1.0F, dialect);
    static_cast<void>(table.row(130));
    return table.shape(130);
  };
  Dialect positive_zero = canonical;
  positive_zero.dequantization = Dequantization::decode_product;
  positive_zero.dequantized_zero = DequantizedZero::positive;
  CHECK(shape("mxfp8_e4m3", 1.0F, canonical) == RowShape::multiples);
  CHECK(shape("mxfp8_e5m2", 0.3F, canonical) == RowShape::multiples);
  CHECK(shape("mxfp8_e4m3", 1.0F, positive_zero) == RowShape::any);
  CHECK(shape("mxint8", 1.0F, canonical) == RowShape::multiples);
  CHECK(shape("mxint8", 0.3F, canonical) == RowShape::multiples);
  CHECK(shape("nvfp4", 1.0F, canonical) == RowShape::any);
}

TEST_CASE("the largest magnitude is the scalar engine's") {
  const Engine& scalar = scalar_engine(*find_block_format("nvfp4"));
  Request request{find_block_format("nvfp4"), ScaleRule::static_6, &canonical};
  const TensorConstants t = request.constants(1.0F);
  std::vector<float> x(300);
  for (const VectorTarget& target : vector_targets()) {
    const Forced forced(target);
    const Engine* const engine = vector_engine(t);
    REQUIRE(engine != nullptr);
    for (std::size_t count = 0; count <= 150; ++count) {
      for (std::size_t top = 0; top < std::max<std::size_t>(count, 1); ++top) {
        std::fill(x.begin(), x.end(), std::numeric_limits<float>::infinity());
        float* const begin = x.data() + 1 + count % 16;
        for (std::size_t i = 0; i < count; ++i)
          begin[i] = (i % 2 != 0 ? -1.0F : 1.0F) / (2.0F + static_cast<float>(i));
        if (count != 0) begin[top] = top % 2 != 0 ? -3.5F : 3.5F;
        REQUIRE(engine->top_magnitude(begin, count) == scalar.top_magnitude(begin, count));
      }
    }
    x[5] = std::bit_cast<float>(0xFFC00001U);
    CHECK(engine->top_magnitude(x.data() + 2, 20) == scalar.top_magnitude(x.data() + 2, 20));
  }
}

TEST_CASE("every F16 and BF16 number becomes the same binary32 number, NaN and its payload too") {
  constexpr std::size_t codes = 1 << 16;
  std::vector<std::uint16_t> halves(codes);
  for (std::size_t i = 0; i < codes; ++i) halves[i] = static_cast<std::uint16_t>(i);
  const auto value = [](const ElementFormat& format, std::uint32_t code) {
    const Number n = decode(format, code);
    const std::uint32_t payload = code & ((1U << format.mantissa_bits) - 1);
    if (n.number_class != NumberClass::nan)
      return std::bit_cast<std::uint32_t>(to_float(format, code));
    return (n.negative ? 0x80000000U : 0U) | 0x7F800000U | payload << (23 - format.mantissa_bits);
  };
  for (const VectorTarget& target : vector_targets()) {
    const Forced forced(target);
    for (const ElementFormat* format : {&f16, &bf16}) {
      const auto widen = format == &f16 ? widen_f16 : widen_bf16;
      // At any address, of any length; nothing is written beside the values.
      for (std::size_t shift = 0; shift < 4; ++shift) {
        for (const std::size_t count :
             {std::size_t{0}, std::size_t{1}, shift + 2, codes - 16 + shift * 5}) {
          std::vector<std::byte> bytes(2 * count + shift);
          std::memcpy(bytes.data() + shift, halves.data(), 2 * count);
          std::vector<float> out(count + 8 + shift, -7.0F);
          widen(bytes.data() + shift, count, out.data() + shift);
          INFO(target.name << ": " << format->name << ", " << count << " at " << shift);
          bool same = true;
          for (std::size_t i = 0; i < count; ++i) {
            same = same && std::bit_cast<std::uint32_t>(out[shift + i]) ==
                               value(*format, static_cast<std::uint32_t>(i));
          }
          for (std::size_t i = 0; i < shift; ++i) same = same && out[i] == -7.0F;
          for (std::size_t i = shift + count; i < out.size(); ++i) same = same && out[i] == -7.0F;
          CHECK(same);
        }
      }
    }
  }
}
