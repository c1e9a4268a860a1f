// SPDX-License-Identifier: MIT
// How often dialects differ on random numbers: scale bytes and blocks per 2^20 blocks.
//
// usage: dialect_rates [LOG2_BLOCKS]     20 where it is not given
//
// Two kinds of input: one tensor of Gaussian BF16 numbers whose amax is 5.875, against fos_pytorch;
// and tensors of 64 blocks with random amplitudes, BF16 and FP32, against te_le_2.13.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "lowbit/names.hpp"
#include "lowbit/quantize.hpp"

using namespace lowbit;

namespace {

constexpr std::size_t block = 16;
constexpr const char* others[] = {
    "te_le_2.13",      "te_ge_2.14", "te_tuned_2412", "mlx_metal", "te_fast",
    "vllm_ref",        "fi_strict",  "fi_default",    "vllm",      "modelopt",
    "modelopt_cuda",   "torchao",    "torchao_cuda",  "mslk",      "compressed_tensors",
    "universal_nvfp4", "mlx"};

struct Rate {
  std::size_t scales = 0;
  std::size_t blocks = 0;
  std::size_t tensors = 0;
};

BlockTensor code(const std::vector<float>& x, const char* dialect, InputType type) {
  QuantizeOptions o;
  o.format = &block_format_named("nvfp4");
  o.dialect = &dialect_named(dialect);
  o.rule = ScaleRule::static_6;
  o.input_type = type;
  return quantize(x, x.size() / 1024, 1024, o);
}

void count(const BlockTensor& a, const BlockTensor& b, Rate& rate) {
  bool differs = false;
  for (std::size_t k = 0; k < a.scales.size(); ++k) {
    const auto codes = a.values.begin() + static_cast<std::ptrdiff_t>(k * block / 2);
    const auto other = b.values.begin() + static_cast<std::ptrdiff_t>(k * block / 2);
    const bool scale = a.scales[k] != b.scales[k];
    const bool any = scale || !std::equal(codes, codes + block / 2, other);
    rate.scales += scale ? 1 : 0;
    rate.blocks += any ? 1 : 0;
    differs = differs || any;
  }
  rate.tensors += differs ? 1 : 0;
}

std::vector<float> gaussian(std::mt19937_64& random, std::size_t n, float sigma, InputType type) {
  std::normal_distribution<float> draw(0.0F, sigma);
  std::vector<float> x(n);
  for (float& v : x) v = round_to_input_type(draw(random), type);
  return x;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t blocks = std::size_t{1} << (argc > 1 ? std::atoi(argv[1]) : 20);
  std::mt19937_64 random(1);
  const std::size_t rows = std::max<std::size_t>(blocks / 64, 1);

  std::vector<float> one = gaussian(random, rows * 1024, 1.0F, InputType::bfloat16);
  for (float& v : one) v = std::clamp(v, -5.875F, 5.875F);
  one[0] = 5.875F;
  const BlockTensor reference = code(one, "fos_pytorch", InputType::bfloat16);
  std::vector<Rate> single(std::size(others));
  for (std::size_t d = 0; d < std::size(others); ++d) {
    count(reference, code(one, others[d], InputType::bfloat16), single[d]);
  }

  std::vector<Rate> small(std::size(others));
  std::vector<Rate> wide(std::size(others));
  std::uniform_real_distribution<float> exponent(-8.0F, 3.0F);
  for (std::size_t i = 0; i < rows; ++i) {
    const float sigma = std::exp2(exponent(random));
    for (const InputType type : {InputType::bfloat16, InputType::float32}) {
      const std::vector<float> x = gaussian(random, 1024, sigma, type);
      const BlockTensor other = code(x, "te_le_2.13", type);
      for (std::size_t d = 0; d < std::size(others); ++d) {
        count(other, code(x, others[d], type), type == InputType::float32 ? wide[d] : small[d]);
      }
    }
  }

  fmt::print("{} blocks\n\n", rows * 64);
  fmt::print(
      "| dialect | one BF16 tensor, A = 5.875: scale bytes, blocks | {} BF16 tensors: scale bytes, "
      "blocks | tensors that differ | FP32: blocks |\n|---|--:|--:|--:|--:|\n",
      rows);
  for (std::size_t d = 0; d < std::size(others); ++d) {
    fmt::print("| `{}` | {}, {} | {}, {} | {} | {} |\n", others[d], single[d].scales,
               single[d].blocks, small[d].scales, small[d].blocks, small[d].tensors,
               wide[d].blocks);
  }
}
