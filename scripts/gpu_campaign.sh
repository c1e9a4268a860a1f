#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# On a machine with a Hopper GPU: every kernel against the reference on a campaign of random and adversarial inputs, then
# every kernel's speed beside a copy and cuBLAS of the same run. Prints two tables; eleven minutes with 16 cores.
# usage: scripts/gpu_campaign.sh [RECORD [LOWBIT]]   (RECORD: a run record for docs/gpu_runs is written there)
# LOWBIT_COMMIT: what the record says was run, where this is a copy without its history
set -eu
cd "$(dirname "$0")/.."
record=${1:-}
lowbit=${2:-build/dev/cli/lowbit}
golden=${LOWBIT_GOLDEN_DIR:-tests/data/golden}
[ -d "$golden/fouroversix" ] && golden=$golden/fouroversix
keep=()
[ -n "$record" ] && keep=(--record "$record" --commit "${LOWBIT_COMMIT:-$(git describe --always --dirty)}")
status=0
"$lowbit" gpu verify --kernel all --elements 1.01e9 --outputs 1.01e8 --seed 7 --golden "$golden" "${keep[@]}" || status=$?
[ "$status" -gt 1 ] && exit "$status"  # nothing ran
"$lowbit" gpu bench --kernel all || status=$?
exit "$status"
