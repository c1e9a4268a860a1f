#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Makes docs/mac_report.md, its figures for programs (docs/mac_report/rows.json), docs/mac_sweep.md and their plots
# (docs/mac_report/*.svg) from nothing, or from the cache of `lowbit mac report`. usage: scripts/mac_docs.sh [LOWBIT] (default build/dev/cli/lowbit)
set -euo pipefail
cd "$(dirname "$0")/.."
lowbit=${1:-build/dev/cli/lowbit}
"$lowbit" mac report --glitches --markdown docs/mac_report.md --json docs/mac_report/rows.json --plots docs/mac_report
"$lowbit" mac report --sweep --formats if4 --no-energy --markdown docs/mac_sweep.md --plots docs/mac_report
