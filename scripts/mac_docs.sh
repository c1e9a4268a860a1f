#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Makes docs/mac_report.md (every unit and format on OSU 0.18 um, then every node of scripts/synth/nodes.json), the table by node of
# docs/mac.md, docs/mac_sweep.md, their figures for programs (docs/mac_report/rows.json, nodes.json, sweep.json) and their plots
# (docs/mac_report/*.svg). Rows that those files have of today's RTL, recipes, libraries and operands are taken from them; the others are
# measured, with the cache of `lowbit mac report`. So a call that was ended begins where it was, and `rm docs/mac_report/*.json` begins anew.
# DIR_OF_LIBRARIES holds the Liberty files that nodes.json names; they are not part of this repository (docs/mac_area.md says where they are
# published). Without it, or with report arguments after it, other rows of nodes stay as they are:
#   scripts/mac_docs.sh ~/liberty build/dev/cli/lowbit --node asap7 --units integer,lut --formats int8,int8_int4 --recipes area
# usage: scripts/mac_docs.sh [DIR_OF_LIBRARIES [LOWBIT [report arguments of the nodes]]]   (default LOWBIT: build/dev/cli/lowbit)
set -euo pipefail
cd "$(dirname "$0")/.."
libraries=${1:-}
lowbit=${2:-build/dev/cli/lowbit}
shift $(($# < 2 ? $# : 2))

# report ROWS.json ARGUMENTS...: rows that ROWS.json has are not measured again; it is written anew where all went well.
report() {
  local rows=$1 new
  shift
  new=$(mktemp -d)
  if [ -e "$rows" ]; then set -- "$@" --rows "$rows"; fi
  "$lowbit" mac report "$@" --json "$new/rows.json"
  cp "$new/rows.json" "$rows"
  rm -r "$new"
}

everything=$(($# == 0))
if [ $everything = 1 ]; then
  report docs/mac_report/rows.json --units exact,block_fp32,gst,published,integer,bf16_fma,fp8_fp32,lut --glitches --wire 10 --markdown docs/mac_report.md --plots docs/mac_report
  python3 scripts/synth/nodes.py --page docs/mac_report/nodes.json docs/mac_report.md
fi
if [ -n "$libraries" ]; then
  python3 scripts/synth/nodes.py "$lowbit" "$libraries" docs/mac_report/nodes.json docs/mac_report.md "$@"
else
  python3 scripts/synth/nodes.py --page docs/mac_report/nodes.json docs/mac_report.md
fi
# Last: nothing else needs it, and it takes as long as the rows of a node.
if [ $everything = 1 ]; then
  report docs/mac_report/sweep.json --sweep --formats if4 --markdown docs/mac_sweep.md --plots docs/mac_report
fi
