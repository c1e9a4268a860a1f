#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Random and directed beats on each unit, every word compared, with the number of segments that
# would have shown each planted bug. docs/mac.md records one run.
# usage: scripts/mac_campaign.sh [BEATS [LOWBIT]]   (default 100000000 and build/dev/cli/lowbit)
set -u
cd "$(dirname "$0")/.."
beats=${1:-100000000}
lowbit=${2:-build/dev/cli/lowbit}
failed=0
for unit in "exact nvfp4" "exact if4" "block_fp32 if4" "published if4" "published nvfp4" "gst nvfp4"; do
  read -r name format <<< "$unit"
  start=$(date +%s)
  "$lowbit" mac run --unit "$name" --format "$format" --beats "$beats" --stalls 0.05 --resets 0.0001 --count-defects || failed=1
  echo "wall time $(($(date +%s) - start)) s"
  echo
done
exit $failed
