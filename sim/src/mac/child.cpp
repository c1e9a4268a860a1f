// SPDX-License-Identifier: MIT
// A simulation in a child process, its statistics through a pipe.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "lowbit/error.hpp"
#include "lowbit/sim/mac_simulator.hpp"

// SystemC's library has a main() that wants this; ours starts the kernel itself.
extern "C" __attribute__((weak)) int sc_main(int /*argc*/, char* /*argv*/[]) {
  return 0;
}

namespace lowbit::sim {

MacRunStats run_in_child(const std::function<MacRunStats()>& simulate);

MacRunStats run_in_child(const std::function<MacRunStats()>& simulate) {
  int ends[2];
  if (pipe(ends) != 0) throw Error(ErrorKind::internal, "no pipe for the SystemC process");
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) throw Error(ErrorKind::internal, "no process for SystemC");
  if (child == 0) {
    close(ends[0]);
    setenv("SYSTEMC_COPYRIGHT_MESSAGE", "DISABLE", 1);
    // The kernel reports its end on stdout.
    if (std::freopen("/dev/null", "w", stdout) == nullptr) _exit(1);
    int code = 1;
    try {
      const MacRunStats s = simulate();
      FILE* out = fdopen(ends[1], "w");
      std::fprintf(out, "%lu %lu %lu %lu %lu %lu %.9g\n%s", s.outputs, s.mismatches, s.beats,
                   s.cycles, s.resets, s.refused, s.seconds, s.first_mismatch.c_str());
      code = std::fclose(out) == 0 ? 0 : 1;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "lowbit: SystemC: %s\n", error.what());
    }
    _exit(code);
  }
  close(ends[1]);
  std::string text;
  char buffer[512];
  for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  MacRunStats s;
  int used = 0;
  if (status != 0 ||
      std::sscanf(text.c_str(), "%lu %lu %lu %lu %lu %lu %lg\n%n", &s.outputs, &s.mismatches,
                  &s.beats, &s.cycles, &s.resets, &s.refused, &s.seconds, &used) != 7) {
    throw Error(ErrorKind::internal, "the SystemC process ended without a result");
  }
  s.first_mismatch = text.substr(static_cast<std::size_t>(used));
  return s;
}

}  // namespace lowbit::sim
