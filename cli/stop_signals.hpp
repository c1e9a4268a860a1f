// SPDX-License-Identifier: MIT
#pragma once

namespace lowbit::cli {

/// Makes the signals that stop a command (Ctrl-C, SIGTERM, SIGHUP, a closed pipe and the like)
/// remove the temporary files of its outputs first. The command then dies of the signal, as it
/// would have. Signals that the caller ignores (as nohup does) stay ignored. A fault in a mapped
/// file that became shorter ends the command with one line and the exit code of invalid input.
void remove_temporary_files_on_stop();
/// That line goes to what standard error is now, whatever becomes of standard error.
void keep_fault_messages();

/// From now on the first Ctrl-C only makes interrupted() true, so that the command can print what
/// it has finished; the second one stops it as before.
void finish_on_interrupt();
[[nodiscard]] bool interrupted();
/// Ends the command as the signal would have.
[[noreturn]] void die_of_interrupt();

}  // namespace lowbit::cli
