// SPDX-License-Identifier: MIT
/// \file
/// What the harness knows of a CUDA kernel: a record that names it, and two functions that run it.
/// The built-in kernels and kernels of your own (quantize_harness.hpp, docs/gpu.md) are the same to
/// `lowbit gpu list`, `verify` and `bench`.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace lowbit::gpu {

/// What a kernel computes.
enum class Operation : std::uint8_t {
  quantize,  ///< a tensor to codes and scale bytes; byte for byte with lowbit::quantize
  gemm,      ///< D = A * B; word for word with the model of its instruction under its schedule
  decode,    ///< the same for 1 to 16 rows
};
/// The value's name, as the command prints it.
[[nodiscard]] std::string_view name_of(Operation operation);

/// Problem size. Quantize kernels use m rows and k columns. 0: the kernel's own default.
struct Shape {
  std::int64_t m = 0;  ///< rows of A and D; quantize: rows
  std::int64_t n = 0;  ///< rows of B, columns of D; quantize: unused
  std::int64_t k = 0;  ///< columns of A and B; quantize: columns
};

/// What a kernel is: its name, its job and what it runs on.
struct KernelInfo {
  std::string name;                           ///< unique; what --kernel takes
  Operation operation = Operation::quantize;  ///< what it computes
  std::vector<std::string> formats;           ///< block format names (lowbit::find_block_format)
  std::string rule;  ///< quantize: the scale rule (lowbit::name_of(ScaleRule)); else empty
  /// Machine code that the build made for it, such as "sm_90a". The built-in kernels take it from
  /// the build.
  std::vector<std::string> architectures;
  /// Compute capabilities on which it can run, major * 10 + minor: {90}. Others:
  /// Error(unavailable).
  std::vector<int> compute_capabilities;
  std::string instruction;  ///< GEMM: the instruction whose model it is held to; else empty
  std::string schedule;     ///< GEMM: order of the instructions per output, split, epilogue
  std::string note;         ///< one line for people
};

/// How much a kernel is verified on.
struct VerifyOptions {
  Shape shape{};           ///< problem size; zeros: the kernel's list of shapes
  std::uint64_t seed = 1;  ///< of the random inputs
  /// At least this many elements (quantize) or outputs (GEMM) in all; 0: one pass over the
  /// kernel's short list of shapes and inputs.
  std::uint64_t elements = 0;
  /// Also the inputs and outputs of this folder of golden files, where the kernel has any.
  std::string golden_dir;
};

/// What a verification compared and found.
struct VerifyResult {
  std::uint64_t compared = 0;    ///< elements (quantize: with their scale bytes) or output words
  std::uint64_t mismatched = 0;  ///< bytes (quantize) or words that differ
  std::uint64_t cases = 0;       ///< launches compared
  std::uint64_t library_compared = 0;  ///< GEMM: of them, also with the library's model on the host
  std::string first_mismatch;          ///< one line; empty if none
  double kernel_seconds = 0;           ///< device time of the kernel, all cases
  /// How many outputs would expose each named mutant of the reference (GEMM campaigns), of
  /// mutants_compared outputs on which they were evaluated.
  std::vector<std::pair<std::string, std::uint64_t>> mutants;
  std::uint64_t mutants_compared = 0;  ///< outputs on which the wrong models were evaluated
  std::uint64_t next_seed = 0;         ///< a campaign goes on with new inputs from this seed
};

/// What a timed run is compared with, and how long it is.
struct BenchOptions {
  Shape shape{};                       ///< problem size; zeros: the kernel's own
  int repeats = 60;                    ///< timed launches; the median is reported
  double copy_bytes_per_second = 0;    ///< of a device-to-device copy in this run (read + written)
  double cublas_flops_per_second = 0;  ///< of cuBLAS FP16 at the same shape, 0 if not loadable
};

/// One timed case of a kernel.
struct BenchResult {
  std::string what;           ///< "amax+quantize", "given amax", "16x8192x8192"
  double median_seconds = 0;  ///< device time of one launch
  double bytes = 0;           ///< that the launch must move at least
  double operations = 0;      ///< multiply-adds times two; 0 for quantize kernels
  double bytes_moved = 0;     ///< that it does move by design, where larger; else 0
  Shape shape{};  ///< what was timed: the shape that was asked for, or the kernel's own default
};

/// A kernel that the harness can run. The functions throw lowbit::Error: `unavailable` where the
/// device, the driver or its memory do not do, `usage` for a shape that makes no sense. Empty ones:
/// not offered, for kernels that nobody has run.
struct Kernel {
  KernelInfo info;  ///< what it is
  /// Compares its output with the reference
  std::function<VerifyResult(const VerifyOptions&)> verify;
  std::function<std::vector<BenchResult>(const BenchOptions&)> bench;  ///< times it
};

/// The kernels built into this library: quantize_kernels(), then gemm_kernels(). Needs no device.
[[nodiscard]] std::vector<Kernel> kernels();
/// The quantize kernels of this library.
[[nodiscard]] std::vector<Kernel> quantize_kernels();
/// The GEMM kernels of this library.
[[nodiscard]] std::vector<Kernel> gemm_kernels();

/// One recorded run of `lowbit gpu verify --record` (docs/gpu_runs/*.json, built into the library).
/// "Run on hardware" is said of a kernel only if such a record names it.
struct RunRecord {
  std::string device;                ///< its name
  std::string driver;                ///< its version
  std::string commit;                ///< that was built
  std::string date;                  ///< UTC, ISO 8601
  std::string architecture;          ///< "sm_90a": the machine code that ran
  std::vector<std::string> kernels;  ///< those that ran without a mismatch
};
/// Every record in this library, as docs/gpu_runs holds them. Thread-safe.
[[nodiscard]] std::span<const RunRecord> run_records();
/// The newest record that names the kernel, or nullptr.
[[nodiscard]] const RunRecord* find_run(const std::string& kernel);
/// Which of the kernel's architectures a device of this compute capability runs (90: "sm_90a");
/// empty if none.
[[nodiscard]] std::string architecture_on(const KernelInfo& kernel, int capability);
/// Those of the kernel's architectures whose machine code no record says has run.
[[nodiscard]] std::vector<std::string> not_run_architectures(const KernelInfo& kernel);

}  // namespace lowbit::gpu
