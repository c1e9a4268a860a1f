// SPDX-License-Identifier: MIT
// What is refused: by the quantize launcher before it touches a device, and of devices that do not
// do.
#include <cstdint>
#include <string>

#include "catch.hpp"
#include "harness/refusals.hpp"
#include "lowbit/error.hpp"
#include "lowbit/gpu/quantize.hpp"

using namespace lowbit;
using namespace lowbit::gpu;

namespace {

std::string refusal(const char* format, ScaleRule rule, std::int64_t rows, std::int64_t columns) {
  QuantizeConfig config;
  config.format = find_block_format(format);
  config.rule = rule;
  QuantizeBuffers buffers;  // no pointers: refused in any case, after the size
  buffers.rows = rows;
  buffers.columns = columns;
  try {
    launch_quantize(config, buffers);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("matrices with more blocks than the kernels' 32-bit indices count are refused") {
  const struct {
    const char* format;
    ScaleRule rule;
    int block;
  } cases[] = {{"nvfp4", ScaleRule::abs_max, 16},
               {"if6_e2m3", ScaleRule::mse, 16},
               {"mxfp8_e4m3", ScaleRule::floor, 32}};
  for (const auto& c : cases) {
    int accepted = 0;
    int refused = 0;
    for (std::int64_t rows = 1; rows < std::int64_t{1} << 33; rows = rows * 3 / 2 + 1) {
      for (std::int64_t columns = 16; columns < std::int64_t{1} << 33;
           columns = columns * 3 / 2 + 1) {
        const std::string message = refusal(c.format, c.rule, rows, columns);
        const bool too_many = message.find("too many blocks") != std::string::npos;
        const bool null = message.find("is null") != std::string::npos;
        INFO(c.format << ' ' << rows << " x " << columns << ": " << message);
        if (too_many == null) FAIL("neither refusal, or both");
        // Segments of 16 elements, blocks padded to whole ones, and rows to 32: below 2^31. The
        // product fits 64 bits where both factors are below 2^31.
        if (null) {
          if (rows >= std::int64_t{1} << 31 || columns >= std::int64_t{1} << 31)
            FAIL("a side of 2^31");
          const std::int64_t segments = (columns + c.block - 1) / c.block * (c.block / 16);
          if ((rows + 31) / 32 * 32 * segments >= std::int64_t{1} << 31) FAIL("2^31 segments");
        }
        ++(null ? accepted : refused);
      }
    }
    CHECK(accepted > 100);
    CHECK(refused > 100);
  }
  // No more is refused than needs be: 2^30 blocks pass.
  CHECK(refusal("nvfp4", ScaleRule::abs_max, std::int64_t{1} << 16, std::int64_t{1} << 18)
            .find("is null") != std::string::npos);
  CHECK(refusal("nvfp4", ScaleRule::abs_max, std::int64_t{1} << 16, std::int64_t{1} << 19)
            .find("too many") != std::string::npos);
}

TEST_CASE("a driver of an older major version is refused, with both versions") {
  using detail::driver_refusal;
  CHECK(driver_refusal(13000, 13000).empty());
  CHECK(driver_refusal(13000, 13010).empty());
  CHECK(driver_refusal(14000, 13000).empty());
  CHECK(driver_refusal(12080, 13000) ==
        "the CUDA driver is too old: it serves CUDA 12.8, this build needs 13.0");
  CHECK(driver_refusal(0, 13000) ==
        "no CUDA driver on this machine; GPU kernels need one (lowbit gpu list does not)");
}

TEST_CASE("a device without machine code for it is refused, with what the kernel needs") {
  const Device device{.name = "Some GPU", .driver = "", .capability = 80};
  const int hopper[] = {90};
  const int several[] = {80, 90, 120};
  CHECK(detail::architecture_refusal(device, several, "quantize_if4_mse").empty());
  CHECK(detail::architecture_refusal(device, hopper, "quantize_if4_mse") ==
        "quantize_if4_mse: Some GPU has compute capability 8.0; the kernel needs 9.0");
  const int blackwell[] = {100, 120};
  CHECK(detail::architecture_refusal(device, blackwell, "k") ==
        "k: Some GPU has compute capability 8.0; the kernel needs 10.0, 12.0");
}

TEST_CASE("too little device memory is refused, with both sizes; 256 MiB are left free") {
  constexpr std::size_t mib = std::size_t{1} << 20;
  CHECK(detail::memory_refusal(100 * mib, 356 * mib, "k").empty());
  CHECK(detail::memory_refusal(100 * mib, 356 * mib - 1, "k") ==
        "k: needs 356 MiB of device memory, 355 MiB are free; use a smaller shape");
  CHECK(!detail::memory_refusal(100 * mib, 50 * mib, "k").empty());
  CHECK(!detail::memory_refusal(~std::size_t{0} - mib, 80000 * mib, "k").empty());
}
