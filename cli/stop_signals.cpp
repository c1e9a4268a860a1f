// SPDX-License-Identifier: MIT
#include "stop_signals.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <span>
#include <string_view>

#include "lowbit/error.hpp"
#include "lowbit/map_fault.hpp"
#include "lowbit/output_file.hpp"

namespace lowbit::cli {
namespace {

extern "C" void stop(int signal) {
  abandon_output_files();
  // Only now may the signal end the process: a second Ctrl-C must not come before the files are
  // gone.
  ::signal(signal, SIG_DFL);
  sigset_t self;
  ::sigemptyset(&self);
  ::sigaddset(&self, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &self, nullptr);
  ::raise(signal);
}

std::atomic_flag faulted;
volatile std::sig_atomic_t fault_messages = STDERR_FILENO;

/// A page of a mapped file that is not there any more. Other faults end the process as before.
extern "C" void fault(int signal, siginfo_t* info, void* /*context*/) {
  // Several threads may read the missing part at once: the first one speaks and ends the process.
  if (faulted.test_and_set()) {
    while (true) ::pause();
  }
  static constexpr std::string_view prefix = "lowbit: ";
  std::array<char, 4096> line;
  std::copy(prefix.begin(), prefix.end(), line.begin());
  const std::size_t length =
      map_fault_text(info->si_addr, std::span(line).subspan(prefix.size(), 4000));
  if (length == 0) stop(signal);
  line[prefix.size() + length] = '\n';
  if (::write(fault_messages, line.data(), prefix.size() + length + 1) < 0) {
    // Nobody reads what went wrong; the exit code says it too.
  }
  abandon_output_files();
  ::_exit(static_cast<int>(ErrorKind::invalid_input));
}

volatile std::sig_atomic_t interrupts = 0;

extern "C" void note(int signal) {
  interrupts = interrupts + 1;
  if (interrupts > 1) stop(signal);
}

}  // namespace

void remove_temporary_files_on_stop() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXCPU, SIGXFSZ}) {
    struct sigaction before {};
    if (::sigaction(signal, nullptr, &before) != 0 || before.sa_handler != SIG_DFL) continue;
    struct sigaction action {};
    action.sa_handler = stop;
    // No second handler may interrupt this one and wait for the list that it holds.
    ::sigfillset(&action.sa_mask);
    ::sigaction(signal, &action, nullptr);
  }
  struct sigaction action {};
  action.sa_sigaction = fault;
  action.sa_flags = SA_SIGINFO;
  ::sigfillset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
}

void keep_fault_messages() {
  const int kept = ::dup(STDERR_FILENO);
  if (kept >= 0) fault_messages = kept;
}

void finish_on_interrupt() {
  struct sigaction before {};
  // Signals that the caller ignores stay ignored.
  if (::sigaction(SIGINT, nullptr, &before) != 0 || before.sa_handler == SIG_IGN) return;
  struct sigaction action {};
  action.sa_handler = note;
  ::sigfillset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
}

bool interrupted() {
  return interrupts != 0;
}

void die_of_interrupt() {
  stop(SIGINT);
  std::abort();
}

}  // namespace lowbit::cli
