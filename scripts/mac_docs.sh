#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Makes docs/mac_report.md (every unit and format on OSU 0.18 um, then every node of scripts/synth/nodes.json), the table by node of
# docs/mac.md, docs/mac_sweep.md, their figures for programs (docs/mac_report/rows.json, nodes.json) and their plots (docs/mac_report/*.svg)
# from nothing, or from the cache of `lowbit mac report`. DIR_OF_LIBRARIES holds the Liberty files that nodes.json names; they are not part of this repository
# (docs/mac_area.md says where they are published). Without it, or with report arguments after it, other rows of nodes stay as they are:
#   scripts/mac_docs.sh ~/liberty build/dev/cli/lowbit --node asap7 --units integer,lut --formats int8,int8_int4 --recipes area
# usage: scripts/mac_docs.sh [DIR_OF_LIBRARIES [LOWBIT [report arguments of the nodes]]]   (default LOWBIT: build/dev/cli/lowbit)
set -euo pipefail
cd "$(dirname "$0")/.."
libraries=${1:-}
lowbit=${2:-build/dev/cli/lowbit}
shift $(($# < 2 ? $# : 2))
if [ $# -eq 0 ]; then
  "$lowbit" mac report --units exact,block_fp32,gst,published,integer,bf16_fma,fp8_fp32,lut --glitches --wire 10 --markdown docs/mac_report.md --json docs/mac_report/rows.json --plots docs/mac_report
  "$lowbit" mac report --sweep --formats if4 --markdown docs/mac_sweep.md --plots docs/mac_report
fi
if [ -n "$libraries" ]; then
  python3 scripts/synth/nodes.py "$lowbit" "$libraries" docs/mac_report/nodes.json docs/mac_report.md "$@"
else
  python3 scripts/synth/nodes.py --page docs/mac_report/nodes.json docs/mac_report.md
fi
