#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Units in benches of one's own (mac_rtl/example): plain SystemVerilog in Icarus and in Verilator, and the exact unit in cocotb under
# Icarus. Exit code 77 where a tool is missing for the one that was asked for; every bench must print that it passed.
# usage: scripts/mac_example.sh icarus|verilator|cocotb
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mapfile -t files < <(sed 's#^#mac_rtl/#' mac_rtl/lowbit_mac_exact.f)
mapfile -t baselines < <(cd mac_rtl && cat lowbit_mac_{gst,integer,lut,bf16_fma,fp8_fp32}.f | awk '!seen[$0]++' | sed 's#^#mac_rtl/#')
need() { command -v "$1" > /dev/null || { echo "left out: $1 is not installed"; exit 77; }; }
passed() { cat "$work/out"; grep -q "$1" "$work/out"; }
# in_verilator BENCH RESULTS SOURCES...
in_verilator() {
  verilator --binary --timing -Wno-fatal --top-module "$1" --Mdir "$work/$1" "${@:3}" "mac_rtl/example/$1.sv" > "$work/log" 2>&1 ||
    { cat "$work/log"; exit 1; }
  "$work/$1/V$1" > "$work/out"
  passed "^ok: $2 results\$"
}
case ${1:-} in
  icarus)
    need iverilog
    iverilog -g2012 -s dot_product_tb -o "$work/a.out" "${files[@]}" mac_rtl/example/dot_product_tb.sv
    vvp -n "$work/a.out" > "$work/out"
    passed '^ok: 3 results$'
    iverilog -g2012 -s baselines_tb -o "$work/b.out" "${baselines[@]}" mac_rtl/example/baselines_tb.sv
    vvp -n "$work/b.out" > "$work/out"
    passed '^ok: 12 results$'
    ;;
  verilator)
    need verilator
    in_verilator dot_product_tb 3 "${files[@]}"
    in_verilator baselines_tb 12 "${baselines[@]}"
    ;;
  cocotb)
    need iverilog
    python3 -c 'import cocotb_tools' 2> /dev/null || { echo "left out: cocotb 2 is not installed (pip install cocotb)"; exit 77; }
    format=$(sed -n 's/.*localparam int NVFP4 = \([0-9]*\);.*/\1/p' mac_rtl/lowbit_formats.sv)
    PYTHONDONTWRITEBYTECODE=1 python3 - "$work" "$format" "${files[@]}" <<'RUN' > "$work/out" 2>&1 || { cat "$work/out"; exit 1; }
import os
import sys
from cocotb_tools.runner import get_runner

work, number, *files = sys.argv[1:]
sys.path.insert(0, os.path.abspath("mac_rtl/example"))
runner = get_runner("icarus")
runner.build(sources=[os.path.abspath(f) for f in files], hdl_toplevel="lowbit_mac_exact", parameters={"FORMAT": int(number)}, build_args=["-g2012"], timescale=("1ns", "1ps"), build_dir=work)
runner.test(hdl_toplevel="lowbit_mac_exact", test_module="test_dot_product", build_dir=work, test_dir=work)
RUN
    passed 'PASS=1 FAIL=0'
    ;;
  *) sed -n '3,6s/^# //p' "$0" >&2; exit 2 ;;
esac
