// SPDX-License-Identifier: MIT
// In place of mpi.cpp where the build has no MPI.
#include "processes.hpp"

namespace lowbit::cli {

std::unique_ptr<Communicator> mpi_processes() {
  return nullptr;
}

}  // namespace lowbit::cli
