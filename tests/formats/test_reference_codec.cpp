// SPDX-License-Identifier: MIT
// Baselines: bytes and values of ggml and bitsandbytes as captured, and the scaled codecs against
// numbers worked out by hand and searched for exhaustively.
#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "catch.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/evaluate.hpp"
#include "lowbit/reference_codec.hpp"
#include "lowbit/tensor_file.hpp"

using namespace lowbit;

namespace {

std::vector<std::uint8_t> encoded(const ReferenceCodec& codec, const std::vector<float>& x,
                                  std::size_t rows, std::size_t columns) {
  std::vector<std::uint8_t> bytes(codec.bytes(rows, columns), 0xAA);
  codec.encode(x, rows, columns, bytes);
  return bytes;
}

const ReferenceCodec& named(const std::string& name) {
  const ReferenceCodec* codec = find_reference_codec(name);
  REQUIRE(codec != nullptr);
  return *codec;
}

std::vector<float> through(const char* name, const std::vector<float>& x, std::size_t rows,
                           std::size_t columns) {
  return round_trip(named(name), x, rows, columns);
}

bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

std::vector<float> normal(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> gauss;
  std::vector<float> x(count);
  for (float& v : x) v = gauss(random);
  return x;
}

}  // namespace

TEST_CASE("ggml and bitsandbytes, byte for byte") {
  const TensorFile file =
      TensorFile::open(std::string(LOWBIT_TEST_DATA_DIR) + "/codec_vectors.safetensors");
  const std::vector<float> x = to_f32(file.at("input"));
  for (const char* name : {"q4_0", "q8_0", "q4_k", "nf4", "fp4_bnb"}) {
    INFO(name);
    const ReferenceCodec& codec = named(name);
    const std::vector<std::uint8_t> bytes = encoded(codec, x, 24, 256);
    const TensorInfo& wanted = file.at(name);
    REQUIRE(bytes.size() == wanted.bytes.size());
    std::size_t differing = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      differing += bytes[i] != static_cast<std::uint8_t>(wanted.bytes[i]) ? 1 : 0;
    }
    CHECK(differing == 0);
    std::vector<float> values(x.size());
    codec.decode(bytes, 24, 256, values);
    const std::vector<float> wanted_values = to_f32(file.at(std::string(name) + ".values"));
    std::size_t other = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      other += same_bits(values[i], wanted_values[i]) ? 0 : 1;
    }
    CHECK(other == 0);
  }
}

TEST_CASE("bits of each codec") {
  struct Case {
    const char* name;
    std::size_t rows, columns;
    std::uint64_t bits;
  };
  for (const Case& c :
       {Case{"fp8_tensor", 3, 10, 32 + 240}, Case{"fp8_channel", 3, 10, 96 + 240},
        Case{"int8_channel", 3, 10, 48 + 240}, Case{"int4_g32", 3, 33, 3 * (32 + 136)},
        Case{"int4_g128", 2, 256, 2 * (32 + 1024)}, Case{"q4_0", 2, 33, 2 * 2 * 144},
        Case{"q8_0", 2, 32, 2 * 272}, Case{"q4_k", 2, 257, 2 * 2 * 1152},
        Case{"nf4", 3, 43, 3 * 32 + 65 * 8}, Case{"fp4_bnb", 1, 64, 32 + 256}}) {
    INFO(c.name);
    CHECK(named(c.name).bits(c.rows, c.columns) == c.bits);
  }
  CHECK(reference_codecs().size() == 10);
  CHECK(find_reference_codec("nvfp4") == nullptr);
}

TEST_CASE("integer codecs: scale in FP16, nearest code, ties to even") {
  // amax / 7 = 1/7 in FP16 is 0x3092 = 0.142822265625; 0.5 / it = 3.50..
  const std::vector<float> x{1.0F, -1.0F, 0.5F, 0.0F, -0.07F};
  const std::vector<std::uint8_t> bytes = encoded(named("int4_g32"), x, 1, 5);
  CHECK(bytes == std::vector<std::uint8_t>{0x92, 0x30, 0x97, 0x04, 0x00});
  const std::vector<float> back = through("int4_g32", x, 1, 5);
  CHECK(back[1] == -7 * 0.142822265625F);
  CHECK(back[2] == 4 * 0.142822265625F);
  CHECK(back[4] == 0.0F);
  // A scale of 1 makes ties visible: -0.5 and 2.5 go to even.
  CHECK(through("int4_g32", {7.0F, -0.5F, 2.5F, 1.5F, -3.5F}, 1, 5) ==
        std::vector<float>{7.0F, 0.0F, 2.0F, 2.0F, -4.0F});
  CHECK(through("int8_channel", {127.0F, -126.5F, 0.5F, -2.5F}, 1, 4) ==
        std::vector<float>{127.0F, -126.0F, 0.0F, -2.0F});
  // The FP16 scale may be rounded down: codes saturate, and never reach -8 or -128.
  const std::vector<float> down{-1.0F / 3.0F, 1.0F / 3.0F};
  for (const char* name : {"int4_g32", "int8_channel"}) {
    const std::vector<std::uint8_t> codes = encoded(named(name), down, 1, 2);
    CHECK(codes[2] == (name[3] == '4' ? 0x79 : 0x81));
  }
  // A scale that FP16 cannot hold, and one that rounds to 0.
  CHECK(through("int4_g32", {1e30F}, 1, 1)[0] == 7 * 65504.0F);
  CHECK(through("int4_g32", {1e-8F, 0.0F}, 1, 2) == std::vector<float>{0.0F, 0.0F});
}

TEST_CASE("groups are scaled by themselves, and the last one is short") {
  std::vector<float> x(2 * 40, 0.25F);
  x[3] = 7.0F;    // row 0, group 0
  x[35] = 14.0F;  // row 0, group 1
  const std::vector<float> back = through("int4_g32", x, 2, 40);
  CHECK(back[3] == 7.0F);
  CHECK(back[0] == 0.0F);
  CHECK(back[35] == 14.0F);
  CHECK(back[36] == 0.0F);
  CHECK(std::fabs(back[40] - 0.25F) < 1e-4F);
  CHECK(std::fabs(back[79] - 0.25F) < 1e-4F);
  // Per channel: one scale for the row.
  const std::vector<float> channel = through("int8_channel", x, 2, 40);
  CHECK(channel[35] == Approx(14.0F).epsilon(1e-3));
  CHECK(std::fabs(channel[40] - 0.25F) < 1e-4F);
}

TEST_CASE("FP8 codecs: the nearest E4M3 value of x / scale, one scale per tensor or row") {
  const std::vector<float> x = normal(4 * 64, 7);
  for (const bool per_row : {false, true}) {
    const ReferenceCodec& codec = named(per_row ? "fp8_channel" : "fp8_tensor");
    const std::vector<float> back = round_trip(codec, x, 4, 64);
    for (std::size_t r = 0; r < 4; ++r) {
      float amax = 0.0F;
      for (std::size_t i = per_row ? r * 64 : 0; i < (per_row ? r * 64 + 64 : 256); ++i) {
        amax = std::max(amax, std::fabs(x[i]));
      }
      const float scale = amax / 448.0F;
      for (std::size_t c = 0; c < 64; ++c) {
        // Every one of the codes, the slow way.
        const float y = x[r * 64 + c] / scale;
        float best = 0.0F;
        for (std::uint32_t code = 0; code < 256; ++code) {
          const float v = to_float(e4m3, code);
          if (std::fabs(double{v} - y) < std::fabs(double{best} - y)) best = v;
        }
        CHECK(back[r * 64 + c] == best * scale);
      }
    }
  }
  CHECK(through("fp8_tensor", {0.0F, 0.0F}, 2, 1) == std::vector<float>{0.0F, 0.0F});
  // One scale for the tensor: a small row is lost; one per row: it is not.
  const std::vector<float> rows{1e6F, 0.0F, 1e-3F, 2e-3F};
  CHECK(through("fp8_tensor", rows, 2, 2)[2] == 0.0F);
  CHECK(through("fp8_channel", rows, 2, 2)[2] == Approx(1e-3F).epsilon(0.05));
}

TEST_CASE("rows that no block divides are filled up with zeros") {
  const std::vector<float> x = normal(3 * 300, 11);
  for (const char* name : {"q4_0", "q8_0", "q4_k"}) {
    INFO(name);
    const std::vector<float> back = round_trip(named(name), x, 3, 300);
    std::vector<float> padded(3 * 512, 0.0F);
    for (std::size_t r = 0; r < 3; ++r) {
      std::copy_n(x.begin() + static_cast<long>(r * 300), 300,
                  padded.begin() + static_cast<long>(r * 512));
    }
    const std::vector<float> whole = round_trip(named(name), padded, 3, 512);
    for (std::size_t r = 0; r < 3; ++r) {
      for (std::size_t c = 0; c < 300; ++c) CHECK(same_bits(back[r * 300 + c], whole[r * 512 + c]));
    }
  }
  // bitsandbytes flattens: its blocks go on from one row to the next.
  const std::vector<float> flat = through("nf4", x, 3, 300);
  const std::vector<float> one_row = through("nf4", x, 1, 900);
  CHECK(flat == one_row);
}

// bitsandbytes' kernel compares fl(x * fl(1 / absmax)) > threshold (csrc/kernels.cu, dQuantizeNF4).
TEST_CASE("a threshold of NF4 belongs to the code below, and the scaling is by a reciprocal") {
  constexpr float threshold = 0.1202552504837513F;  // between codes 8 and 9
  const auto code_of_second = [](float absmax, float x) {
    std::vector<float> block(64, 0.0F);
    block[0] = absmax;
    block[1] = x;
    return encoded(named("nf4"), block, 1, 64)[4] & 0xF;
  };
  CHECK(code_of_second(1.0F, threshold) == 8);
  CHECK(code_of_second(1.0F, std::nextafter(threshold, 1.0F)) == 9);
  int witnesses = 0;
  for (int i = 3; i < 200; i += 2) {
    const auto absmax = static_cast<float>(i);
    const float reciprocal = 1.0F / absmax;
    float x = threshold * absmax * (1.0F - 0x1p-21F);
    for (int step = 0; step < 32; ++step, x = std::nextafter(x, 1e9F)) {
      if ((x * reciprocal > threshold) == (x / absmax > threshold)) continue;
      ++witnesses;
      CHECK(code_of_second(absmax, x) == (x * reciprocal > threshold ? 9 : 8));
    }
  }
  CHECK(witnesses > 10);
}

TEST_CASE("any bytes decode without harm") {
  std::mt19937 random(3);
  for (const ReferenceCodec* codec : reference_codecs()) {
    std::vector<std::uint8_t> bytes(codec->bytes(3, 70));
    for (std::uint8_t& b : bytes) b = static_cast<std::uint8_t>(random());
    std::vector<float> out(210, 7.0F);
    codec->decode(bytes, 3, 70, out);
    // The largest inputs and all zeros encode, too.
    const std::vector<float> huge(210, 3e38F);
    codec->encode(huge, 3, 70, bytes);
    CHECK(round_trip(*codec, std::vector<float>(210, 0.0F), 3, 70).size() == 210);
  }
}

TEST_CASE("a tensor evaluated part by part has the sums of the whole, bit for bit") {
  // Rows of 701: blocks of 64 elements of the flattened tensor end within rows, lanes of the sums
  // too. The largest magnitude, which a scale per tensor needs, is in the last part.
  constexpr std::size_t rows = 1100, columns = 701;
  std::vector<float> x = normal(rows * columns, 5);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] *= std::exp2(static_cast<float>(i % 23) - 11.0F);
  x[x.size() - 3] = -99999.0F;
  TensorInfo tensor;
  tensor.name = "w";
  tensor.dtype = &dtype_f32;
  tensor.shape = {rows, columns};
  tensor.bytes = std::as_bytes(std::span(x));
  const AxisView view{rows, columns, 1};
  const auto total = [](std::array<double, 16> lanes) {
    for (std::size_t n = 8; n > 0; n /= 2) {
      for (std::size_t i = 0; i < n; ++i) lanes[i] += lanes[i + n];
    }
    return lanes[0];
  };
  const auto wanted_of = [&](const std::vector<float>& q) {
    std::array<double, 16> error{}, product{};
    double largest = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double e = static_cast<double>(q[i]) - static_cast<double>(x[i]);
      error[i % 16] += e * e;
      product[i % 16] += static_cast<double>(x[i]) * static_cast<double>(q[i]);
      largest = std::max(largest, std::fabs(e));
    }
    return std::array{total(error), total(product), largest};
  };
  for (const ReferenceCodec* codec : reference_codecs()) {
    INFO(codec->name());
    const auto [error, product, largest] = wanted_of(round_trip(*codec, x, rows, columns));
    const ErrorStatistics sums = evaluate(tensor, view, *codec, NonFinite::error);
    CHECK(sums.elements == x.size());
    CHECK(sums.squared_error == error);
    CHECK(sums.product == product);
    CHECK(sums.max_abs_error == largest);
    CHECK(sums.bits == codec->bits(rows, columns));
  }
  const ErrorStatistics kept = kept_statistics(tensor, view, NonFinite::error);
  CHECK(kept.product == wanted_of(x)[1]);
  CHECK(kept.max_abs_error == 0.0);
  // What is refused is named by its place in the whole tensor.
  x[1000 * columns + 7] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(evaluate(tensor, view, named("nf4"), NonFinite::error),
                    Catch::Matchers::Contains("row 1000, column 7"));
}
