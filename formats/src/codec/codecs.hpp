// SPDX-License-Identifier: MIT
// The codecs of reference_codecs().
#pragma once

#include "lowbit/reference_codec.hpp"

namespace lowbit::detail {

const ReferenceCodec& fp8_tensor();
const ReferenceCodec& fp8_channel();
const ReferenceCodec& int8_channel();
const ReferenceCodec& int4_g32();
const ReferenceCodec& int4_g128();
const ReferenceCodec& ggml_q4_0();
const ReferenceCodec& ggml_q8_0();
const ReferenceCodec& ggml_q4_k();
const ReferenceCodec& bnb_nf4();
const ReferenceCodec& bnb_fp4();

}  // namespace lowbit::detail
