// SPDX-License-Identifier: MIT
#pragma once

namespace lowbit::cli {

/// Makes the signals that stop a command (Ctrl-C, SIGTERM, SIGHUP, a closed pipe and the like)
/// remove the temporary files of its outputs first. The command then dies of the signal, as it
/// would have. Signals that the caller ignores (as nohup does) stay ignored.
void remove_temporary_files_on_stop();

}  // namespace lowbit::cli
