// SPDX-License-Identifier: MIT
// Output files appear whole or not at all, also where a signal ends the process.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <set>
#include <thread>
#include <vector>

#include "../catch.hpp"
#include "lowbit/error.hpp"
#include "lowbit/output_file.hpp"
#include "scratch.hpp"

using lowbit::OutputFile;
using lowbit::test::read_file;
using lowbit::test::Scratch;
using lowbit::test::write_file;

namespace {

std::set<std::string> names_in(const Scratch& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

/// Runs f in a child process. \return how it ended, as waitpid says.
template <typename F>
int in_child(const F& f) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    f();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

extern "C" void abandon_and_die(int signal) {
  lowbit::abandon_output_files();
  ::signal(signal, SIG_DFL);
  sigset_t self;
  ::sigemptyset(&self);
  ::sigaddset(&self, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &self, nullptr);
  ::raise(signal);
}

}  // namespace

TEST_CASE("an output file appears on commit, and not without") {
  const Scratch folder;
  {
    OutputFile file(folder / "a");
    file.write("new");
    CHECK(names_in(folder).size() == 1);
    CHECK_FALSE(std::filesystem::exists(folder / "a"));
  }
  CHECK(names_in(folder).empty());
  write_file(folder / "a", "old");
  {
    OutputFile first(folder / "a");
    OutputFile second(folder / "b");
    OutputFile third(folder / "c");
    first.write("new");
    second.write("b");
    CHECK(read_file(folder / "a") == "old");
    first.commit();
    CHECK(read_file(folder / "a") == "new");
    CHECK(names_in(folder).size() == 3);
    third.commit();
  }
  CHECK(names_in(folder) == std::set<std::string>{"a", "c"});
  CHECK_THROWS_AS(OutputFile(folder / "no/such/folder"), lowbit::Error);
  CHECK_THROWS_AS(OutputFile(folder.path()), lowbit::Error);
}

TEST_CASE("abandoned files go, committed ones stay") {
  const Scratch folder;
  CHECK(in_child([&] {
          OutputFile committed(folder / "committed");
          OutputFile first(folder / "first");
          OutputFile gone(folder / "gone");
          OutputFile last(folder / "last");
          committed.commit();
          { OutputFile dropped(folder / "dropped"); }
          gone.write("half");
          lowbit::abandon_output_files();
          ::_exit(0);
        }) == 0);
  CHECK(names_in(folder) == std::set<std::string>{"committed"});
}

TEST_CASE("a child process does not remove its parent's files") {
  const Scratch folder;
  OutputFile mine(folder / "mine");
  mine.write("text");
  CHECK(in_child([&] {
          OutputFile of_child(folder / "of_child");
          lowbit::abandon_output_files();
          ::_exit(0);
        }) == 0);
  CHECK(names_in(folder).size() == 1);
  mine.commit();
  CHECK(read_file(folder / "mine") == "text");
}

TEST_CASE("a signal at any moment leaves whole files and no temporary one") {
  // Threads create, commit and drop files as fast as they can while the signal comes.
  for (int round = 0; round < 60; ++round) {
    const Scratch folder;
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      struct sigaction action {};
      action.sa_handler = abandon_and_die;
      ::sigfillset(&action.sa_mask);
      ::sigaction(SIGTERM, &action, nullptr);
      write_file(folder / "ready", "");
      const auto work = [&](int thread) {
        for (int i = 0;; ++i) {
          OutputFile file(folder / ("t" + std::to_string(thread)));
          file.write("whole");
          if (i % 2 == 0) file.commit();
        }
      };
      std::vector<std::jthread> threads;
      for (int t = 1; t < 3; ++t) threads.emplace_back(work, t);
      work(0);
    }
    while (!std::filesystem::exists(folder / "ready")) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(137 * round));
    ::kill(child, SIGTERM);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGTERM);
    for (const std::string& name : names_in(folder)) {
      CAPTURE(round, name);
      CHECK((name == "ready" || name.size() == 2));
      if (name != "ready") CHECK(read_file(folder / name) == "whole");
    }
  }
}
