#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every MAC unit, in several parameters, through verilator --lint-only -Wall, yosys (read, elaborate,
# check) and iverilog -g2012. Any message fails. Tools that are missing are named and left out.
set -uo pipefail
cd "$(dirname "$0")/../mac_rtl"
mapfile -t exact < lowbit_mac_exact_core.f
fp32=(lowbit_fp32_pkg.sv)
published=("${fp32[@]}" lowbit_stream.sv lowbit_unit_stream.sv lowbit_mac_published_core.sv lowbit_mac_published.sv)
exact_unit=("${exact[@]}" lowbit_stream.sv lowbit_unit_stream.sv lowbit_acc_to_fp32.sv lowbit_mac_exact.sv)
block=("${fp32[@]}")
for f in "${exact[@]}"; do
  case $f in lowbit_window.sv | lowbit_accumulate.sv | lowbit_mac_exact_core.sv) ;; *) block+=("$f") ;; esac
done
failed=0

have() { command -v "$1" > /dev/null || { echo "left out: $1 is not installed"; return 1; }; }
have verilator && verilator=1 || verilator=0
have yosys && yosys=1 || yosys=0
have iverilog && iverilog=1 || iverilog=0

# check TOP "NAME=VALUE ..." FILES...
check() {
  local top=$1 parameters=$2 out="" g="" set="" p="" v
  shift 2
  for v in $parameters; do
    g+=" -G$v" p+=" -P$top.$v"
    set+=" -chparam ${v%%=*} ${v##*=}"
  done
  if [ $verilator = 1 ]; then out+=$(verilator --lint-only -Wall --top-module "$top" $g "$@" 2>&1); fi
  if [ $iverilog = 1 ]; then out+=$(iverilog -g2012 -Wall -Wno-timescale -s "$top" ${p//\'b/} -o /dev/null "$@" 2>&1); fi
  # Yosys says which internal arrays become registers: that is what they are.
  if [ $yosys = 1 ]; then
    out+=$(yosys -q -p "read_verilog -sv $*; hierarchy -check -top $top ${set//\'b/}; proc; check -assert" 2>&1 |
      grep -v "Replacing memory .* with list of registers" || true)
  fi
  if [ -n "$out" ]; then
    failed=1
    printf 'FAILED %s %s\n%s\n' "$top" "$parameters" "$out"
  else
    echo "ok     $top $parameters"
  fi
}

check lowbit_fp32_add "" "${fp32[@]}" lowbit_fp32_add.sv
check lowbit_fp32_mul "" "${fp32[@]}" lowbit_fp32_mul.sv
for lanes in 1 8; do
  check lowbit_mac_published "LANES=$lanes INTEGERS=1'b1" "${published[@]}"
done
check lowbit_mac_published "LANES=4 INTEGERS=1'b0" "${published[@]}"
# Formats by their numbers in lowbit_formats.sv.
number() { sed -n "s/.*localparam int $1 = \([0-9]*\);.*/\1/p" lowbit_formats.sv; }
for format in NVFP4 IF4 IF3 IF6_E3M2 NVINT4 MXFP4 MXFP8_E5M2; do
  check lowbit_mac_exact "FORMAT=$(number $format) LANES=4" "${exact_unit[@]}"
done
check lowbit_mac_exact "FORMAT=$(number IF4) LANES=1" "${exact_unit[@]}"
check lowbit_mac_exact "FORMAT=$(number IF4) LANES=16" "${exact_unit[@]}"
# Every parameter away from its default: integers off, deeper pipeline, narrow and wide accumulators.
check lowbit_mac_exact "FORMAT=$(number IF4) LANES=64 INT_EN=1'b0 PIPELINE=1 ACC_W=64" "${exact_unit[@]}"
check lowbit_mac_exact "FORMAT=$(number IF4) LANES=2 PIPELINE=1 ACC_W=96" "${exact_unit[@]}"
check lowbit_mac_exact "FORMAT=$(number MXFP4) LANES=32 PIPELINE=1 ACC_W=128 WINDOW_LSB=0" "${exact_unit[@]}"
check lowbit_mac_exact_core "FORMAT=$(number IF4) PIPELINE=1 LEVELS=2" "${exact[@]}"
check lowbit_mac_exact "FORMAT=$(number MXFP8_E4M3) LANES=16" "${exact_unit[@]}"
for format in IF4 IF6_E3M2; do
  check lowbit_mac_block_fp32 "FORMAT=$(number $format) LANES=4" "${block[@]}" lowbit_stream.sv lowbit_unit_stream.sv \
    lowbit_mac_block_fp32_core.sv lowbit_mac_block_fp32.sv
done
for lanes in 16 32; do
  check lowbit_mac_gst "LANES=$lanes" "${block[@]}" lowbit_stream.sv lowbit_unit_stream.sv lowbit_mac_gst_core.sv lowbit_mac_gst.sv
done
# Baselines, from their own lists of files.
for bits in 4 8; do
  check lowbit_mac_integer "BITS=$bits" $(cat lowbit_mac_integer.f)
done
check lowbit_mac_lut "W_BITS=4" $(cat lowbit_mac_lut.f)
check lowbit_mac_lut_core "W_BITS=1 LANES=4 COLUMNS=2" $(cat lowbit_mac_lut_core.f)
for lanes in 1 4; do
  check lowbit_mac_bf16_fma "LANES=$lanes" $(cat lowbit_mac_bf16_fma.f)
done
check lowbit_mac_fp8_fp32 "LANES=16" $(cat lowbit_mac_fp8_fp32.f)
exit $failed
