#!/bin/bash
# SPDX-License-Identifier: MIT
# Compares folders of captured outputs with the dialects: one line per library, configuration and
# dialect, with blocks, mismatching blocks and cause. Exit 1 where a mismatch has no allowed cause.
#
# usage: check_captures.sh DIR...      LOWBIT=PATH names the command; build*/ is searched otherwise
set -euo pipefail
cd_root=$(dirname "$(readlink -f "$0")")/..
if [ $# -eq 0 ]; then
  sed -n '3,6p' "$0" | sed 's/^# \{0,1\}//' >&2
  exit 2
fi
command=${LOWBIT:-}
if [ -z "$command" ]; then
  command=$(find "$cd_root"/build* -maxdepth 4 -type f -name lowbit -perm -u+x -printf '%T@ %p\n' 2>/dev/null | sort -rn | head -1 | cut -d' ' -f2-)
fi
if [ -z "$command" ] || [ ! -x "$command" ]; then
  echo "check_captures: no lowbit command in build/; build it, or name it by LOWBIT=PATH" >&2
  exit 2
fi
exec "$command" verify captures "$@"
