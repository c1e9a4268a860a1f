// SPDX-License-Identifier: MIT
// lowbit verify: outputs of other programs against the models, word for word. One subcommand a
// kind.
#include "commands.hpp"

namespace lowbit::cli {

void add_verify(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "verify", "Compare another program's output with the model, word for word");
  command->require_subcommand(1);
  add_verify_captures(*command);
  add_verify_gemm(*command);
  add_verify_quantize(*command);
}

}  // namespace lowbit::cli
