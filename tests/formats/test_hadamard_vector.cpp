// SPDX-License-Identifier: MIT
// The Hadamard transform on every instruction set that this machine has, against the transform
// without vectors: the same bits, of NaN too.
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "catch.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/hadamard.hpp"
#include "quantize/vector/vector_engine.hpp"
#include "transform/transforms.hpp"

namespace {

using namespace lowbit;
using namespace lowbit::detail;

constexpr std::size_t points = hadamard_points;
constexpr InputType types[] = {InputType::float32, InputType::float16, InputType::bfloat16};

float float_of(std::uint32_t bits) {
  return std::bit_cast<float>(bits);
}

/// Every instruction set, on values that begin at any multiple of a float.
void compare(const std::string& what, const std::vector<float>& values) {
  for (const InputType type : types) {
    std::vector<float> wanted = values;
    transform_one_by_one(wanted, type);
    for (const VectorTarget& target : vector_targets()) {
      force_vector_target(target.id);
      for (const std::size_t shift : {0U, 1U, 7U}) {
        std::vector<float> got(values.size() + shift + 1, -7.0F);
        std::copy(values.begin(), values.end(), got.begin() + static_cast<std::ptrdiff_t>(shift));
        hadamard_transform({got.data() + shift, values.size()}, type);
        INFO(target.name << ": " << what << ", type " << static_cast<int>(type) << ", shift "
                         << shift);
        const std::size_t bytes = values.size() * sizeof(float);
        CHECK((bytes == 0 || std::memcmp(got.data() + shift, wanted.data(), bytes) == 0));
        CHECK(got.back() == -7.0F);
        CHECK((shift == 0 || got[shift - 1] == -7.0F));
      }
    }
  }
  force_vector_target(0);
}

/// Groups whose only value that is not 0 is 4 * `value`, at each place in turn: results are that
/// value and its negative, rounded to the type.
void add_impulse(std::vector<float>& values, float value) {
  const std::size_t place = values.size() / points % points;
  for (std::size_t i = 0; i < points; ++i) values.push_back(i == place ? 4.0F * value : 0.0F);
}

}  // namespace

TEST_CASE("any number of values, also such as are no whole group") {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (std::size_t count = 0; count <= 9 * points; count += count % 5 == 0 ? 1 : 5) {
    std::vector<float> values(count);
    for (float& v : values) v = normal(random);
    compare(std::to_string(count) + " values", values);
  }
}

TEST_CASE("values of each type, and any bits") {
  std::mt19937 random(4);
  std::normal_distribution<float> normal;
  constexpr std::size_t count = 2048 * points;
  std::vector<float> values(count);
  for (float& v : values) v = normal(random);
  compare("normal values", values);
  for (const InputType type : types) {
    for (float& v : values) v = round_to_input_type(std::ldexp(normal(random), -3), type);
    compare("normal values of a type", values);
  }
  // Sums that cancel, and their zeros of both signs.
  for (float& v : values) {
    v = std::copysign(random() % 4 == 0 ? 0.0F : 1.0F, random() % 2 != 0 ? 1.0F : -1.0F);
  }
  compare("ones and zeros", values);
  for (float& v : values) v = std::copysign(0.0F, random() % 2 != 0 ? 1.0F : -1.0F);
  compare("zeros", values);
  // Terms of all magnitudes: the order of the sum decides its last bits.
  for (float& v : values) v = std::ldexp(normal(random), static_cast<int>(random() % 60) - 30);
  compare("all magnitudes", values);
  for (float& v : values) v = float_of(random() % 0x1000000U | random() << 31);
  compare("subnormal numbers", values);
  // About the largest numbers of F16, BF16 and F32, where sums become infinite.
  for (const int exponent : {12, 13, 14, 15, 124, 125, 126, 127}) {
    for (float& v : values) v = std::ldexp(normal(random) / 4.0F, exponent);
    compare("large numbers", values);
  }
  for (float& v : values) v = float_of(static_cast<std::uint32_t>(random()));
  compare("raw bits", values);
}

TEST_CASE("NaN and infinities in a few groups among finite ones") {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> values(512 * points);
  for (float& v : values) v = normal(random);
  constexpr std::uint32_t specials[] = {0x7F800000U, 0xFF800000U, 0x7FC00001U,
                                        0xFFC12345U, 0x7F800001U, 0xFFBFFFFFU};
  for (std::size_t i = 0; i < values.size(); i += 37) {
    values[i] = float_of(specials[i / 37 % std::size(specials)]);
    if (i % 3 == 0) values[(i + 5) % values.size()] = -values[i];
  }
  compare("specials", values);
}

TEST_CASE("every number of F16 and BF16, every tie between two of them, and its neighbours") {
  for (const ElementFormat* const format : {&f16, &bf16}) {
    std::vector<float> values;
    for (std::uint32_t code = 0; code < 0x8000; ++code) {
      const float value = to_float(*format, code);
      if (!std::isfinite(value) || value > 0x1p125F) continue;
      // The number after the largest one, if there were one.
      const float next = code == format->max_code() ? 2.0F * value - to_float(*format, code - 1)
                                                    : to_float(*format, code + 1);
      const float tie = value + (next - value) / 2.0F;
      for (const float v : {value, tie, std::nextafter(tie, 0.0F), std::nextafter(tie, next)}) {
        add_impulse(values, code % 2 != 0 ? v : -v);
      }
    }
    compare(std::string(format->name), values);
  }
}
