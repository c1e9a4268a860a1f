// SPDX-License-Identifier: MIT
// A command that was built without MPI, started by mpirun.
#include <sys/wait.h>
#include <unistd.h>

#include <catch.hpp>
#include <cstdlib>
#include <string>

#include "lowbit/error.hpp"
#include "processes.hpp"

using namespace lowbit;

namespace {

struct Joined {
  std::string message;  ///< of what was thrown
  bool speaks = true;
};

/// What join_processes() does under these variables, in a process of its own.
Joined join(std::initializer_list<std::pair<const char*, const char*>> variables) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    for (const auto& [name, value] : variables) ::setenv(name, value, 1);
    std::string text;
    try {
      cli::join_processes();
    } catch (const Error& error) {
      text = error.kind() == ErrorKind::unavailable ? error.what() : "another kind";
    }
    text.insert(0, cli::is_first_process() ? "1" : "0");
    const bool written = ::write(ends[1], text.data(), text.size()) >= 0;
    ::_exit(written ? 0 : 1);
  }
  ::close(ends[1]);
  std::string text;
  char buffer[512];
  for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(status == 0);
  REQUIRE(!text.empty());
  return {text.substr(1), text[0] == '1'};
}

}  // namespace

TEST_CASE("several processes without MPI are refused, with a remedy, by the first of them") {
  for (const auto& [size, rank] : {std::pair{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
                                   std::pair{"PMI_SIZE", "PMI_RANK"}}) {
    const Joined first = join({{size, "3"}, {rank, "0"}});
    CHECK(first.speaks);
    CHECK(first.message.starts_with("3 processes were started"));
    CHECK(first.message.find("run it without mpirun") != std::string::npos);
    CHECK(first.message.find("-DLOWBIT_WITH_MPI=ON") != std::string::npos);
    const Joined second = join({{size, "3"}, {rank, "1"}});
    CHECK_FALSE(second.speaks);
    CHECK_FALSE(second.message.empty());
    CHECK(join({{size, "1"}, {rank, "0"}}).message.empty());
  }
}

TEST_CASE("one process is not refused") {
  CHECK(join({}).message.empty());
  // Slurm with PMIx names no size.
  CHECK(join({{"PMIX_RANK", "0"}}).message.empty());
}
