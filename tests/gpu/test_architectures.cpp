// SPDX-License-Identifier: MIT
// Kernel records name the targets that the build was asked for. The records are compiled here a
// second time, against the list of a build with LOWBIT_GPU_ARCHITECTURES=sm_103a;sm_121a and with
// kernels of one architecture for others.
#include <string>
#include <vector>

#include "catch.hpp"
#include "harness/architectures.hpp"
#include "lowbit/error.hpp"

namespace {

using namespace lowbit;

TEST_CASE("records name what was built") {
  const std::vector<std::string> asked{"sm_103a", "sm_121a"};
  const std::vector<int> capabilities{103, 121};
  for (const gpu::Kernel& kernel : gpu::quantize_kernels()) {
    CHECK(kernel.info.architectures == asked);
    CHECK(kernel.info.compute_capabilities == capabilities);
    CHECK(gpu::architecture_on(kernel.info, 121) == "sm_121a");
    CHECK(gpu::architecture_on(kernel.info, 90).empty());
  }
  int portable = 0;
  for (const gpu::Kernel& kernel : gpu::gemm_kernels()) {
    INFO(kernel.info.name);
    if (kernel.info.name.ends_with("_mma_f16")) {
      ++portable;
      CHECK(kernel.info.architectures == asked);
      CHECK(kernel.info.compute_capabilities == capabilities);
    } else {
      const bool hopper =
          kernel.info.name.ends_with("_wgmma") || kernel.info.name.ends_with("_decode");
      const std::string one = hopper                                ? "sm_91a"
                              : kernel.info.name.ends_with("sm120") ? "sm_122a"
                                                                    : "sm_104f";
      CHECK(kernel.info.architectures == std::vector{one});
      CHECK(kernel.info.compute_capabilities == std::vector{hopper             ? 91
                                                            : one == "sm_122a" ? 122
                                                                               : 104});
    }
  }
  CHECK(portable == 3);
}

TEST_CASE("an architecture has a number") {
  CHECK(gpu::detail::capability_of("sm_90") == 90);
  CHECK(gpu::detail::capability_of("sm_100f") == 100);
  for (const char* wrong : {"", "sm_", "90a", "compute_90", "sm_x"})
    CHECK_THROWS_AS(gpu::detail::capability_of(wrong), Error);
}

}  // namespace
