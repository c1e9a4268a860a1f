// SPDX-License-Identifier: MIT
// The processes that run one command together, where mpirun started several.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>

#include "lowbit/communicator.hpp"

namespace lowbit::cli {

/// Those that run this command; this one alone, unless join_processes() found others.
[[nodiscard]] const Communicator& processes();
/// Whether this process prints and writes reports: the one of rank 0.
[[nodiscard]] bool is_first_process();

/// Finds the processes that mpirun started. All but the first one print nothing from here on.
/// \throws Error(unavailable) where there are several and they cannot work together
void join_processes();
/// Makes commands that are not split among processes refuse to run in several.
void refuse_unsplit_commands(CLI::App& app);
/// Ends MPI, after everything is printed.
void end_processes();

/// The processes of MPI; null in a build without MPI. \throws Error(unavailable)
[[nodiscard]] std::unique_ptr<Communicator> mpi_processes();

}  // namespace lowbit::cli
