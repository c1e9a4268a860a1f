// SPDX-License-Identifier: MIT
#include "lowbit/reference_codec.hpp"

#include <algorithm>
#include <array>

#include "codec/codecs.hpp"

namespace lowbit {

std::span<const ReferenceCodec* const> reference_codecs() {
  static const std::array<const ReferenceCodec*, 10> registry{
      &detail::fp8_tensor(), &detail::fp8_channel(), &detail::int8_channel(), &detail::int4_g32(),
      &detail::int4_g128(),  &detail::ggml_q4_0(),   &detail::ggml_q8_0(),    &detail::ggml_q4_k(),
      &detail::bnb_nf4(),    &detail::bnb_fp4()};
  return registry;
}

const ReferenceCodec* find_reference_codec(std::string_view name) {
  for (const ReferenceCodec* codec : reference_codecs()) {
    if (codec->name() == name) return codec;
  }
  return nullptr;
}

void ReferenceCodec::round_trip_part(std::span<const float> values, std::size_t rows,
                                     std::size_t columns, float /*amax*/,
                                     std::span<float> out) const {
  const std::vector<float> back = round_trip(*this, values, rows, columns);
  std::copy(back.begin(), back.end(), out.begin());
}

std::vector<float> round_trip(const ReferenceCodec& codec, std::span<const float> values,
                              std::size_t rows, std::size_t columns) {
  std::vector<std::uint8_t> bytes(codec.bytes(rows, columns));
  codec.encode(values, rows, columns, bytes);
  std::vector<float> out(values.size());
  codec.decode(bytes, rows, columns, out);
  return out;
}

}  // namespace lowbit
