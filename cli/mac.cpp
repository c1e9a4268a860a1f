// SPDX-License-Identifier: MIT
// lowbit mac: the parent of run, report and array.
#include "commands.hpp"

namespace lowbit::cli {

void add_mac(CLI::App& app) {
  CLI::App* mac = app.add_subcommand("mac", "MAC units and arrays of them, simulated");
  mac->require_subcommand(1);
  add_mac_run(*mac);
  add_mac_array(*mac);
  add_mac_report(*mac);
}

}  // namespace lowbit::cli
