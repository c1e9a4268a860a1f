// SPDX-License-Identifier: MIT
// Host side of the quantize kernels: which kernel, with which arguments.
#include "lowbit/gpu/quantize.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lowbit/error.hpp"
#include "lowbit/gpu/device.hpp"
#include "quantize/launch.hpp"

namespace lowbit::gpu {
namespace {

using namespace detail;

struct Entry {
  std::string_view format;
  cudaError_t (*launch)(const Arguments&, const Launch&);
};
constexpr auto entries = std::to_array<Entry>({
    {"nvfp4", launch_nvfp4},
    {"nvint4", launch_nvint4},
    {"if4", launch_if4},
    {"if3", launch_if3},
    {"if6_e2m3", launch_if6_e2m3},
    {"if6_e3m2", launch_if6_e3m2},
    {"mxfp4", launch_mxfp4},
    {"mxfp6_e2m3", launch_mxfp6_e2m3},
    {"mxfp6_e3m2", launch_mxfp6_e3m2},
    {"mxfp8_e4m3", launch_mxfp8_e4m3},
    {"mxfp8_e5m2", launch_mxfp8_e5m2},
});

const Entry* find_entry(const BlockFormat& format) {
  for (const Entry& entry : entries) {
    if (entry.format == format.name) return &entry;
  }
  return nullptr;
}

// The numbers of Selection (element.cuh) and MxRule (mx_block.cuh), which is device code.
int rule_number(const BlockFormat& format, ScaleRule rule) {
  const bool mx = format.family() == ScaleFamily::mx;
  switch (rule) {
    case ScaleRule::static_6:
      return mx ? 1 : 0;
    case ScaleRule::static_4:
      return mx ? 4 : 0;
    case ScaleRule::mse:
      return 1;
    case ScaleRule::mae:
      return 2;
    case ScaleRule::abs_max:
      return 3;
    case ScaleRule::floor:
      return 0;
    case ScaleRule::rceil:
      return 1;
    case ScaleRule::ceil:
      return 2;
    case ScaleRule::even:
      return 3;
    case ScaleRule::optimal:
    case ScaleRule::search:
      throw Error(ErrorKind::usage,
                  fmt::format("rule {}: no kernel searches for scales", name_of(rule)));
  }
  return 0;
}

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorKind::usage, message);
}

std::int64_t blocks_in(const BlockFormat& format, std::int64_t columns) {
  return (columns + format.block_size - 1) / format.block_size;
}

bool is_aligned(const void* pointer, std::uintptr_t to) {
  return reinterpret_cast<std::uintptr_t>(pointer) % to == 0;
}

int multiprocessors() {
  int device = 0;
  int count = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device),
        "cudaDeviceGetAttribute");
  return count;
}

void check_request(const QuantizeConfig& c, const QuantizeBuffers& b) {
  if (c.format == nullptr) refuse("no block format is given");
  if (c.scale_layout != ScaleLayout::linear && c.scale_layout != ScaleLayout::swizzled) {
    refuse(fmt::format("no GPU kernel writes scales in the order {}; there are linear and swizzled",
                       name_of(c.scale_layout)));
  }
  if (!has_quantize_kernel(*c.format, c.rule)) {
    refuse(fmt::format("no GPU kernel quantizes {} with rule {}", c.format->name, name_of(c.rule)));
  }
  if (b.rows < 0 || b.columns < 0)
    refuse("a matrix cannot have a negative number of rows or columns");
  constexpr std::int64_t most = std::int64_t{1} << 31;
  if (b.rows >= most || b.columns >= most ||
      (b.rows != 0 &&
       (blocks_in(*c.format, b.columns) * c.format->block_size / 16) >= most / (b.rows + 31))) {
    refuse(fmt::format(
        "a matrix of {} x {} has too many blocks for one launch (2^31): quantize it in parts",
        b.rows, b.columns));
  }
  if (c.hadamard && b.columns % 16 != 0) {
    refuse(fmt::format("the 16-point Hadamard transform needs a multiple of 16 columns, not {}",
                       b.columns));
  }
  const bool empty = b.rows == 0 || b.columns == 0;
  if (!empty && (b.input == nullptr || b.values == nullptr || b.scales == nullptr ||
                 b.workspace == nullptr)) {
    refuse("a device pointer (input, values, scales or workspace) is null");
  }
  if (c.scale_max != 0 &&
      (c.format->family() == ScaleFamily::mx ||
       (c.scale_max != c.format->largest_scale() && c.scale_max != c.format->headroom_scale()))) {
    refuse(fmt::format("the E4M3 maximum of {} cannot be {}", c.format->name, c.scale_max));
  }
}

}  // namespace

bool has_quantize_kernel(const BlockFormat& format, ScaleRule rule) {
  return find_entry(format) != nullptr && is_valid_rule(format, rule);
}

std::size_t value_bytes(const BlockFormat& format, std::int64_t rows, std::int64_t columns) {
  return static_cast<std::size_t>(rows * blocks_in(format, columns) * format.block_size *
                                  format.storage_bits() / 8);
}

std::size_t scale_bytes(const BlockFormat& format, std::int64_t rows, std::int64_t columns,
                        ScaleLayout layout) {
  const auto r = static_cast<std::size_t>(rows);
  const auto blocks = static_cast<std::size_t>(blocks_in(format, columns));
  return layout == ScaleLayout::swizzled ? swizzled_scale_bytes(r, blocks) : r * blocks;
}

void launch_quantize(const QuantizeConfig& c, const QuantizeBuffers& b, QuantizePath path) {
  check_request(c, b);
  if (b.first_nonfinite != nullptr) {
    check(cudaMemsetAsync(b.first_nonfinite, 0xFF, sizeof(std::uint64_t), b.stream),
          "cudaMemsetAsync");
  }
  const BlockFormat& format = *c.format;
  const bool mx = format.family() == ScaleFamily::mx;
  if (b.rows == 0 || b.columns == 0) {
    if (b.amax == nullptr) return;
    constexpr float one = 1.0F;
    if (mx) {
      check(cudaMemcpyAsync(b.amax, &one, sizeof one, cudaMemcpyHostToDevice, b.stream),
            "cudaMemcpyAsync");
    } else if (b.given_amax != nullptr) {
      check(
          cudaMemcpyAsync(b.amax, b.given_amax, sizeof(float), cudaMemcpyDeviceToDevice, b.stream),
          "cudaMemcpyAsync");
    } else {
      check(cudaMemsetAsync(b.amax, 0, sizeof(float), b.stream), "cudaMemsetAsync");
    }
    return;
  }

  const std::size_t element_bytes = c.input_type == InputType::float32 ? 4 : 2;
  const auto rows = static_cast<std::uint32_t>(b.rows);
  const auto columns = static_cast<std::uint32_t>(b.columns);
  Arguments a{};
  a.input = b.input;
  a.values = b.values;
  a.scales = b.scales;
  a.given_amax = b.given_amax;
  a.partial_maxima = static_cast<std::uint32_t*>(b.workspace);
  a.amax = b.amax;
  a.first_nonfinite = reinterpret_cast<unsigned long long*>(b.first_nonfinite);
  a.rows = rows;
  a.columns = columns;
  a.blocks = static_cast<std::uint32_t>(blocks_in(format, b.columns));
  a.rule = rule_number(format, c.rule);
  a.type = c.input_type == InputType::float32   ? Input::f32
           : c.input_type == InputType::float16 ? Input::f16
                                                : Input::bf16;
  a.policy = c.nonfinite == NonFinite::error      ? Policy::error
             : c.nonfinite == NonFinite::saturate ? Policy::saturate
                                                  : Policy::propagate;
  a.hadamard = c.hadamard;
  a.swizzled = c.scale_layout == ScaleLayout::swizzled;
  a.aligned_input = is_aligned(b.input, 16) && columns * element_bytes % 16 == 0;
  a.aligned_values = is_aligned(b.values, format.storage_bits() == 4 ? 8 : 16);
  a.exact = path == QuantizePath::literal;
  const bool selects =
      c.rule == ScaleRule::mse || c.rule == ScaleRule::mae || c.rule == ScaleRule::abs_max;
  const bool four_over_six = selects && !format.is_adaptive();
  a.largest = c.rule == ScaleRule::static_4 ? 4.0F : format.largest_element();
  const float scale_max = c.scale_max != 0
                              ? c.scale_max
                              : (four_over_six ? format.headroom_scale() : format.largest_scale());
  a.constant = mx ? 1.0F : a.largest * scale_max;

  const std::size_t scales = scale_bytes(format, b.rows, b.columns, c.scale_layout);
  if (a.swizzled && scales != static_cast<std::size_t>(rows) * a.blocks) {
    check(cudaMemsetAsync(b.scales, 0, scales, b.stream), "cudaMemsetAsync");  // padding
  }

  Launch launch{Kind::general, multiprocessors(), b.stream, false};
  const bool whole = columns % static_cast<std::uint32_t>(format.block_size) == 0;
  const bool vectors = is_aligned(b.input, 16) && !c.hadamard && path == QuantizePath::automatic;
  if (!mx && b.given_amax == nullptr) {
    Arguments pass = a;
    const std::size_t bytes = static_cast<std::size_t>(rows) * columns * element_bytes;
    const bool fast = vectors && bytes % 16 == 0 && bytes / 16 < (std::size_t{1} << 31);
    pass.items = fast ? static_cast<std::uint32_t>(bytes / 16) : rows * ((columns + 15) / 16);
    pass.per_row = make_divisor((columns + 15) / 16);
    launch.kind = fast ? Kind::fast : Kind::general;
    const std::uint32_t wanted = (pass.items - 1) / amax_threads + 1;
    const auto most = std::min(static_cast<std::uint32_t>(launch.multiprocessors) * 4,
                               static_cast<std::uint32_t>(max_partial_maxima));
    pass.partial_count = a.partial_count = std::min(wanted, most);
    check(launch_amax(pass, launch), "amax kernel");
    launch.follows_amax = true;
  }

  if (c.block_2d) {
    launch.kind = Kind::general_2d;
    // A warp takes a 32x32 block, or two 16x16 ones beside each other.
    const std::uint32_t across = mx ? a.blocks : (a.blocks + 1) / 2;
    const std::uint32_t down = mx ? (rows + 31) / 32 : (rows + 15) / 16;
    a.per_row = make_divisor(across);
    a.items = across * down;
  } else if (vectors && whole && element_bytes == 2 && a.aligned_values) {
    launch.kind = Kind::fast;
    const std::uint32_t segments = columns / 16;
    a.per_row = make_divisor(segments);
    a.items = rows * segments;
  } else {
    launch.kind = Kind::general;
    a.per_row = make_divisor(a.blocks);
    a.items = rows * a.blocks;
  }
  check(find_entry(format)->launch(a, launch), "quantize kernel");
}

}  // namespace lowbit::gpu
