// SPDX-License-Identifier: MIT
// The bulk tensor copy engine: maps of byte matrices, boxes of them to shared memory (PTX ISA,
// "cp.async.bulk.tensor"). sm_90 and later.
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace lowbit::gpu::detail {

__device__ __forceinline__ void prefetch_map(const CUtensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}
/// Box of the map at (byte column x, row y) to shared memory; its bytes count on the barrier. What
/// lies outside the matrix arrives as zeros.
__device__ __forceinline__ void copy_box(std::uint32_t shared, const CUtensorMap& map, int x, int y,
                                         std::uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3}], [%4];" ::"r"(shared),
      "l"(&map), "r"(x), "r"(y), "r"(barrier)
      : "memory");
}
/// The same for bytes that nobody reads again: they leave the L2 first.
__device__ __forceinline__ void copy_box_once(std::uint32_t shared, const CUtensorMap& map, int x,
                                              int y, std::uint32_t barrier) {
  asm volatile(
      "{.reg .b64 policy; createpolicy.fractional.L2::evict_first.b64 policy, 1.0; "
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.L2::cache_"
      "hint "
      "[%0], [%1, {%2, %3}], [%4], policy;}" ::"r"(shared),
      "l"(&map), "r"(x), "r"(y), "r"(barrier)
      : "memory");
}
/// Arrives at the barrier, whose phase then waits for that many copied bytes too.
__device__ __forceinline__ void expect_bytes(std::uint32_t barrier, std::uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}
/// The phase of the barrier waits for that many copied bytes too, beside the arrivals that it
/// expects.
__device__ __forceinline__ void announce_bytes(std::uint32_t barrier, std::uint32_t bytes) {
  asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}

using EncodeTensorMap = decltype(&cuTensorMapEncodeTiled);

// The driver's encoder of tensor maps, found at run time so that nothing links against the driver.
inline EncodeTensorMap find_tensor_map_encoder() {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result{};
  if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault,
                                       &result) != cudaSuccess) {
    return nullptr;
  }
  return reinterpret_cast<EncodeTensorMap>(found);
}

/// Boxes of box_rows x box_columns bytes of a rows x pitch byte matrix. The pitch and the box's
/// width are multiples of 16. \param swizzled the 16-byte units of a 128-byte row are exchanged:
/// unit u of row r lies at u ^ (r % 8) \return false if the driver has no encoder or refuses
inline bool encode_tensor_map(CUtensorMap& map, const std::uint8_t* bytes, std::size_t pitch,
                              int rows, int box_columns, int box_rows, bool swizzled) {
  static const EncodeTensorMap encoder = find_tensor_map_encoder();
  if (encoder == nullptr) return false;
  const cuuint64_t extent[2] = {pitch, static_cast<cuuint64_t>(rows)};
  const cuuint64_t stride[1] = {pitch};
  const cuuint32_t box[2] = {static_cast<cuuint32_t>(box_columns),
                             static_cast<cuuint32_t>(box_rows)};
  const cuuint32_t step[2] = {1, 1};
  return encoder(&map, CU_TENSOR_MAP_DATA_TYPE_UINT8, 2, const_cast<std::uint8_t*>(bytes), extent,
                 stride, box, step, CU_TENSOR_MAP_INTERLEAVE_NONE,
                 swizzled ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_NONE,
                 CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
                 CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

}  // namespace lowbit::gpu::detail
