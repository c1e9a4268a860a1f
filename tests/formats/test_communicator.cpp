// SPDX-License-Identifier: MIT
// Work shared by several ranks: every bit as one process gives it, and one failure for all.
#include "lowbit/communicator.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <catch.hpp>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>

#include "lowbit/evaluate.hpp"
#include "lowbit/names.hpp"
#include "lowbit/stream_files.hpp"
#include "lowbit/tensor_file.hpp"
#include "lowbit/verify_quantize.hpp"
#include "team.hpp"

using namespace lowbit;
using lowbit::test::Team;

namespace {

/// Values over fourteen binary orders of magnitude, so that sums depend on the order of their
/// terms; the largest one is the last but one.
struct Weights {
  Weights(std::size_t rows, std::size_t columns, const Dtype& dtype) {
    std::mt19937 random(static_cast<unsigned>(rows * 31 + columns));
    std::normal_distribution<float> normal;
    values.resize(rows * columns);
    for (float& x : values) x = normal(random) * std::exp2(normal(random) * 3.0F);
    if (values.size() > 1) values[values.size() - 2] = -30000.0F;
    bytes = from_f32(dtype, values);
    info.name = "w";
    info.dtype = &dtype;
    info.shape = {rows, columns};
    info.bytes = bytes;
    info.file = "weights";
  }
  std::vector<float> values;
  std::vector<std::byte> bytes;
  TensorInfo info;
};

QuantizeOptions request(const char* text) {
  const FormatChoice choice = format_choice_named(text);
  QuantizeOptions options;
  options.format = choice.format;
  options.rule = *choice.rule;
  options.dialect = &dialect_named("canonical");
  return options;
}

std::vector<QuantizeOptions> requests() {
  return {request("nvfp4:mse"), request("if4:mse"), request("mxfp4:floor"),
          request("if6_e2m3:mse")};
}

std::string fmt_name(const char* stem, int number) {
  return stem + std::to_string(number);
}

void require_same(const ErrorStatistics& a, const ErrorStatistics& b) {
  const auto bits = [](double x) { return std::bit_cast<std::uint64_t>(x); };
  REQUIRE(a.elements == b.elements);
  REQUIRE(a.nonzero == b.nonzero);
  REQUIRE(a.clipped == b.clipped);
  REQUIRE(a.zeroed == b.zeroed);
  REQUIRE(a.blocks == b.blocks);
  REQUIRE(a.four_or_int == b.four_or_int);
  REQUIRE(a.bits == b.bits);
  REQUIRE(bits(a.squared_error) == bits(b.squared_error));
  REQUIRE(bits(a.squared_value) == bits(b.squared_value));
  REQUIRE(bits(a.squared_result) == bits(b.squared_result));
  REQUIRE(bits(a.product) == bits(b.product));
  REQUIRE(bits(a.max_abs_error) == bits(b.max_abs_error));
}

}  // namespace

TEST_CASE("parts of the ranks cover everything once, in order") {
  for (const std::size_t size : {1U, 2U, 3U, 7U}) {
    for (const std::size_t count : {0U, 1U, 2U, 6U, 7U, 8U, 100U}) {
      std::vector<Share> shares(size);
      Team team(size);
      team.run([&](const Communicator& ranks) { shares[ranks.rank()] = share_of(ranks, count); });
      std::size_t next = 0;
      for (const Share& share : shares) {
        REQUIRE(share.first == next);
        REQUIRE(share.size() >= count / size);
        REQUIRE(share.size() <= count / size + 1);
        next = share.last;
      }
      REQUIRE(next == count);
    }
  }
}

TEST_CASE("what is gathered lies in the order of ranks, whatever each gives") {
  Team team(4);
  const auto ends = team.run([&](const Communicator& ranks) {
    const auto all = ranks.gather<int>([&] {
      return std::vector<int>(ranks.rank() % 2 == 0 ? 0 : ranks.rank(),
                              static_cast<int>(ranks.rank()));
    });
    if (all != std::vector<int>{1, 3, 3, 3}) throw std::runtime_error("gathered otherwise");
  });
  for (const auto& end : ends) REQUIRE(!end);
}

TEST_CASE("error statistics of several ranks are those of one, bit for bit") {
  struct Shape {
    std::size_t rows, columns;
  };
  // Rows that do not divide among ranks, fewer pieces than ranks, rows in several pieces, and tails
  // of blocks.
  for (const Shape shape : {Shape{401, 700}, {3, 100}, {1, 1}, {2, 200000}, {0, 16}}) {
    for (const Dtype* dtype : {&dtype_f32, &dtype_f16, &dtype_bf16}) {
      Weights weights(shape.rows, shape.columns, *dtype);
      const auto wanted = evaluate(weights.info, requests(), {});
      for (const std::size_t size : {1U, 2U, 3U, 5U}) {
        INFO(shape.rows << " x " << shape.columns << " " << dtype->name << ", ranks " << size);
        std::vector<std::vector<ErrorStatistics>> got(size);
        Team team(size);
        const auto ends = team.run([&](const Communicator& ranks) {
          EvaluateOptions how;
          how.ranks = &ranks;
          how.threads = 1;
          got[ranks.rank()] = evaluate(weights.info, requests(), how);
        });
        for (const auto& end : ends) REQUIRE(!end);
        for (const auto& of_rank : got) {
          REQUIRE(of_rank.size() == wanted.size());
          for (std::size_t k = 0; k < wanted.size(); ++k) require_same(of_rank[k], wanted[k]);
        }
      }
    }
  }
}

namespace {

/// The four sums of an ErrorStatistics.
using Sums = std::array<double, 4>;

Sums sums_of(const ErrorStatistics& s) {
  return {s.squared_error, s.squared_value, s.squared_result, s.product};
}

/// Sixteen lanes added as docs/performance.md says: lane i and i + 8, then i + 4, i + 2, i + 1.
double folded(std::array<double, 16> lanes) {
  for (std::size_t half = 8; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

/// The sums of each piece, in the order of the pieces: whole rows, as many as 2^16 elements hold,
/// or parts of 2^16 elements of a longer row. This shares no code with evaluate().
std::vector<Sums> sums_of_pieces(const std::vector<float>& x, const std::vector<float>& q,
                                 std::size_t rows, std::size_t columns) {
  constexpr std::size_t most = 65536;
  const std::size_t tall = columns < most ? most / columns : 1;
  const std::size_t wide = std::min(columns, most);
  std::vector<Sums> pieces;
  for (std::size_t row = 0; row < rows; row += tall) {
    for (std::size_t column = 0; column < columns; column += wide) {
      std::array<std::array<double, 16>, 4> lanes{};
      for (std::size_t r = row; r < std::min(rows, row + tall); ++r) {
        for (std::size_t c = column; c < std::min(columns, column + wide); ++c) {
          const double a = x[r * columns + c];
          const double b = q[r * columns + c];
          lanes[0][c % 16] += (b - a) * (b - a);
          lanes[1][c % 16] += a * a;
          lanes[2][c % 16] += b * b;
          lanes[3][c % 16] += a * b;
        }
      }
      pieces.push_back({folded(lanes[0]), folded(lanes[1]), folded(lanes[2]), folded(lanes[3])});
    }
  }
  return pieces;
}

Sums added(const std::vector<Sums>& pieces) {
  Sums all{};
  for (const Sums& piece : pieces) {
    for (std::size_t k = 0; k < all.size(); ++k) all[k] += piece[k];
  }
  return all;
}

}  // namespace

TEST_CASE("error sums are added in the documented order") {
  struct Shape {
    std::size_t rows, columns;
  };
  // Several rows to a piece with a tail of a block, and several pieces to a row.
  for (const Shape shape : {Shape{401, 700}, {3, 200000}}) {
    Weights weights(shape.rows, shape.columns, dtype_f32);
    // Beside the largest value the order of the others would hardly show.
    weights.values[weights.values.size() - 2] = 0.5F;
    weights.bytes = from_f32(dtype_f32, weights.values);
    weights.info.bytes = weights.bytes;
    const auto got = evaluate(weights.info, requests(), {});
    bool reversal_shows = false, exchange_shows = false;
    for (std::size_t k = 0; k < got.size(); ++k) {
      const BlockTensor coded = quantize(weights.values, shape.rows, shape.columns, requests()[k]);
      std::vector<float> q(weights.values.size());
      dequantize(coded, q, &dialect_named("canonical"));
      std::vector<Sums> pieces = sums_of_pieces(weights.values, q, shape.rows, shape.columns);
      REQUIRE(pieces.size() >= 5);
      const Sums wanted = added(pieces);
      INFO(shape.rows << " x " << shape.columns << ", request " << k);
      REQUIRE(sums_of(got[k]) == wanted);
      // Other orders give other sums of these values, so that the comparison can fail.
      std::vector<Sums> exchanged = pieces;
      for (std::size_t i = 0; i + 1 < exchanged.size(); i += 2) {
        std::swap(exchanged[i], exchanged[i + 1]);
      }
      exchange_shows = exchange_shows || added(exchanged) != wanted;
      std::ranges::reverse(pieces);
      reversal_shows = reversal_shows || added(pieces) != wanted;
    }
    REQUIRE(exchange_shows);
    REQUIRE(reversal_shows);
  }
}

TEST_CASE("a tensor of more pieces than are in memory at one time is added in the same order") {
  // One row to a piece; also more than two ranks have in memory.
  constexpr std::size_t rows = 2100, columns = 32769;
  Weights weights(1, 100'003, dtype_f32);
  std::vector<float>& tile = weights.values;
  // Beside the largest value the order of the others would hardly show.
  tile[tile.size() - 2] = 0.5F;
  for (float& x : tile) x = std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) & 0xFFFF0000U);
  QuantizeOptions options = request("nvfp4:static_6");
  const auto top = [](float x, float y) { return std::fabs(x) < std::fabs(y); };
  options.amax = std::fabs(*std::ranges::max_element(tile, top));

  std::vector<float> row(columns), q(columns);
  std::vector<Sums> pieces;
  weights.bytes.clear();
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) row[c] = tile[(r * columns + c) % tile.size()];
    const std::vector<std::byte> of_row = from_f32(dtype_bf16, row);
    weights.bytes.insert(weights.bytes.end(), of_row.begin(), of_row.end());
    dequantize(quantize(row, 1, columns, options), q, &dialect_named("canonical"));
    pieces.push_back(sums_of_pieces(row, q, 1, columns).at(0));
  }
  weights.info.dtype = &dtype_bf16;
  weights.info.shape = {rows, columns};
  weights.info.bytes = weights.bytes;
  options.amax.reset();
  const std::span<const QuantizeOptions> wanted(&options, 1);

  const ErrorStatistics one = evaluate(weights.info, wanted, {}).at(0);
  REQUIRE(one.elements == rows * columns);
  REQUIRE(sums_of(one) == added(pieces));
  std::ranges::reverse(pieces);
  REQUIRE(sums_of(one) != added(pieces));
  Team team(2);
  std::vector<ErrorStatistics> got(2);
  const auto ends = team.run([&](const Communicator& ranks) {
    EvaluateOptions how;
    how.ranks = &ranks;
    how.threads = 1;
    got[ranks.rank()] = evaluate(weights.info, wanted, how).at(0);
  });
  for (const auto& end : ends) REQUIRE(!end);
  for (const ErrorStatistics& of_rank : got) require_same(of_rank, one);
}

TEST_CASE("each rank does its own part only") {
  Weights weights(401, 700, dtype_f32);
  std::vector<std::atomic<std::uint64_t>> done(3);
  Team team(3);
  team.run([&](const Communicator& ranks) {
    EvaluateOptions how;
    how.ranks = &ranks;
    how.progress = [&](std::uint64_t n) { done[ranks.rank()] += n; };
    static_cast<void>(evaluate(weights.info, requests(), how));
  });
  std::uint64_t sum = 0;
  for (const auto& n : done) {
    REQUIRE(n > 401 * 700 / 6);
    sum += n;
  }
  REQUIRE(sum == 401 * 700);
}

namespace {

/// A folder of its own, removed at the end.
struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "lowbit_team_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path), {}));
  }
  std::filesystem::path path;
};

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.is_open());
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("several ranks write the file of one, and read it back as one") {
  const Folder folder;
  Weights weights(401, 700, dtype_bf16);
  const std::vector<std::byte> other(1000, std::byte{7});
  const std::vector<OutputTensor> others{{"o", &dtype_u8, {1000}, other}};
  int number = 0;
  for (const char* format : {"nvfp4:mse", "if4:mse", "mxfp4:floor", "if6_e2m3:mse"}) {
    for (const ScaleLayout layout : {ScaleLayout::linear, ScaleLayout::swizzled}) {
      for (const bool transposed : {false, true}) {
        INFO(format << ", " << name_of(layout) << ", transposed " << transposed);
        TensorToQuantize t{
            "w", {&weights.info, {401, 700, 1}, transposed}, request(format), {}, {}};
        t.record = record_of(t.request);
        t.record.scale_layout = layout;
        t.record.transposed = transposed;
        t.record.shape = weights.info.shape;
        t.record.dtype = &dtype_bf16;
        const auto one = folder.path / fmt_name("one", number);
        quantize_to_file(one, {&t, 1}, {}, others, 1);
        for (const std::size_t size : {2U, 3U}) {
          const auto several = folder.path / fmt_name("several", number);
          const auto ends = Team(size).run([&](const Communicator& ranks) {
            quantize_to_file(several, {&t, 1}, {}, others, 1, ranks);
          });
          for (const auto& end : ends) REQUIRE(!end);
          REQUIRE(bytes_of(several) == bytes_of(one));
        }
        const TensorFile file = TensorFile::open(one);
        const TensorToDequantize back{find_block_tensor(file, one, "w"), false};
        dequantize_to_file(folder.path / "d1", {&back, 1}, dtype_f32, others, 1);
        const auto ends = Team(3).run([&](const Communicator& ranks) {
          dequantize_to_file(folder.path / "d3", {&back, 1}, dtype_f32, others, 1, ranks);
        });
        for (const auto& end : ends) REQUIRE(!end);
        REQUIRE(bytes_of(folder.path / "d3") == bytes_of(folder.path / "d1"));
        ++number;
      }
    }
  }
  // An input that one rank finds unfit: no file, and nothing left of it.
  weights.values[390 * 700] = std::numeric_limits<float>::infinity();
  weights.bytes = from_f32(dtype_bf16, weights.values);
  weights.info.bytes = weights.bytes;
  TensorToQuantize t{"w", {&weights.info, {401, 700, 1}, false}, request("mxfp4"), {}, {}};
  t.record = record_of(t.request);
  const std::size_t before = folder.files();
  const auto ends = Team(3).run([&](const Communicator& ranks) {
    quantize_to_file(folder.path / "unfit", {&t, 1}, {}, others, 1, ranks);
  });
  for (const auto& end : ends) {
    REQUIRE(end);
    CHECK(end->text.find("tensor \"w\"") != end->text.npos);
    CHECK(end->text.find("row 390, column 0") != end->text.npos);
  }
  CHECK(folder.files() == before);
}

TEST_CASE("a verification by several ranks is that of one") {
  Weights weights(401, 700, dtype_f32);
  for (const bool transposed : {false, true}) {
    const StoredMatrix matrix{&weights.info, {401, 700, 1}, transposed};
    std::vector<float> x(weights.values.size());
    matrix.read({0, 0, matrix.rows(), matrix.columns()}, x);
    const QuantizeOptions options = request("if4:mse");
    BlockTensor q = quantize(x, matrix.rows(), matrix.columns(), options);
    for (const std::size_t faults : {0U, 1U, 2U}) {
      // The last block, then the first one too: parts of different ranks.
      if (faults == 1) q.scales.back() ^= 1;
      if (faults == 2) q.scales.front() ^= 1;
      const StoredDump dump{"w", q.values, q.scales, {q.rows, q.blocks_per_row()}, q.amax};
      VerifyRequest declared;
      declared.declared = options;
      declared.layout = Layout{};
      declared.threads = 1;
      const Verification one = verify_quantized(matrix, dump, declared);
      CHECK(one.equal == (faults == 0));
      CHECK(one.difference.different == faults);
      CHECK(one.difference.first_row == (faults == 1 ? q.rows - 1 : 0));
      CHECK(one.difference.first_block == (faults == 1 ? q.blocks_per_row() - 1 : 0));
      // The matrix in memory, whose rows run along memory, gives the same.
      const QuantizedDump stored{"w", q.values, q.scales, dump.scale_shape, q.amax};
      CHECK(as_text(verify_quantized(x, q.rows, q.columns, stored, declared)) == as_text(one));
      for (const std::size_t size : {2U, 3U}) {
        std::vector<std::string> texts(size);
        const auto ends = Team(size).run([&](const Communicator& ranks) {
          VerifyRequest shared = declared;
          shared.ranks = &ranks;
          texts[ranks.rank()] = as_text(verify_quantized(matrix, dump, shared));
        });
        for (const auto& end : ends) REQUIRE(!end);
        for (const std::string& text : texts) CHECK(text == as_text(one));
      }
    }
  }
}

TEST_CASE("a tensor that one rank finds unfit fails in all of them, as in one process") {
  Weights weights(401, 700, dtype_f32);
  for (const std::size_t at : {std::size_t{200 * 700 + 5}, std::size_t{390 * 700}}) {
    weights.values[at] = std::numeric_limits<float>::quiet_NaN();
  }
  weights.bytes = from_f32(dtype_f32, weights.values);
  weights.info.bytes = weights.bytes;
  std::string wanted;
  try {
    static_cast<void>(evaluate(weights.info, requests(), {}));
  } catch (const NonFiniteInput& error) {
    wanted = error.what();
  }
  REQUIRE(wanted.find("row 200, column 5") != wanted.npos);
  std::atomic<int> skipped = 0;
  Team team(3);
  // The ranks go on together after it, as under --nonfinite skip.
  const auto ends = team.run([&](const Communicator& ranks) {
    EvaluateOptions how;
    how.ranks = &ranks;
    try {
      static_cast<void>(evaluate(weights.info, requests(), how));
    } catch (const NonFiniteInput& error) {
      if (error.what() == wanted) ++skipped;
    }
    static_cast<void>(ranks.gather<int>([] { return std::vector<int>{1}; }));
  });
  REQUIRE(skipped == 3);
  for (const auto& end : ends) REQUIRE(!end);
}

TEST_CASE("a rank that fails by itself ends all of them with one message") {
  Weights weights(401, 700, dtype_f32);
  const auto others_work = [&](const Communicator& ranks) {
    EvaluateOptions how;
    how.ranks = &ranks;
    for (int i = 0; i < 3; ++i) static_cast<void>(evaluate(weights.info, requests(), how));
  };
  SECTION("while the others work") {
    const auto ends = Team(3).run([&](const Communicator& ranks) {
      if (ranks.rank() == 1) throw Error(ErrorKind::invalid_input, "w: absent");
      others_work(ranks);
    });
    for (const auto& end : ends) {
      REQUIRE(end);
      CHECK(end->kind == ErrorKind::invalid_input);
      CHECK(end->text == "w: absent (rank 1 of 3)");
    }
  }
  SECTION("after the others are done") {
    const auto ends = Team(2).run([&](const Communicator& ranks) {
      others_work(ranks);
      if (ranks.rank() == 0) throw std::runtime_error("report");
    });
    for (const auto& end : ends) {
      REQUIRE(end);
      CHECK(end->kind == ErrorKind::internal);
      CHECK(end->text == "internal error: report");
    }
  }
  SECTION("all of them in the same way") {
    const auto ends = Team(3).run(
        [&](const Communicator& /*ranks*/) { throw Error(ErrorKind::usage, "no such format"); });
    for (const auto& end : ends) {
      REQUIRE(end);
      CHECK(end->text == "no such format");
    }
  }
  SECTION("inside common work, the lowest rank speaks") {
    const auto ends = Team(3).run([&](const Communicator& ranks) {
      ranks.together([&] {
        if (ranks.rank() == 2) throw std::bad_alloc();
        if (ranks.rank() == 1) throw Error(ErrorKind::invalid_input, "piece 7");
      });
    });
    for (const auto& end : ends) {
      REQUIRE(end);
      CHECK(end->text == "piece 7");
    }
  }
}
