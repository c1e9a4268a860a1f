// SPDX-License-Identifier: MIT
/// \file
/// The device, its memory and its clock, for host code. Every CUDA error becomes a lowbit::Error of
/// kind `unavailable` (exit code 5) with one clear line: no device, a driver too old, an
/// unsupported architecture, not enough memory. Not thread-safe: one thread drives the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace lowbit::gpu {

/// Throws Error(unavailable) "WHAT: MESSAGE" unless the status is cudaSuccess.
void check(cudaError_t status, const char* what);

/// What the harness needs to know of a CUDA device.
struct Device {
  std::string name;          ///< as the driver reports it
  std::string driver;        ///< "580.159.04 (CUDA 13.0)", or the CUDA version that it serves alone
  int capability = 0;        ///< major * 10 + minor
  int multiprocessors = 0;   ///< how many
  std::size_t l2_bytes = 0;  ///< size of the L2 cache
  std::size_t free_bytes = 0;   ///< free memory
  std::size_t total_bytes = 0;  ///< memory in all
};

/// The current device.
/// \throws Error(unavailable): no device, or a driver older than this library's CUDA.
[[nodiscard]] Device current_device();
/// The current device, checked against a list of compute capabilities (major * 10 + minor).
Device require_device(std::span<const int> capabilities, const std::string& kernel);
/// Throws Error(unavailable) naming both sizes unless that many bytes are free (with a margin).
void require_memory(std::size_t bytes, const std::string& what);

/// Device memory, freed at the end of its life.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  /// Allocates `bytes` of device memory. \throws Error(unavailable) where there is too little.
  explicit DeviceBuffer(std::size_t bytes);
  ~DeviceBuffer();
  /// Allocates `bytes` of device memory. \throws Error(unavailable) where there is too little.
  DeviceBuffer(DeviceBuffer&& other) noexcept;
  /// Frees its memory and takes over the other's.
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept;
  /// The device pointer; null where empty.
  [[nodiscard]] void* get() const { return data_; }
  /// The device pointer as a pointer to T.
  template <class T>
  [[nodiscard]] T* as() const {
    return static_cast<T*>(data_);
  }
  /// Bytes allocated.
  [[nodiscard]] std::size_t size() const { return size_; }
  void fill(int byte);  ///< cudaMemset, then a synchronization
  /// Copies `bytes` from host memory to this buffer, `offset` bytes in; waits for the copy.
  void upload(const void* host, std::size_t bytes, std::size_t offset = 0);
  /// Copies `bytes` from this buffer, `offset` bytes in, to host memory; waits for the copy.
  void download(void* host, std::size_t bytes, std::size_t offset = 0) const;

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Median device time in seconds of one launch(i), i = 0, 1, ... over `repeats` launches, each
/// between two events of its own, after `warm_up` launches. All are queued ahead of the device:
/// were each waited for, the time that the host takes to launch would be in it. The caller cycles
/// buffers by i so that no launch finds its input in the L2.
[[nodiscard]] double median_seconds(int repeats, const std::function<void(int)>& launch,
                                    int warm_up = 10);

/// Bytes per second, read and written ones both counted, of a device-to-device copy of `bytes`
/// between buffers larger than the L2 (median).
[[nodiscard]] double measure_copy_rate(std::size_t bytes = std::size_t{1} << 28);

/// FLOP per second of cuBLAS' FP16 GEMM with FP32 accumulation, D (m x n) = A (m x k) * B (n x
/// k)^T; the library is opened at run time. 0 where it cannot be opened.
[[nodiscard]] double measure_cublas_fp16(std::int64_t m, std::int64_t n, std::int64_t k);

}  // namespace lowbit::gpu
