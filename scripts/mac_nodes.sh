#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Makes docs/mac_nodes.md and docs/mac_report/nodes.json: the units and formats named (default: exact), on every node of
# scripts/synth/nodes.json or on those of --node. DIR_OF_LIBRARIES holds the Liberty files that nodes.json names; they are not part of this
# repository (docs/mac_area.md says where they are published). Finished designs come from the report's cache.
# usage: scripts/mac_nodes.sh DIR_OF_LIBRARIES [LOWBIT [report arguments]]   (default build/dev/cli/lowbit --formats if4,nvfp4)
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { sed -n '3,6s/^# //p' "$0" >&2; exit 2; }
libraries=$1
lowbit=${2:-build/dev/cli/lowbit}
shift $(($# < 2 ? $# : 2))
[ $# -gt 0 ] || set -- --formats if4,nvfp4
python3 scripts/synth/nodes.py "$lowbit" "$libraries" docs/mac_report/nodes.json docs/mac_nodes.md "$@"
