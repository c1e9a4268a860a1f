// SPDX-License-Identifier: MIT
// What verify_quantized() concludes: directed scale roundings, margins, faults in some blocks only,
// dumps that no single decision explains. tests/cli/verify.py plants the faults in real tensors.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "catch.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/dialect_axis.hpp"
#include "lowbit/error.hpp"
#include "lowbit/test_vectors.hpp"
#include "lowbit/verify_quantize.hpp"
#include "verify/margins.hpp"
#include "verify/recipe.hpp"

using namespace lowbit;

namespace {

std::vector<float> numbers(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(count);
  for (float& v : x) v = normal(random);
  return x;
}

QuantizedDump dump_of(const BlockTensor& t) {
  QuantizedDump d;
  d.name = "w";
  d.values = t.values;
  d.scales = t.scales;
  d.scale_shape = {t.rows, t.blocks_per_row()};
  d.tensor_scale = t.amax;
  return d;
}

VerifyRequest declared(const char* format, const Dialect& dialect = canonical) {
  VerifyRequest r;
  r.declared.format = find_block_format(format);
  r.declared.rule = default_rule(*r.declared.format);
  r.declared.dialect = &dialect;
  r.layout = Layout{};
  return r;
}

std::vector<Cause> causes_of(const Verification& v) {
  std::vector<Cause> all;
  for (const CauseFinding& c : v.causes) all.push_back(c.cause);
  return all;
}

}  // namespace

TEST_CASE("scale_rounding up and down are directed for every scale and every place between two") {
  Dialect up = canonical, down = canonical;
  set_dialect_axis(up, "scale_rounding=up");
  set_dialect_axis(down, "scale_rounding=down");
  QuantizeOptions o;
  o.format = find_block_format("nvfp4");
  // S = 1: h = b / 6.
  o.amax = 2688.0F;
  for (unsigned byte = 0; byte < 0x7E; ++byte) {
    const float low = to_float(e4m3, byte);
    const float high = to_float(e4m3, byte + 1);
    for (const float part : {0.0F, 0.125F, 0.5F, 0.875F}) {
      std::vector<float> x(16);
      x[0] = (low + part * (high - low)) * 6.0F;
      const float h = x[0] / 6.0F;
      const auto scale_of = [&](const Dialect& d) {
        o.dialect = &d;
        return to_float(e4m3, quantize(x, 1, 16, o).scale(0, 0));
      };
      CHECK(scale_of(up) >= h);
      CHECK(scale_of(down) <= h);
      CHECK(scale_of(up) == (h == low ? low : high));
      CHECK(scale_of(down) == (h == high ? high : low));
    }
  }
}

TEST_CASE("margins: ties, values and places between") {
  using detail::margin_of;
  CHECK(margin_of(e2m1, 2.5).is_tie);
  CHECK(margin_of(e2m1, -2.5).is_tie);
  CHECK(margin_of(e2m1, 2.5).distance == 0);
  CHECK_FALSE(margin_of(e2m1, 2.5001).is_tie);  // near is no tie
  CHECK_FALSE(margin_of(e2m1, std::nextafter(2.5, 0.0)).is_tie);
  CHECK(margin_of(e2m1, 3.0).lower == 3);
  CHECK(margin_of(e2m1, 3.0).distance == 0.5);
  CHECK(margin_of(e2m1, 4.5).boundary == 5);
  CHECK(margin_of(e2m1, 4.5).distance == 0.25);
  CHECK(margin_of(e2m1, 6.5).is_beyond);
  CHECK(margin_of(e2m1, 0.25).is_tie);
  CHECK(margin_of(e4m3, 460.0).is_beyond);
}

TEST_CASE("a fault in some blocks only is named by the class of those blocks") {
  const std::size_t rows = 24, columns = 256;
  const auto x = numbers(rows * columns, 1);
  const VerifyRequest request = declared("nvfp4");
  QuantizeOptions o = request.declared;
  const BlockTensor good = quantize(x, rows, columns, o);
  CHECK(verify_quantized(x, rows, columns, dump_of(good), request).equal);

  // -0 flushed in the upper half.
  QuantizedDump d = dump_of(good);
  for (std::size_t i = 0; i < d.values.size() / 2; ++i) {
    std::uint8_t& b = d.values[i];
    if ((b & 15) == 8) b &= 0xF0;
    if (b >> 4 == 8) b &= 0x0F;
  }
  Verification v = verify_quantized(x, rows, columns, d, request);
  CHECK_FALSE(v.equal);
  CHECK(causes_of(v) == std::vector{Cause::negative_zero});
  CHECK(v.causes[0].blocks == v.difference.different);
  CHECK(v.difference.scales == 0);

  // One byte too high, in a tenth of the blocks, the codes as they were.
  d = dump_of(good);
  for (std::size_t i = 0; i < d.scales.size(); i += 10) ++d.scales[i];
  v = verify_quantized(x, rows, columns, d, request);
  CHECK(causes_of(v) == std::vector{Cause::scale_rounding});
  CHECK(v.causes[0].blocks == (d.scales.size() + 9) / 10);

  // One wrong code that nothing explains.
  d = dump_of(good);
  std::size_t at = 0;
  while ((d.values[at] & 7) < 2) ++at;
  d.values[at] = static_cast<std::uint8_t>((d.values[at] & 0xF0) | 0);
  v = verify_quantized(x, rows, columns, d, request);
  CHECK(causes_of(v) == std::vector{Cause::dialect});
  CHECK(v.difference.different == 1);
  CHECK(v.difference.codes == 1);
  CHECK(v.causes[0].row == at / (columns / 2));
  CHECK(v.causes[0].explanation.find("the dump has 0x0 (0)") != std::string::npos);

  // The other candidate of 4/6 in every eighth block: only `selection` gives those.
  VerifyRequest selecting = request;
  selecting.declared.rule = ScaleRule::mse;
  o.rule = ScaleRule::mse;
  const BlockTensor best = quantize(x, rows, columns, o);
  QuantizeOptions mae = o;
  mae.rule = ScaleRule::mae;
  v = verify_quantized(x, rows, columns, dump_of(quantize(x, rows, columns, mae)), selecting);
  CHECK(causes_of(v) == std::vector{Cause::selection});
  CHECK(v.causes[0].change == "rule mae instead of mse");
}

TEST_CASE("what a sample does not hold is compared too") {
  // A search samples blocks 9 i mod 65536 for i below 32768; 9 * 36409 is 1 modulo 65536, so block
  // 1 is not among them.
  std::size_t rows = 2048, columns = 512;
  auto x = numbers(rows * columns, 4);
  VerifyRequest request = declared("nvfp4");
  request.search_rule = true;
  QuantizedDump d = dump_of(quantize(x, rows, columns, request.declared));
  CHECK(verify_quantized(x, rows, columns, d, request).equal);
  d.values[8] ^= 1;
  Verification v = verify_quantized(x, rows, columns, d, request);
  CHECK_FALSE(v.equal);
  CHECK(v.agreeing.empty());
  CHECK(v.difference.different == 1);

  // Scale bytes rounded up explain all blocks but one: they are not the cause of the whole
  // difference. Of the blocks that differ, the sample holds the first ones of every 64 rows.
  rows = 256, columns = 1024;
  x = numbers(rows * columns, 5);
  request = declared("nvfp4");
  Dialect up = canonical;
  set_dialect_axis(up, "scale_rounding=up");
  QuantizeOptions o = request.declared;
  o.dialect = &up;
  d = dump_of(quantize(x, rows, columns, o));
  v = verify_quantized(x, rows, columns, d, request);
  CHECK(causes_of(v) == std::vector{Cause::scale_rounding});
  CHECK(v.causes[0].change == "up instead of nearest_even");
  d.values[40 * columns / 2 + 33 * 8] ^= 3;
  v = verify_quantized(x, rows, columns, d, request);
  REQUIRE_FALSE(v.causes.empty());
  CHECK(v.causes[0].change == "in some blocks, and no one change gives them all");
}

TEST_CASE("scale bytes rounded up beside codes of either byte are one cause") {
  const std::size_t rows = 16, columns = 512;
  const auto x = numbers(rows * columns, 6);
  const VerifyRequest request = declared("nvfp4");
  Dialect up = canonical;
  set_dialect_axis(up, "scale_rounding=up");
  QuantizeOptions o = request.declared;
  const BlockTensor nearest = quantize(x, rows, columns, o);
  o.dialect = &up;
  const BlockTensor raised = quantize(x, rows, columns, o);
  REQUIRE(nearest.values != raised.values);
  // The codes of every other row are those of the byte to nearest.
  BlockTensor mixed = raised;
  const auto row_bytes = static_cast<std::ptrdiff_t>(mixed.value_bytes_per_row());
  for (std::ptrdiff_t row = 0; row < static_cast<std::ptrdiff_t>(rows); row += 2) {
    std::copy_n(nearest.values.begin() + row * row_bytes, row_bytes,
                mixed.values.begin() + row * row_bytes);
  }
  const Verification v = verify_quantized(x, rows, columns, dump_of(mixed), request);
  CHECK(causes_of(v) == std::vector{Cause::scale_rounding});
  CHECK(v.causes[0].change == "up instead of nearest_even");
  // 256 for 448 likewise.
  o.dialect = &canonical;
  o.scale_max = 256.0F;
  BlockTensor smaller = quantize(x, rows, columns, o);
  std::copy_n(nearest.values.begin(), row_bytes, smaller.values.begin());
  CHECK(causes_of(verify_quantized(x, rows, columns, dump_of(smaller), request)) ==
        std::vector{Cause::scale_max});
}

TEST_CASE("scale bytes in an order that their shape does not declare are named") {
  // 128 rows of 4 blocks have the same number of bytes in every order.
  const std::size_t rows = 128, columns = 64;
  const auto x = numbers(rows * columns, 7);
  const VerifyRequest request = declared("nvfp4");
  const BlockTensor good = quantize(x, rows, columns, request.declared);
  for (const ScaleLayout order : scale_layouts()) {
    if (order == ScaleLayout::linear) continue;
    const Layout stored{.scales = order};
    CAPTURE(name_of(order));
    QuantizedDump d = dump_of(good);
    d.scales = pack(stored, good).scales;
    if (d.scales == good.scales) continue;  // padded: nothing to pad here
    for (const std::vector<std::uint64_t>& shape :
         {std::vector<std::uint64_t>{rows, 4}, {4, rows}, {rows * 4}, {2, rows * 2}}) {
      d.scale_shape = shape;
      const Verification v = verify_quantized(x, rows, columns, d, request);
      CHECK(causes_of(v) == std::vector{Cause::scale_layout});
      CHECK(v.causes[0].change.starts_with(
          name_of(order == ScaleLayout::padded_transposed ? ScaleLayout::transposed : order)));
    }
  }
}

TEST_CASE("the dialects that agree are all that give the dump, and no other") {
  std::size_t compared = 0, told_apart = 0;
  for (const char* name : {"nvfp4", "mxfp4", "mxfp8_e4m3"}) {
    const BlockFormat& format = *find_block_format(name);
    for (const ScaleRule rule : {ScaleRule::static_6, ScaleRule::mse, ScaleRule::floor}) {
      for (const VectorInput& input : vector_inputs()) {
        QuantizeOptions o;
        o.format = &format;
        o.rule = rule;
        o.nonfinite = NonFinite::propagate;
        o.input_type = input_type_of(*input.dtype);
        // What each record gives.
        std::vector<std::pair<const Dialect*, BlockTensor>> all;
        for (const Dialect& d : dialects()) {
          if (!has_format(d, format) || !is_valid_rule(format, rule, &d)) continue;
          o.dialect = &d;
          all.emplace_back(&d, quantize(input.values, input.rows, input.columns, o));
        }
        for (std::size_t maker = 0; maker < all.size(); maker += 4) {
          const BlockTensor& made = all[maker].second;
          std::set<std::string> wanted;
          for (const auto& [dialect, t] : all) {
            if (t.values == made.values && t.scales == made.scales) {
              wanted.insert(std::string(dialect->name));
            }
          }
          VerifyRequest request;
          request.declared = o;
          request.declared.dialect = nullptr;
          request.layout = Layout{};
          request.tensor_scale_declared = false;
          QuantizedDump d = dump_of(made);
          d.tensor_scale.reset();
          const Verification v =
              verify_quantized(input.values, input.rows, input.columns, d, request);
          std::set<std::string> found;
          for (const Combination& c : v.agreeing) {
            found.insert(c.dialect);
            CHECK(c.compared == input.rows * made.blocks_per_row());
          }
          CAPTURE(name, name_of(rule), input.name, all[maker].first->name);
          CHECK(found == wanted);
          ++compared;
          told_apart += found.size() < all.size() ? 1 : 0;
        }
      }
    }
  }
  CHECK(compared > 300);
  CHECK(told_apart > 200);
}

TEST_CASE("recipes of one key agree with a dump alike") {
  // Data on which keys leave out what shows only at scales of 0 and at NaN.
  const std::size_t rows = 32, columns = 256;
  std::size_t pairs = 0;
  for (const char* name : {"nvfp4", "mxfp4", "if4"}) {
    for (const ScaleRule rule : {ScaleRule::static_6, ScaleRule::mae, ScaleRule::rceil}) {
      const BlockFormat& format = *find_block_format(name);
      auto x = numbers(rows * columns, 8);
      for (float& v : x) v = round_to_input_type(v, InputType::bfloat16);
      TensorInfo tensor;
      tensor.dtype = &dtype_f32;
      tensor.shape = {rows, columns};
      tensor.bytes = std::as_bytes(std::span(x));
      const StoredMatrix matrix{&tensor, {rows, columns, 1}, false};
      VerifyRequest request;
      request.declared.input_type = InputType::bfloat16;
      for (const Dialect& maker : dialects()) {
        if (!is_valid_rule(format, rule, &maker)) continue;
        detail::Recipe r{.format = &format, .rule = rule, .dialect = maker, .layout = {}};
        request.declared.format = &format;
        request.declared.rule = rule;
        QuantizeOptions o = request.declared;
        o.dialect = &maker;
        const BlockTensor made = quantize(x, rows, columns, o);
        const StoredDump stored{
            "w", made.values, made.scales, {made.rows, made.blocks_per_row()}, made.amax};
        const detail::Trial trial(matrix, stored, request);
        const detail::DumpBlocks& dump = *trial.dump(format, r.layout);
        const std::string key = trial.key(r, &dump);
        for (const Dialect& other : dialects()) {
          if (!is_valid_rule(format, rule, &other)) continue;
          r.dialect = other;
          if (trial.key(r, &dump) != key) continue;
          CAPTURE(name, name_of(rule), maker.name, other.name);
          CHECK(trial.agrees(r, dump));
          ++pairs;
        }
      }
    }
  }
  CHECK(pairs > 500);
}

TEST_CASE("IF: a wrong flag is no rounded scale") {
  const std::size_t rows = 256, columns = 256;
  const auto x = numbers(rows * columns, 4);
  const VerifyRequest request = declared("if4");
  const BlockTensor good = quantize(x, rows, columns, request.declared);
  Dialect up = canonical;
  set_dialect_axis(up, "scale_rounding=up");
  QuantizeOptions o = request.declared;
  o.dialect = &up;
  const BlockTensor rounded = quantize(x, rows, columns, o);
  // The scales rounded up with the codes as they were: the flag is that of the codes.
  QuantizedDump d = dump_of(good);
  for (std::size_t i = 0; i < d.scales.size(); ++i) {
    d.scales[i] = static_cast<std::uint8_t>((rounded.scales[i] & 0x7F) | (good.scales[i] & 0x80));
  }
  std::size_t others = 0;  // blocks that are of the other kind under the larger scale
  for (std::size_t i = 0; i < d.scales.size(); ++i) others += d.scales[i] != rounded.scales[i];
  REQUIRE(others > 0);
  const Verification v = verify_quantized(x, rows, columns, d, request);
  REQUIRE(causes_of(v) == std::vector{Cause::scale_rounding});
  CHECK(v.causes[0].blocks == v.difference.different);
  for (std::size_t i = 0; i < d.scales.size(); i += 7) d.scales[i] ^= 0x80;
  CHECK(causes_of(verify_quantized(x, rows, columns, d, request)) !=
        std::vector{Cause::scale_rounding});
}

TEST_CASE("a value of an axis that changes a byte changes the key, with the dump and without") {
  std::size_t changes = 0;
  for (const auto& [name, rule] : {std::pair{"nvfp4", ScaleRule::static_6},
                                   {"nvfp4", ScaleRule::mse},
                                   {"mxfp4", ScaleRule::floor},
                                   {"mxfp8_e4m3", ScaleRule::rceil},
                                   {"if4", ScaleRule::mae}}) {
    for (const VectorInput& input : vector_inputs()) {
      VerifyRequest request;
      QuantizeOptions& o = request.declared;
      o.format = find_block_format(name);
      o.rule = rule;
      o.nonfinite = NonFinite::propagate;
      o.input_type = input_type_of(*input.dtype);
      TensorInfo tensor;
      tensor.dtype = &dtype_f32;
      tensor.shape = {input.rows, input.columns};
      tensor.bytes = std::as_bytes(std::span(input.values));
      const StoredMatrix matrix{&tensor, {input.rows, input.columns, 1}, false};
      for (const char* base : {"canonical", "torchao", "te_ge_2.14", "ggml_nvfp4_cpu"}) {
        if (!is_valid_rule(*o.format, rule, find_dialect(base))) continue;
        const auto bytes = [&](const Dialect& d) {
          QuantizeOptions with = o;
          with.dialect = &d;
          return quantize(input.values, input.rows, input.columns, with);
        };
        detail::Recipe r{
            .format = o.format, .rule = rule, .dialect = *find_dialect(base), .layout = {}};
        const BlockTensor made = bytes(r.dialect);
        const StoredDump stored{
            "w", made.values, made.scales, {made.rows, made.blocks_per_row()}, made.amax};
        const detail::Trial trial(matrix, stored, request);
        const detail::DumpBlocks* const dump = trial.dump(*o.format, r.layout);
        const std::string key = trial.key(r);
        const std::string key_of_dump = trial.key(r, dump);
        for (const DialectAxis& axis : dialect_axes()) {
          const unsigned own = axis.get(r.dialect);
          for (const AxisValue& value : axis.values) {
            detail::Recipe other = r;
            set_dialect_axis(other.dialect, std::string(axis.name) + "=" + std::string(value.name));
            if (axis.get(other.dialect) == own || !is_valid_rule(*o.format, rule, &other.dialect)) {
              continue;
            }
            const BlockTensor t = bytes(other.dialect);
            if (t.values == made.values && t.scales == made.scales) continue;
            CAPTURE(name, name_of(rule), input.name, base, axis.name, value.name);
            CHECK(trial.key(other) != key);
            CHECK(trial.key(other, dump) != key_of_dump);
            ++changes;
          }
        }
      }
    }
  }
  CHECK(changes > 1000);
}

TEST_CASE("recipes that divide by another decode scale have keys of their own") {
  // S = fl(2688 / A) and D = fl(1 / S), or D = fl(A / 2688) and S = fl(1 / D): where only D
  // differs.
  float amax = 1.0F;
  for (;; amax = std::nextafter(amax, 2.0F)) {
    REQUIRE(amax < 1.01F);
    const float s = 2688.0F / amax, d = amax / 2688.0F;
    if (1.0F / d == s && 1.0F / s != d) break;
  }
  const std::vector<float> x(16, amax);
  TensorInfo tensor;
  tensor.dtype = &dtype_f32;
  tensor.shape = {1, 16};
  tensor.bytes = std::as_bytes(std::span(x));
  VerifyRequest request;
  request.declared.format = find_block_format("nvfp4");
  const BlockTensor made = quantize(x, 1, 16, request.declared);
  const StoredDump stored{"w", made.values, made.scales, {1, 1}, made.amax};
  const detail::Trial trial(StoredMatrix{&tensor, {1, 16, 1}, false}, stored, request);
  detail::Recipe r{.format = request.declared.format,
                   .rule = ScaleRule::static_6,
                   .dialect = *find_dialect("modelopt"),
                   .layout = {}};
  const std::string key = trial.key(r);
  set_dialect_axis(r.dialect, "tensor_scale=quotient");
  CHECK(trial.key(r) != key);
}

TEST_CASE("verification does not depend on threads, and takes square blocks and IF formats") {
  const std::size_t rows = 48, columns = 96;
  const auto x = numbers(rows * columns, 2);
  for (const char* format : {"nvfp4", "if4", "mxfp4", "mxfp8_e4m3", "nvint4"}) {
    for (const bool square : {false, true}) {
      VerifyRequest request = declared(format);
      request.declared.block_2d = square;
      CAPTURE(format, square);
      const BlockTensor good = quantize(x, rows, columns, request.declared);
      CHECK(verify_quantized(x, rows, columns, dump_of(good), request).equal);
      QuantizedDump d = dump_of(good);
      d.scales[7] ^= 4;
      request.threads = 1;
      const Verification one = verify_quantized(x, rows, columns, d, request);
      request.threads = 4;
      const Verification four = verify_quantized(x, rows, columns, d, request);
      CHECK_FALSE(one.equal);
      CHECK(one.difference.different == 1);
      CHECK(as_text(one) == as_text(four));
      CHECK_FALSE(one.causes.empty());
    }
  }
}

TEST_CASE("a search for the format refuses sizes that fit none, and says what was tried") {
  const auto x = numbers(64, 3);
  VerifyRequest request;
  QuantizedDump d;
  d.name = "w";
  d.values.assign(7, 0);
  d.scales.assign(3, 0);
  d.scale_shape = {3};
  CHECK_THROWS_AS(verify_quantized(x, 2, 32, d, request), Error);
  CHECK_THROWS_AS(verify_quantized(x, 2, 33, d, request), Error);
}

TEST_CASE("padding of a stored matrix reads as zeros, wherever a rectangle lies") {
  const std::size_t rows = 5, columns = 7, below = 3, right = 4;
  const auto x = numbers(rows * columns, 11);
  TensorInfo tensor;
  tensor.dtype = &dtype_f32;
  tensor.bytes = std::as_bytes(std::span(x));
  for (const bool transposed : {false, true}) {
    tensor.shape = transposed ? std::vector<std::uint64_t>{columns, rows}
                              : std::vector<std::uint64_t>{rows, columns};
    const AxisView view{tensor.shape[0], tensor.shape[1], 1};
    const StoredMatrix matrix{&tensor, view, transposed, below, right};
    REQUIRE(matrix.rows() == rows + below);
    REQUIRE(matrix.columns() == columns + right);
    for (std::size_t row = 0; row < matrix.rows(); ++row) {
      for (std::size_t column = 0; column < matrix.columns(); ++column) {
        const Rectangle part{row, column, std::min<std::size_t>(4, matrix.rows() - row),
                             std::min<std::size_t>(6, matrix.columns() - column)};
        std::vector<float> got(part.rows * part.columns, -1.0F);
        matrix.read(part, got);
        for (std::size_t i = 0; i < got.size(); ++i) {
          const std::size_t r = row + i / part.columns, c = column + i % part.columns;
          const float wanted = r >= rows || c >= columns ? 0.0F
                               : transposed              ? x[c * rows + r]
                                                         : x[r * columns + c];
          CAPTURE(transposed, r, c);
          CHECK(got[i] == wanted);
        }
      }
    }
  }
}

TEST_CASE("rows that are longer than what is read at a time") {
  const std::size_t rows = 2, at_a_time = std::size_t{1} << 18;
  for (const bool square : {false, true}) {
    // Parts of a row, the last one short.
    const std::size_t part = square ? at_a_time / 16 : at_a_time;
    const std::size_t columns = (square ? 2 : 1) * part + 40;
    auto x = numbers(rows * columns, 12);
    VerifyRequest request = declared("nvfp4");
    request.declared.block_2d = square;
    const BlockTensor good = quantize(x, rows, columns, request.declared);
    CAPTURE(square);
    CHECK(verify_quantized(x, rows, columns, dump_of(good), request).equal);
    // A scale byte of the second row, in the short part and in one before it, or the last one.
    const std::size_t blocks = good.blocks_per_row();
    for (const std::size_t block : {blocks - 2, square ? part / 16 + 3 : blocks - 1}) {
      QuantizedDump d = dump_of(good);
      d.scales[blocks + block] ^= 1;
      const Verification v = verify_quantized(x, rows, columns, d, request);
      CHECK_FALSE(v.equal);
      CHECK(v.difference.different == 1);
      CHECK(v.difference.first_row == 1);
      CHECK(v.difference.first_block == block);
      REQUIRE(v.causes.size() == 1);
      CHECK(v.causes[0].row == 1);
      CHECK(v.causes[0].block == block);
      float amax = 0.0F;
      for (std::size_t r = square ? 0 : 1; r < rows; ++r) {
        for (std::size_t c = block * 16; c < std::min(columns, block * 16 + 16); ++c) {
          amax = std::max(amax, std::fabs(x[r * columns + c]));
        }
      }
      const std::string wanted = fmt::format("row 1, block {}: block amax {:.9g}", block, amax);
      CAPTURE(v.causes[0].explanation, wanted);
      CHECK(v.causes[0].explanation.find(wanted) != std::string::npos);
    }
    x[columns + part + 5] = std::nanf("");
    QuantizeOptions propagates = request.declared;
    propagates.nonfinite = NonFinite::propagate;
    const BlockTensor made = quantize(x, rows, columns, propagates);
    try {
      (void)verify_quantized(x, rows, columns, dump_of(made), request);
      FAIL("NaN was taken");
    } catch (const Error& error) {
      const std::string wanted = fmt::format("NaN at row 1, column {}", part + 5);
      CHECK(std::string(error.what()).find(wanted) != std::string::npos);
    }
  }
}

TEST_CASE("all of a long row of a dump is looked at") {
  const std::size_t rows = 2, columns = 3 * 65536 + 32;
  const BlockFormat& format = *find_block_format("nvfp4");
  std::vector<std::uint8_t> values(rows * columns / 2), others = values;
  std::vector<std::uint8_t> scales(rows * columns / 16, 1);
  const auto dump = [&](const std::vector<std::uint8_t>& codes) {
    return StoredDump{"w", codes, scales, {rows, columns / 16}, 1.0F};
  };
  const auto is_seven = [](std::uint8_t byte) { return byte == 7; };
  const StoredDump one = dump(values), other = dump(others);
  const detail::DumpBlocks a(one, format, Layout{}, rows, columns);
  const detail::DumpBlocks b(other, format, Layout{}, rows, columns);
  CHECK_FALSE(a.any_scale(is_seven));
  CHECK(a.same_as(b));
  for (std::size_t at = 0; at < scales.size(); at += 1021) {
    CAPTURE(at);
    scales[at] = 7;
    CHECK(a.any_scale(is_seven));
    scales[at] = 1;
    others[at * 8 + 5] = 1;
    CHECK_FALSE(a.same_as(b));
    others[at * 8 + 5] = 0;
  }
}
