// SPDX-License-Identifier: MIT
#include "lowbit/dtype.hpp"

#include <array>

namespace lowbit {
namespace {

constexpr auto opaque = DtypeKind::opaque;

// The GGML block types after the decoded ones are listed by `inspect` and read by nothing; their
// sizes are those of ggml-common.h.
constexpr std::array registry{dtype_f64,
                              dtype_f32,
                              dtype_f16,
                              dtype_bf16,
                              dtype_f8_e4m3,
                              dtype_f8_e5m2,
                              dtype_f8_e8m0,
                              dtype_f6_e2m3,
                              dtype_f6_e3m2,
                              dtype_f4,
                              dtype_u8,
                              dtype_i8,
                              dtype_u16,
                              dtype_i16,
                              dtype_u32,
                              dtype_i32,
                              dtype_u64,
                              dtype_i64,
                              dtype_bool,
                              dtype_ggml_mxfp4,
                              dtype_ggml_nvfp4,
                              Dtype{"C64", opaque, 1, 8},
                              Dtype{"C128", opaque, 1, 16},
                              Dtype{"F8_E4M3FNUZ", opaque, 1, 1},
                              Dtype{"F8_E5M2FNUZ", opaque, 1, 1},
                              Dtype{"GGML_Q4_0", opaque, 32, 18},
                              Dtype{"GGML_Q4_1", opaque, 32, 20},
                              Dtype{"GGML_Q5_0", opaque, 32, 22},
                              Dtype{"GGML_Q5_1", opaque, 32, 24},
                              Dtype{"GGML_Q8_0", opaque, 32, 34},
                              Dtype{"GGML_Q8_1", opaque, 32, 36},
                              Dtype{"GGML_Q2_K", opaque, 256, 84},
                              Dtype{"GGML_Q3_K", opaque, 256, 110},
                              Dtype{"GGML_Q4_K", opaque, 256, 144},
                              Dtype{"GGML_Q5_K", opaque, 256, 176},
                              Dtype{"GGML_Q6_K", opaque, 256, 210},
                              Dtype{"GGML_Q8_K", opaque, 256, 292},
                              Dtype{"GGML_IQ2_XXS", opaque, 256, 66},
                              Dtype{"GGML_IQ2_XS", opaque, 256, 74},
                              Dtype{"GGML_IQ3_XXS", opaque, 256, 98},
                              Dtype{"GGML_IQ1_S", opaque, 256, 50},
                              Dtype{"GGML_IQ4_NL", opaque, 32, 18},
                              Dtype{"GGML_IQ3_S", opaque, 256, 110},
                              Dtype{"GGML_IQ2_S", opaque, 256, 82},
                              Dtype{"GGML_IQ4_XS", opaque, 256, 136},
                              Dtype{"GGML_IQ1_M", opaque, 256, 56},
                              Dtype{"GGML_TQ1_0", opaque, 256, 54},
                              Dtype{"GGML_TQ2_0", opaque, 256, 66}};

}  // namespace

std::span<const Dtype> dtypes() {
  return registry;
}

const Dtype* find_dtype(std::string_view name) {
  for (const Dtype& dtype : registry) {
    if (dtype.name == name) return &dtype;
  }
  return nullptr;
}

}  // namespace lowbit
