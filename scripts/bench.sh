#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# One table: what `lowbit bench` measures, and beside it what others do with the same number of normal values in the same
# run: ml_dtypes and gfloat, where they are installed (pip install ml_dtypes gfloat), and ggml, where LOWBIT_GGML names its
# sources (git clone https://github.com/ggml-org/ggml). ggml is compiled with -O3 -march=native.
# usage: [LOWBIT_GGML=FOLDER] scripts/bench.sh [LOWBIT]    LOWBIT: the command; build/dev/cli/lowbit, then lowbit on PATH
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
lowbit=${1:-$here/../build/dev/cli/lowbit}
[ -x "$lowbit" ] || lowbit=$(command -v "$lowbit" || command -v lowbit) || {
  echo "bench.sh: no lowbit command; give its path" >&2
  exit 5
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
others=()
if [ -n "${LOWBIT_GGML:-}" ]; then
  [ -f "$LOWBIT_GGML/src/ggml-quants.c" ] || {
    echo "bench.sh: LOWBIT_GGML=$LOWBIT_GGML has no src/ggml-quants.c; name a copy of ggml" >&2
    exit 3
  }
  "${CC:-cc}" -O3 -march=native -w -I"$LOWBIT_GGML/include" -I"$LOWBIT_GGML/src" "$here/../tests/bench/ggml_rates.c" \
    "$LOWBIT_GGML/src/ggml-quants.c" -lm -o "$work/ggml_rates"
  others=(--ggml "$work/ggml_rates")
fi
"$lowbit" bench --json - > "$work/report.json"
python3 "$here/bench_table.py" "$work/report.json" "${others[@]}"
