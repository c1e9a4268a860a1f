#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# One table: what `lowbit bench` measures, and beside it what two Python packages do with the same number
# of values, where they are installed (pip install ml_dtypes gfloat).
# usage: scripts/bench.sh [LOWBIT]    LOWBIT: the command; build/dev/cli/lowbit, then lowbit on PATH
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
lowbit=${1:-$here/../build/dev/cli/lowbit}
[ -x "$lowbit" ] || lowbit=$(command -v "$lowbit" || command -v lowbit) || {
  echo "bench.sh: no lowbit command; give its path" >&2
  exit 5
}
report=$(mktemp)
trap 'rm -f "$report"' EXIT
"$lowbit" bench --json - > "$report"
exec python3 "$here/bench_table.py" "$report"
