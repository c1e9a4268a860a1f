// SPDX-License-Identifier: MIT
#include "lowbit/gpu/quantize_harness.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <mutex>
#include <optional>

#include "harness/test_inputs.hpp"
#include "lowbit/detail/parallel.hpp"
#include "lowbit/error.hpp"
#include "lowbit/gpu/device.hpp"
#include "lowbit/hadamard.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit::gpu {
namespace {

using detail::element_bytes;
using detail::InputKind;
using lowbit::detail::parallel_parts;

constexpr std::size_t guard = 256;
constexpr int guard_byte = 0x5A;

std::string_view type_name(InputType type) {
  return type == InputType::float32 ? "f32" : type == InputType::float16 ? "f16" : "bf16";
}

/// Page-locked host memory, kept from case to case. Copies of ordinary memory, and touching it for
/// the first time, would take longer than the reference on many cores.
class HostBuffer {
 public:
  HostBuffer() = default;
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;
  ~HostBuffer() { cudaFreeHost(data_); }
  std::span<std::uint8_t> take(std::size_t bytes) {
    if (bytes > size_) {
      cudaFreeHost(data_);
      data_ = nullptr;
      size_ = 0;
      check(cudaMallocHost(&data_, bytes), "page-locked memory");
      size_ = bytes;
    }
    return {static_cast<std::uint8_t*>(data_), bytes};
  }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

/// What a kernel's cases share on the host.
struct HostMemory {
  HostBuffer raw, values, scales;
};

/// One launch and what it is compared with.
struct Case {
  std::string name{};
  QuantizeConfig config{};
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::span<const float> values{};
  std::optional<float> given_amax{};
  std::size_t input_offset = 0;  ///< bytes by which the pointers are out of line
  std::size_t output_offset = 0;
};

struct Outcome {
  std::uint64_t mismatched = 0;
  std::string first;
  double seconds = 0;

  void add(std::uint64_t count, const std::string& text) {
    if (count == 0) return;
    if (first.empty()) first = text;
    mismatched += count;
  }
};

QuantizeOptions reference_options(const Case& c) {
  QuantizeOptions options{.format = c.config.format, .rule = c.config.rule};
  if (c.config.scale_max != 0) options.scale_max = c.config.scale_max;
  options.block_2d = c.config.block_2d;
  if (c.config.hadamard) options.transforms = {hadamard()};
  options.nonfinite =
      c.config.nonfinite == NonFinite::error ? NonFinite::propagate : c.config.nonfinite;
  options.input_type = c.config.input_type;
  return options;
}

/// The reference in strips of rows, on all cores, against the device's bytes.
void compare(const Case& c, std::span<const std::uint8_t> values,
             std::span<const std::uint8_t> scales, float amax, Outcome& outcome) {
  const BlockFormat& format = *c.config.format;
  const QuantizeOptions base = reference_options(c);
  const auto rows = static_cast<std::size_t>(c.rows);
  const auto columns = static_cast<std::size_t>(c.columns);
  const bool mx = format.family() == ScaleFamily::mx;

  // The amax first: strips need the whole tensor's.
  float expected_amax = 0;
  std::mutex lock;
  parallel_parts(rows, 32, [&](std::size_t first, std::size_t last) {
    const float m = measure_amax(c.values.subspan(first * columns, (last - first) * columns),
                                 last - first, columns, base);
    const std::lock_guard guarded(lock);
    expected_amax = std::max(expected_amax, m);
  });
  if (c.given_amax) expected_amax = *c.given_amax;
  const float stored = mx ? 1.0F : expected_amax;
  if (std::bit_cast<std::uint32_t>(stored) != std::bit_cast<std::uint32_t>(amax)) {
    outcome.add(1, fmt::format("{}: amax {:a} instead of {:a}", c.name, amax, stored));
  }

  const std::size_t blocks = (columns + static_cast<std::size_t>(format.block_size) - 1) /
                             static_cast<std::size_t>(format.block_size);
  const bool swizzled = c.config.scale_layout == ScaleLayout::swizzled;
  parallel_parts(rows, 32, [&](std::size_t first, std::size_t last) {
    QuantizeOptions options = base;
    options.amax = expected_amax;
    const BlockTensor expected =
        quantize(c.values.subspan(first * columns, (last - first) * columns), last - first, columns,
                 options);
    std::uint64_t wrong = 0;
    std::string text;
    const std::uint8_t* got = values.data() + first * expected.value_bytes_per_row();
    if (std::memcmp(got, expected.values.data(), expected.values.size()) != 0) {
      for (std::size_t i = 0; i < expected.values.size(); ++i) {
        if (got[i] == expected.values[i] || wrong++ != 0) continue;
        text = fmt::format("{}: row {}, value byte {}: {:02x} instead of {:02x}", c.name,
                           first + i / expected.value_bytes_per_row(),
                           i % expected.value_bytes_per_row(), got[i], expected.values[i]);
      }
    }
    for (std::size_t i = 0; i < expected.scales.size(); ++i) {
      const std::size_t row = first + i / blocks;
      const std::size_t at =
          swizzled ? swizzled_scale_offset(row, i % blocks, blocks) : row * blocks + i % blocks;
      if (scales[at] == expected.scales[i]) continue;
      if (wrong++ == 0) {
        text = fmt::format("{}: row {}, scale byte {}: {:02x} instead of {:02x}", c.name, row,
                           i % blocks, scales[at], expected.scales[i]);
      }
    }
    if (wrong == 0) return;
    const std::lock_guard guarded(lock);
    outcome.add(wrong, text);
  });
  if (!swizzled) return;
  std::vector<std::uint8_t> copy(scales.begin(), scales.end());
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t b = 0; b < blocks; ++b) copy[swizzled_scale_offset(r, b, blocks)] = 0;
  }
  const auto dirty = static_cast<std::uint64_t>(
      std::count_if(copy.begin(), copy.end(), [](std::uint8_t b) { return b != 0; }));
  outcome.add(dirty, c.name + ": padding of the swizzled scales is not 0");
}

void check_guards(std::span<const std::uint8_t> bytes, std::size_t from, std::size_t size,
                  const std::string& what, Outcome& outcome) {
  const auto touched = [](std::span<const std::uint8_t> part) {
    return static_cast<std::uint64_t>(
        std::count_if(part.begin(), part.end(), [](std::uint8_t b) { return b != guard_byte; }));
  };
  outcome.add(touched(bytes.first(from)) + touched(bytes.subspan(from + size)),
              what + " was written outside");
}

/// Index of the first NaN or infinity, all ones if there is none.
std::uint64_t first_nonfinite(std::span<const float> x) {
  std::atomic<std::uint64_t> first{std::numeric_limits<std::uint64_t>::max()};
  parallel_parts(x.size(), 65536, [&](std::size_t begin, std::size_t end) {
    const auto found = std::find_if(x.begin() + static_cast<std::ptrdiff_t>(begin),
                                    x.begin() + static_cast<std::ptrdiff_t>(end),
                                    [](float v) { return !std::isfinite(v); });
    const auto at = static_cast<std::uint64_t>(found - x.begin());
    if (at == end) return;
    std::uint64_t seen = first;
    while (at < seen && !first.compare_exchange_weak(seen, at)) {
    }
  });
  return first;
}

Outcome run(const QuantizeKernel& kernel, const Case& c, HostMemory& host) {
  Outcome outcome;
  const BlockFormat& format = *c.config.format;
  const std::size_t input_bytes = c.values.size() * element_bytes(c.config.input_type);
  const std::size_t values_size = value_bytes(format, c.rows, c.columns);
  const std::size_t scales_size = scale_bytes(format, c.rows, c.columns, c.config.scale_layout);
  const auto raw = host.raw.take(input_bytes);
  parallel_parts(c.values.size(), 4096, [&](std::size_t first, std::size_t last) {
    detail::to_raw(c.values.subspan(first, last - first), c.config.input_type,
                   raw.data() + first * element_bytes(c.config.input_type));
  });
  DeviceBuffer input(input_bytes + guard);
  DeviceBuffer values(values_size + 2 * guard);
  DeviceBuffer scales(scales_size + 2 * guard);
  DeviceBuffer small(32);
  DeviceBuffer workspace(quantize_workspace_bytes);
  input.upload(raw.data(), raw.size(), c.input_offset);
  for (DeviceBuffer* buffer : {&values, &scales, &small, &workspace}) buffer->fill(guard_byte);
  QuantizeBuffers b;
  b.input = input.as<std::uint8_t>() + c.input_offset;
  b.rows = c.rows;
  b.columns = c.columns;
  b.values = values.as<std::uint8_t>() + guard + c.output_offset;
  b.scales = scales.as<std::uint8_t>() + guard + c.output_offset;
  b.amax = small.as<float>();
  // A kernel without policies is given finite elements alone, and reports none of the others.
  const bool reports = kernel.features.nonfinite && c.config.nonfinite == NonFinite::error;
  b.first_nonfinite = reports ? small.as<std::uint64_t>() + 1 : nullptr;
  if (c.given_amax) {
    small.upload(&*c.given_amax, sizeof(float), 16);
    b.given_amax = small.as<float>() + 4;
  }
  b.workspace = workspace.get();
  outcome.seconds = median_seconds(
      1, [&](int) { kernel.launch(c.config, b); }, 0);

  const auto out_values = host.values.take(values.size());
  const auto out_scales = host.scales.take(scales.size());
  struct {
    float amax;
    std::uint32_t unused;
    std::uint64_t first_nonfinite;
  } out{};
  values.download(out_values.data(), out_values.size());
  scales.download(out_scales.data(), out_scales.size());
  small.download(&out, sizeof out);
  check_guards(out_values, guard + c.output_offset, values_size, c.name + ": values", outcome);
  check_guards(out_scales, guard + c.output_offset, scales_size, c.name + ": scales", outcome);
  const auto values_at = out_values.subspan(guard + c.output_offset, values_size);
  const auto scales_at = out_scales.subspan(guard + c.output_offset, scales_size);
  compare(c, values_at, scales_at, out.amax, outcome);
  if (b.first_nonfinite != nullptr) {
    const std::uint64_t expected =
        c.config.hadamard ? out.first_nonfinite : first_nonfinite(c.values);
    if (out.first_nonfinite != expected) {
      outcome.add(1, fmt::format("{}: first non-finite element {} instead of {}", c.name,
                                 out.first_nonfinite, expected));
    }
  }
  return outcome;
}

void add(VerifyResult& result, const Case& c, const Outcome& outcome) {
  ++result.cases;
  result.compared += c.values.size();
  result.mismatched += outcome.mismatched;
  result.kernel_seconds += outcome.seconds;
  if (result.first_mismatch.empty()) result.first_mismatch = outcome.first;
}

std::vector<bool> options_of(bool feature) {
  return feature ? std::vector<bool>{false, true} : std::vector<bool>{false};
}

/// Small tensors: every combination of features, with the kinds of input in turn.
void directed_cases(const QuantizeKernel& kernel, std::uint64_t seed, HostMemory& host,
                    VerifyResult& result) {
  const QuantizeFeatures& f = kernel.features;
  const int size = kernel.config.format->block_size;
  std::vector<std::pair<std::int64_t, std::int64_t>> shapes{{64, 512}, {2 * size, 16 * size}};
  if (f.any_shape) {
    for (const auto& shape : {std::pair<std::int64_t, std::int64_t>{33, 1000},
                              {1, 1},
                              {17, 40},
                              {129, 80},
                              {3, 0},
                              {0, 48}})
      shapes.push_back(shape);
  }
  std::uint64_t turn = seed;
  for (const InputType type : f.input_types) {
    for (const bool block_2d : options_of(f.block_2d)) {
      for (const bool hadamard : options_of(f.hadamard)) {
        for (const bool swizzled : options_of(f.swizzled)) {
          for (const bool given : options_of(f.given_amax)) {
            for (auto [rows, columns] : shapes) {
              for (int misaligned = 0; misaligned < (f.any_shape ? 2 : 1); ++misaligned) {
                if (hadamard) columns = (columns + 15) / 16 * 16;
                const auto kind =
                    static_cast<InputKind>(turn++ % static_cast<std::uint64_t>(InputKind::count));
                std::vector<float> x(static_cast<std::size_t>(rows * columns));
                detail::make_input(kind, type, turn, 0, x);
                Case c{.config = kernel.config, .rows = rows, .columns = columns, .values = x};
                c.config.input_type = type;
                c.config.block_2d = block_2d;
                c.config.hadamard = hadamard;
                c.config.scale_layout = swizzled ? ScaleLayout::swizzled : ScaleLayout::linear;
                if (f.nonfinite) {
                  c.config.nonfinite = static_cast<NonFinite>(turn / 3 % 3);
                  const float bad[] = {std::numeric_limits<float>::infinity(),
                                       -std::numeric_limits<float>::infinity(),
                                       std::numeric_limits<float>::quiet_NaN()};
                  if (turn % 2 == 0 && !x.empty()) {
                    for (int i = 0; i < 3; ++i)
                      x[(turn * 7919 + static_cast<std::uint64_t>(i) * 104729) % x.size()] = bad[i];
                  }
                }
                if (given) {
                  float m = 0;
                  for (const float v : x) m = std::isfinite(v) ? std::max(m, std::fabs(v)) : m;
                  const float factors[] = {1.0F, 0.25F, 3.0F, 0.0F, 0x1p-20F};
                  c.given_amax = m * factors[turn % 5];
                }
                c.input_offset = misaligned != 0 ? (turn % 2 == 0 ? 1 : element_bytes(type)) : 0;
                c.output_offset = misaligned != 0 ? 1 + turn % 3 : 0;
                c.name = fmt::format("{} {}x{}{}{}{}{}{} {}", type_name(type), rows, columns,
                                     block_2d ? " 2D" : "", hadamard ? " hadamard" : "",
                                     swizzled ? " swizzled" : "", given ? " given" : "",
                                     misaligned != 0 ? " misaligned" : "", name_of(kind));
                add(result, c, run(kernel, c, host));
              }
            }
          }
        }
      }
    }
  }
}

void golden_cases(const QuantizeKernel& kernel, const std::string& folder, HostMemory& host,
                  VerifyResult& result) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".safetensors") paths.push_back(entry.path());
  }
  if (paths.empty())
    throw Error(ErrorKind::invalid_input, folder + ": no .safetensors files there");
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    const TensorFile file = TensorFile::open(path);
    const TensorInfo* input = file.find("input");
    if (input == nullptr) continue;
    const InputType type = *input->dtype == dtype_f32   ? InputType::float32
                           : *input->dtype == dtype_f16 ? InputType::float16
                                                        : InputType::bfloat16;
    const auto& types = kernel.features.input_types;
    if (std::find(types.begin(), types.end(), type) == types.end()) continue;
    const std::vector<float> x = to_f32(*input);
    for (const bool block_2d : options_of(kernel.features.block_2d)) {
      for (const bool hadamard : options_of(kernel.features.hadamard)) {
        Case c{.config = kernel.config,
               .rows = static_cast<std::int64_t>(input->rows()),
               .columns = static_cast<std::int64_t>(input->columns()),
               .values = x};
        c.config.input_type = type;
        c.config.block_2d = block_2d;
        c.config.hadamard = hadamard;
        c.name = fmt::format("{}{}{}", path.stem().string(), block_2d ? " 2D" : "",
                             hadamard ? " hadamard" : "");
        add(result, c, run(kernel, c, host));
      }
    }
  }
}

/// Large tensors until that many elements have been compared.
void bulk_cases(const QuantizeKernel& kernel, const VerifyOptions& options, HostMemory& host,
                VerifyResult& result) {
  const QuantizeFeatures& f = kernel.features;
  const std::int64_t rows = options.shape.m != 0 ? options.shape.m : 4096;
  const std::int64_t columns = options.shape.k != 0 ? options.shape.k : 8192;
  if (rows > (std::int64_t{1} << 31) / std::max<std::int64_t>(columns, 1)) {
    throw Error(ErrorKind::usage,
                "--shape: a verified tensor has at most 2^31 elements; raise --elements instead");
  }
  const auto count = static_cast<std::size_t>(rows * columns);
  require_memory(count * 8, kernel.info.name);
  std::vector<float> x(count);
  std::uint64_t done = 0;
  constexpr std::uint64_t tensors_a_seed = 1000;
  for (std::uint64_t i = 0; done < options.elements || (i == 0 && options.shape.m != 0); ++i) {
    if (count == 0) break;
    result.next_seed = options.seed + i / tensors_a_seed + 1;
    // Half of them 1D BF16 (the fast path); the others every type, 2D and Hadamard in turn.
    const InputType type =
        i % 2 == 0 ? f.input_types.front() : f.input_types[i / 2 % f.input_types.size()];
    const auto kind = static_cast<InputKind>(i * 3 % static_cast<std::uint64_t>(InputKind::count));
    Case c{.config = kernel.config, .rows = rows, .columns = columns, .values = x};
    c.config.input_type = type;
    c.config.block_2d = f.block_2d && i % 4 == 3;
    c.config.hadamard = f.hadamard && i % 8 == 5 && columns % 16 == 0;
    if (f.swizzled && i % 8 == 4) c.config.scale_layout = ScaleLayout::swizzled;
    c.name = fmt::format("{} {}x{}{}{} {} seed {}+{}", type_name(type), rows, columns,
                         c.config.block_2d ? " 2D" : "", c.config.hadamard ? " hadamard" : "",
                         name_of(kind), options.seed, i);
    parallel_parts(count, 4096, [&](std::size_t first, std::size_t last) {
      detail::make_input(kind, type, options.seed * tensors_a_seed + i, first,
                         std::span(x).subspan(first, last - first));
    });
    add(result, c, run(kernel, c, host));
    done += count;
  }
}

}  // namespace

VerifyResult verify_quantize(const QuantizeKernel& kernel, const VerifyOptions& options) {
  if (kernel.config.format == nullptr || !kernel.launch)
    throw Error(ErrorKind::usage, kernel.info.name + ": no format or no launch function");
  require_device(kernel.info.compute_capabilities, kernel.info.name);
  VerifyResult result;
  result.next_seed = options.seed + 1;
  HostMemory host;
  directed_cases(kernel, options.seed, host, result);
  if (!options.golden_dir.empty()) golden_cases(kernel, options.golden_dir, host, result);
  if (options.elements != 0 || options.shape.m != 0) bulk_cases(kernel, options, host, result);
  return result;
}

Kernel as_kernel(QuantizeKernel kernel) {
  Kernel entry;
  entry.info = kernel.info;
  entry.verify = [kernel](const VerifyOptions& options) {
    return verify_quantize(kernel, options);
  };
  entry.bench = [kernel](const BenchOptions& options) { return bench_quantize(kernel, options); };
  return entry;
}

}  // namespace lowbit::gpu
