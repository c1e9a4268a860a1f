// SPDX-License-Identifier: MIT
#include "lowbit/gpu/device.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "harness/refusals.hpp"
#include "lowbit/error.hpp"

namespace lowbit::gpu {
namespace {

[[noreturn]] void unavailable(const std::string& message) {
  throw Error(ErrorKind::unavailable, message);
}

void refuse_if(const std::string& why) {
  if (!why.empty()) unavailable(why);
}

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

std::string too_old(int driver, int runtime) {
  return fmt::format("the CUDA driver is too old: it serves CUDA {}, this build needs {}",
                     version_text(driver), version_text(runtime));
}

/// "580.159.04 (CUDA 13.0)": the driver's own version where it reports one, and the CUDA version
/// that it serves.
std::string driver_text(int served) {
  const std::string cuda = "CUDA " + version_text(served);
  std::ifstream file("/proc/driver/nvidia/version");
  std::string line;
  std::getline(file, line);
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    if (word.find_first_not_of("0123456789.") == std::string::npos &&
        word.find('.') != std::string::npos) {
      return fmt::format("{} ({})", word, cuda);
    }
  }
  return cuda;
}

/// Events freed at scope exit.
struct Event {
  cudaEvent_t event = nullptr;
  Event() { check(cudaEventCreate(&event), "cudaEventCreate"); }
  ~Event() { cudaEventDestroy(event); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
};

}  // namespace

std::string detail::driver_refusal(int driver, int runtime) {
  if (driver == 0)
    return "no CUDA driver on this machine; GPU kernels need one (lowbit gpu list does not)";
  if (driver / 1000 >= runtime / 1000) return "";
  return too_old(driver, runtime);
}

std::string detail::architecture_refusal(const Device& device, std::span<const int> capabilities,
                                         const std::string& kernel) {
  if (std::find(capabilities.begin(), capabilities.end(), device.capability) != capabilities.end())
    return "";
  std::string list;
  for (const int c : capabilities)
    list += fmt::format("{}{}.{}", list.empty() ? "" : ", ", c / 10, c % 10);
  return fmt::format("{}: {} has compute capability {}.{}; the kernel needs {}", kernel,
                     device.name, device.capability / 10, device.capability % 10, list);
}

std::string detail::memory_refusal(std::size_t bytes, std::size_t free_bytes,
                                   const std::string& what) {
  constexpr std::size_t margin = std::size_t{256} << 20;
  if (bytes <= free_bytes && free_bytes - bytes >= margin) return "";
  return fmt::format("{}: needs {} MiB of device memory, {} MiB are free; use a smaller shape",
                     what, (bytes >> 20) + (margin >> 20), free_bytes >> 20);
}

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  if (status == cudaErrorNoKernelImageForDevice || status == cudaErrorInvalidDeviceFunction) {
    unavailable(fmt::format("{}: no machine code for this GPU's architecture in this build", what));
  }
  if (status == cudaErrorMemoryAllocation) {
    unavailable(fmt::format("{}: not enough device memory; use a smaller shape", what));
  }
  unavailable(fmt::format("{}: {}", what, cudaGetErrorString(status)));
}

Device current_device() {
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
  int runtime = 0;
  if (driver != 0) check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  refuse_if(detail::driver_refusal(driver, runtime));
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver) unavailable(too_old(driver, runtime));
  if (status != cudaSuccess || count == 0) {
    (void)cudaGetLastError();
    unavailable("no CUDA device on this machine (lowbit gpu list needs none)");
  }
  int index = 0;
  check(cudaGetDevice(&index), "cudaGetDevice");
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
  Device device;
  device.name = properties.name;
  device.driver = driver_text(driver);
  device.capability = properties.major * 10 + properties.minor;
  device.multiprocessors = properties.multiProcessorCount;
  device.l2_bytes = static_cast<std::size_t>(properties.l2CacheSize);
  check(cudaMemGetInfo(&device.free_bytes, &device.total_bytes), "cudaMemGetInfo");
  return device;
}

Device require_device(std::span<const int> capabilities, const std::string& kernel) {
  Device device = current_device();
  refuse_if(detail::architecture_refusal(device, capabilities, kernel));
  return device;
}

void require_memory(std::size_t bytes, const std::string& what) {
  refuse_if(detail::memory_refusal(bytes, current_device().free_bytes, what));
}

DeviceBuffer::DeviceBuffer(std::size_t bytes) : size_(bytes) {
  if (bytes != 0) check(cudaMalloc(&data_, bytes), "cudaMalloc");
}
DeviceBuffer::~DeviceBuffer() {
  cudaFree(data_);
}
DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}
void DeviceBuffer::fill(int byte) {
  if (size_ == 0) return;
  check(cudaMemset(data_, byte, size_), "cudaMemset");
  check(cudaDeviceSynchronize(), "cudaMemset");
}
void DeviceBuffer::upload(const void* host, std::size_t bytes, std::size_t offset) {
  if (bytes == 0) return;
  if (offset > size_ || bytes > size_ - offset)
    throw Error(ErrorKind::internal, "upload outside a device buffer");
  check(cudaMemcpy(static_cast<char*>(data_) + offset, host, bytes, cudaMemcpyHostToDevice),
        "copy to device");
}
void DeviceBuffer::download(void* host, std::size_t bytes, std::size_t offset) const {
  if (bytes == 0) return;
  if (offset > size_ || bytes > size_ - offset)
    throw Error(ErrorKind::internal, "download outside a device buffer");
  check(cudaMemcpy(host, static_cast<const char*>(data_) + offset, bytes, cudaMemcpyDeviceToHost),
        "copy to host");
}

double median_seconds(int repeats, const std::function<void(int)>& launch, int warm_up) {
  const std::vector<Event> starts(static_cast<std::size_t>(repeats));
  const std::vector<Event> stops(starts.size());
  int i = 0;
  for (; i < warm_up; ++i) launch(i);
  for (std::size_t r = 0; r < starts.size(); ++r, ++i) {
    check(cudaEventRecord(starts[r].event), "cudaEventRecord");
    launch(i);
    check(cudaEventRecord(stops[r].event), "cudaEventRecord");
  }
  check(cudaDeviceSynchronize(), "kernel");
  std::vector<float> times(starts.size());
  for (std::size_t r = 0; r < times.size(); ++r) {
    check(cudaEventElapsedTime(&times[r], starts[r].event, stops[r].event), "cudaEventElapsedTime");
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2),
                   times.end());
  return static_cast<double>(times[times.size() / 2]) * 1e-3;
}

double measure_copy_rate(std::size_t bytes) {
  require_memory(4 * bytes, "copy benchmark");
  DeviceBuffer from[2] = {DeviceBuffer(bytes), DeviceBuffer(bytes)};
  DeviceBuffer to[2] = {DeviceBuffer(bytes), DeviceBuffer(bytes)};
  for (DeviceBuffer& buffer : from) buffer.fill(0x5A);
  const double seconds = median_seconds(40, [&](int i) {
    check(cudaMemcpyAsync(to[i % 2].get(), from[i % 2].get(), bytes, cudaMemcpyDeviceToDevice),
          "copy");
  });
  return 2.0 * static_cast<double>(bytes) / seconds;
}

double measure_cublas_fp16(std::int64_t m, std::int64_t n, std::int64_t k) {
  void* library = nullptr;
  for (const char* name : {"libcublas.so.13", "libcublas.so.12", "libcublas.so",
                           "/usr/local/cuda/lib64/libcublas.so"}) {
    library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
  }
  if (library == nullptr) return 0;
  // The C interface of cuBLAS, declared here because its header is not needed to build.
  using Create = int (*)(void**);
  using Destroy = int (*)(void*);
  using GemmEx = int (*)(void*, int, int, int, int, int, const void*, const void*, int, int,
                         const void*, int, int, const void*, void*, int, int, int, int);
  const auto create = reinterpret_cast<Create>(dlsym(library, "cublasCreate_v2"));
  const auto destroy = reinterpret_cast<Destroy>(dlsym(library, "cublasDestroy_v2"));
  const auto gemm = reinterpret_cast<GemmEx>(dlsym(library, "cublasGemmEx"));
  void* handle = nullptr;
  if (create == nullptr || destroy == nullptr || gemm == nullptr || create(&handle) != 0) return 0;
  const auto a_bytes = static_cast<std::size_t>(m * k) * 2;
  const auto b_bytes = static_cast<std::size_t>(n * k) * 2;
  const auto d_bytes = static_cast<std::size_t>(m * n) * 2;
  require_memory(a_bytes + b_bytes + d_bytes, "cuBLAS benchmark");
  DeviceBuffer a(a_bytes);
  DeviceBuffer b(b_bytes);
  DeviceBuffer d(d_bytes);
  // Random FP16 numbers of magnitude about 1 (constant data can run faster than real data).
  std::vector<std::uint16_t> host(static_cast<std::size_t>(std::max(m, n) * k));
  std::uint32_t state = 1;
  for (std::uint16_t& h : host) {
    state = state * 1664525U + 1013904223U;
    h = static_cast<std::uint16_t>((state >> 16 & 0x83FFU) | 0x3800U);
  }
  a.upload(host.data(), a_bytes);
  b.upload(host.data(), b_bytes);
  constexpr int f16 = 2;           // CUDA_R_16F
  constexpr int compute_f32 = 68;  // CUBLAS_COMPUTE_32F
  const float one = 1;
  const float zero = 0;
  int status = 0;
  // Column-major: D^T (n x m) = B (n x k, transposed) * A^T.
  const double seconds = median_seconds(
      15,
      [&](int) {
        status |= gemm(handle, 1, 0, static_cast<int>(n), static_cast<int>(m), static_cast<int>(k),
                       &one, b.get(), f16, static_cast<int>(k), a.get(), f16, static_cast<int>(k),
                       &zero, d.get(), f16, static_cast<int>(n), compute_f32, -1);
      },
      4);
  destroy(handle);
  if (status != 0) return 0;
  return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) / seconds;
}

}  // namespace lowbit::gpu
