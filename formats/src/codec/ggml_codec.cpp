// SPDX-License-Identifier: MIT
// Q4_0, Q8_0 and Q4_K to the bytes of ggml d99724f2 (src/ggml-quants.c, the *_ref functions,
// without multiply-adds). A row whose length no block divides is filled up with zeros.
#include <array>
#include <cmath>

#include "codec/codec_bytes.hpp"
#include "codec/codecs.hpp"

namespace lowbit::detail {
namespace {

/// What x86 makes of a float that an int8 cannot hold: 0 for NaN and what int32 cannot hold either.
int to_int(float value) {
  return value > -2147483904.0F && value < 2147483648.0F ? static_cast<int>(value) : 0;
}

/// To nearest even, for magnitudes up to 2^22.
int nearest_int(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value + 12582912.0F);
  return static_cast<int>(bits & 0x007FFFFFU) - 0x00400000;
}

/// 16 bits of scale and 32 codes of 4 bits; the scale maps the element of largest magnitude to -8.
struct Q40 {
  static constexpr std::string_view name = "q4_0";
  static constexpr std::string_view summary = "Q4_0 of ggml, 4.5 bits";
  static constexpr std::size_t block = 32;
  static constexpr std::size_t bytes = 18;

  static void encode(const float* x, std::uint8_t* out) {
    float amax = 0.0F;
    float top = 0.0F;
    for (std::size_t i = 0; i < block; ++i) {
      if (amax < std::fabs(x[i])) {
        amax = std::fabs(x[i]);
        top = x[i];
      }
    }
    const float d = top / -8.0F;
    const float inverse = d != 0.0F ? 1.0F / d : 0.0F;
    put_f16(out, d);
    const auto code = [&](float value) {
      const auto q = static_cast<std::int8_t>(to_int(value * inverse + 8.5F));
      return static_cast<std::uint8_t>(std::min<int>(15, q));
    };
    for (std::size_t i = 0; i < block / 2; ++i) {
      out[2 + i] = static_cast<std::uint8_t>(code(x[i]) | code(x[i + block / 2]) << 4);
    }
  }
  static void decode(const std::uint8_t* in, float* x) {
    const float d = get_f16(in);
    for (std::size_t i = 0; i < block / 2; ++i) {
      x[i] = static_cast<float>((in[2 + i] & 0xF) - 8) * d;
      x[i + block / 2] = static_cast<float>((in[2 + i] >> 4) - 8) * d;
    }
  }
};

/// 16 bits of scale and 32 codes of 8 bits.
struct Q80 {
  static constexpr std::string_view name = "q8_0";
  static constexpr std::string_view summary = "Q8_0 of ggml, 8.5 bits";
  static constexpr std::size_t block = 32;
  static constexpr std::size_t bytes = 34;

  static void encode(const float* x, std::uint8_t* out) {
    const float d = amax_of_group({x, block}) / 127.0F;
    const float inverse = d != 0.0F ? 1.0F / d : 0.0F;
    put_f16(out, d);
    for (std::size_t i = 0; i < block; ++i) {
      out[2 + i] = static_cast<std::uint8_t>(to_int(std::round(x[i] * inverse)));
    }
  }
  static void decode(const std::uint8_t* in, float* x) {
    const float d = get_f16(in);
    for (std::size_t i = 0; i < block; ++i) {
      x[i] = static_cast<float>(static_cast<std::int8_t>(in[2 + i])) * d;
    }
  }
};

/// Eight groups of 32 codes of 4 bits, each with a scale and a minimum of 6 bits, and two FP16
/// scales above those.
struct Q4K {
  static constexpr std::string_view name = "q4_k";
  static constexpr std::string_view summary = "Q4_K of ggml, 4.5 bits";
  static constexpr std::size_t block = 256;
  static constexpr std::size_t bytes = 144;
  static constexpr int groups = 8;
  static constexpr int size = 32;

  struct Fit {
    float scale;
    float minimum;
  };
  /// ggml's make_qkx2_quants(32, 15, x, weights, .., -1, 0.1, 20, false): codes by 21 trial scales,
  /// each followed by the weighted least-squares scale and minimum of its codes. The codes of a
  /// group whose scale is 0 later are those of the best trial.
  static Fit fit(const float* x, const float* weights, std::uint8_t* codes) {
    float low = x[0];
    float high = x[0];
    float sum_w = weights[0];
    float sum_x = sum_w * x[0];
    for (int i = 1; i < size; ++i) {
      low = std::min(low, x[i]);
      high = std::max(high, x[i]);
      sum_w += weights[i];
      sum_x += weights[i] * x[i];
    }
    if (low > 0.0F) low = 0.0F;
    if (high == low) {
      std::fill_n(codes, size, std::uint8_t{0});
      return {0.0F, -low};
    }
    std::array<std::uint8_t, size> trial;
    const auto round = [&](float inverse) {
      for (int i = 0; i < size; ++i) {
        trial[static_cast<std::size_t>(i)] =
            static_cast<std::uint8_t>(std::clamp(nearest_int(inverse * (x[i] - low)), 0, 15));
      }
    };
    const auto error_of = [&](float scale, float minimum) {
      float error = 0.0F;
      for (int i = 0; i < size; ++i) {
        const float d =
            scale * static_cast<float>(trial[static_cast<std::size_t>(i)]) + minimum - x[i];
        error += weights[i] * (d * d);
      }
      return error;
    };
    float inverse = 15.0F / (high - low);
    float scale = 1.0F / inverse;
    round(inverse);
    std::copy(trial.begin(), trial.end(), codes);
    float best = error_of(scale, low);
    for (int step = 0; step <= 20; ++step) {
      inverse = (-1.0F + 0.1F * static_cast<float>(step) + 15.0F) / (high - low);
      round(inverse);
      float sum_l = 0.0F;
      float sum_l2 = 0.0F;
      float sum_xl = 0.0F;
      for (int i = 0; i < size; ++i) {
        const auto l = static_cast<float>(trial[static_cast<std::size_t>(i)]);
        sum_l += weights[i] * l;
        sum_l2 += weights[i] * l * l;
        sum_xl += weights[i] * l * x[i];
      }
      const float determinant = sum_w * sum_l2 - sum_l * sum_l;
      if (!(determinant > 0.0F)) continue;
      float this_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
      float this_low = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
      if (this_low > 0.0F) {
        this_low = 0.0F;
        this_scale = sum_xl / sum_l2;
      }
      const float error = error_of(this_scale, this_low);
      if (error < best) {
        std::copy(trial.begin(), trial.end(), codes);
        best = error;
        scale = this_scale;
        low = this_low;
      }
    }
    return {scale, -low};
  }

  /// The 6-bit scale and minimum of a group: four pairs lie in whole bytes, the upper bits of the
  /// other four in the two bits above them.
  static std::array<int, 2> scales_of(int j, const std::uint8_t* s) {
    if (j < 4) return {s[j] & 63, s[j + 4] & 63};
    return {(s[j + 4] & 0xF) | (s[j - 4] >> 6 << 4), s[j + 4] >> 4 | (s[j] >> 6 << 4)};
  }

  static void encode(const float* x, std::uint8_t* out) {
    std::array<std::uint8_t, block> codes;
    std::array<Fit, groups> fits;
    float max_scale = 0.0F;
    float max_minimum = 0.0F;
    for (int j = 0; j < groups; ++j) {
      const float* const g = x + j * size;
      float sum = 0.0F;
      for (int i = 0; i < size; ++i) sum += g[i] * g[i];
      const float rms = std::sqrt(sum / 32.0F);
      std::array<float, size> weights;
      for (int i = 0; i < size; ++i) weights[static_cast<std::size_t>(i)] = rms + std::fabs(g[i]);
      const Fit f = fit(g, weights.data(), codes.data() + j * size);
      fits[static_cast<std::size_t>(j)] = f;
      if (f.scale > max_scale) max_scale = f.scale;
      if (f.minimum > max_minimum) max_minimum = f.minimum;
    }
    const float inverse_scale = max_scale > 0.0F ? 63.0F / max_scale : 0.0F;
    const float inverse_minimum = max_minimum > 0.0F ? 63.0F / max_minimum : 0.0F;
    std::uint8_t* const scales = out + 4;
    for (int j = 0; j < groups; ++j) {
      const Fit& f = fits[static_cast<std::size_t>(j)];
      const auto byte = [](int value) {
        return std::min<std::uint8_t>(63, static_cast<std::uint8_t>(value));
      };
      const int s = byte(nearest_int(inverse_scale * f.scale));
      const int m = byte(nearest_int(inverse_minimum * f.minimum));
      if (j < 4) {
        scales[j] = static_cast<std::uint8_t>(s);
        scales[j + 4] = static_cast<std::uint8_t>(m);
      } else {
        scales[j + 4] = static_cast<std::uint8_t>((s & 0xF) | (m & 0xF) << 4);
        scales[j - 4] |= static_cast<std::uint8_t>(s >> 4 << 6);
        scales[j] |= static_cast<std::uint8_t>(m >> 4 << 6);
      }
    }
    put_f16(out, max_scale / 63.0F);
    put_f16(out + 2, max_minimum / 63.0F);
    for (int j = 0; j < groups; ++j) {
      const auto [s, m] = scales_of(j, scales);
      const float d = get_f16(out) * static_cast<float>(s);
      if (d == 0.0F) continue;
      const float dm = get_f16(out + 2) * static_cast<float>(m);
      for (int i = 0; i < size; ++i) {
        const int code = nearest_int((x[j * size + i] + dm) / d);
        codes[static_cast<std::size_t>(j * size + i)] =
            static_cast<std::uint8_t>(std::clamp(code, 0, 15));
      }
    }
    std::uint8_t* q = out + 16;
    for (std::size_t j = 0; j < block; j += 64, q += 32) {
      for (std::size_t i = 0; i < 32; ++i) {
        q[i] = static_cast<std::uint8_t>(codes[j + i] | codes[j + i + 32] << 4);
      }
    }
  }
  static void decode(const std::uint8_t* in, float* x) {
    const float d = get_f16(in);
    const float minimum = get_f16(in + 2);
    for (int j = 0; j < groups; ++j) {
      const auto [s, m] = scales_of(j, in + 4);
      const float scale = d * static_cast<float>(s);
      const float low = minimum * static_cast<float>(m);
      const std::uint8_t* const q = in + 16 + j / 2 * 32;
      for (int i = 0; i < size; ++i) {
        x[j * size + i] = scale * static_cast<float>(q[i] >> (j % 2 * 4) & 0xF) - low;
      }
    }
  }
};

template <typename Format>
class GgmlCodec : public ReferenceCodec {
 public:
  [[nodiscard]] std::string_view name() const override { return Format::name; }
  [[nodiscard]] std::string_view summary() const override { return Format::summary; }
  [[nodiscard]] std::size_t bytes(std::size_t rows, std::size_t columns) const override {
    return rows * blocks(columns) * Format::bytes;
  }
  void encode(std::span<const float> values, std::size_t rows, std::size_t columns,
              std::span<std::uint8_t> out) const override {
    std::array<float, Format::block> x;
    std::uint8_t* at = out.data();
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns; c += Format::block, at += Format::bytes) {
        const std::size_t count = std::min(Format::block, columns - c);
        x.fill(0.0F);
        std::copy_n(values.data() + r * columns + c, count, x.data());
        Format::encode(x.data(), at);
      }
    }
  }
  void decode(std::span<const std::uint8_t> bytes, std::size_t rows, std::size_t columns,
              std::span<float> out) const override {
    std::array<float, Format::block> x;
    const std::uint8_t* at = bytes.data();
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns; c += Format::block, at += Format::bytes) {
        Format::decode(at, x.data());
        std::copy_n(x.data(), std::min(Format::block, columns - c), out.data() + r * columns + c);
      }
    }
  }

 private:
  static std::size_t blocks(std::size_t columns) {
    return (columns + Format::block - 1) / Format::block;
  }
};

}  // namespace

const ReferenceCodec& ggml_q4_0() {
  static const GgmlCodec<Q40> codec;
  return codec;
}
const ReferenceCodec& ggml_q8_0() {
  static const GgmlCodec<Q80> codec;
  return codec;
}
const ReferenceCodec& ggml_q4_k() {
  static const GgmlCodec<Q4K> codec;
  return codec;
}

}  // namespace lowbit::detail
