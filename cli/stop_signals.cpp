// SPDX-License-Identifier: MIT
#include "stop_signals.hpp"

#include <csignal>
#include <cstdlib>

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
