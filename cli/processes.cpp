// SPDX-License-Identifier: MIT
#include "processes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <set>
#include <string>

#include "lowbit/error.hpp"
#include "stop_signals.hpp"

namespace lowbit::cli {
namespace {

std::unique_ptr<Communicator> several;
bool is_silent = false;

/// The number in the first of the environment's variables that is there.
std::optional<unsigned long> number_in(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const char* text = std::getenv(name)) return std::strtoul(text, nullptr, 10);
  }
  return std::nullopt;
}

/// Standard output and error to nowhere; a fault of a mapped file is still named.
void be_silent() {
  is_silent = true;
  keep_fault_messages();
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere < 0) return;
  ::dup2(nowhere, STDOUT_FILENO);
  ::dup2(nowhere, STDERR_FILENO);
  ::close(nowhere);
}

void refuse_in_several(CLI::App& app, const std::string& path) {
  static const std::set<std::string> split{"dequantize", "eval", "help", "quantize",
                                           "verify quantize"};
  const auto any = [](const CLI::App*) { return true; };
  for (CLI::App* command : app.get_subcommands(any)) {
    const std::string name = path + command->get_name();
    refuse_in_several(*command, name + " ");
    if (split.contains(name) || !command->get_subcommands(any).empty()) continue;
    command->preparse_callback([name](std::size_t) {
      throw Error(
          ErrorKind::usage,
          fmt::format("lowbit {} is not split among processes: run it without mpirun", name));
    });
  }
}

}  // namespace

const Communicator& processes() {
  return several ? *several : alone();
}

bool is_first_process() {
  return !is_silent;
}

void join_processes() {
  // Open MPI and Slurm with PMIx; MPICH, Intel MPI and Slurm with PMI.
  const auto started = number_in({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"});
  const bool by_pmix = std::getenv("PMIX_RANK") != nullptr;
  if (started.value_or(by_pmix ? 2 : 1) == 1) return;
  const unsigned long rank = number_in({"OMPI_COMM_WORLD_RANK", "PMI_RANK"}).value_or(0);
  if (rank != 0) be_silent();
  several = mpi_processes();
  if (!several && started) {
    throw Error(
        ErrorKind::unavailable,
        fmt::format("{} processes were started, but this lowbit was built without MPI, and "
                    "each would do all of the work: run it without mpirun, or build it with "
                    "-DLOWBIT_WITH_MPI=ON",
                    *started));
  }
  if (several && several->size() == 1) {
    several.reset();
    if (!started) return;
    throw Error(
        ErrorKind::unavailable,
        fmt::format("{} processes were started, by another MPI than the one that lowbit was "
                    "built with: use the mpirun of that one",
                    *started));
  }
  if (!is_first_process() || processes().rank() == 0) return;
  be_silent();
}

void refuse_unsplit_commands(CLI::App& app) {
  if (processes().size() != 1) refuse_in_several(app, "");
}

void end_processes() {
  std::fflush(nullptr);
  several.reset();
}

}  // namespace lowbit::cli
