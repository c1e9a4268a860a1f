#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Proofs of the MAC units (docs/mac_area.md, Proofs). Three engines:
#   cec      yosys writes unit and reference (mac_rtl/formal) as AIGER, ABC's &cec compares them
#   rows     scripts/formal/adder_rows.py: what a network of full adders adds, by linear algebra
#   induct   yosys's sat, temporal induction with base case, for what has state
# Every proof stands beside planted bugs, which must be refuted. Prints each result with its time;
# exits 1 where a proof fails or a bug is missed.
# usage: formal.sh [--short] [TEXT]   (--short: a sample of the formats and of the adder's cases, for
# CI; TEXT: only claims whose name has it)
set -euo pipefail
cd "$(dirname "$0")/../mac_rtl"
short=0; [ "${1:-}" = --short ] && { short=1; shift; }
only=${1:-}
for t in yosys berkeley-abc python3; do
  command -v $t > /dev/null || { echo "formal.sh: $t not found: install it (apt install yosys berkeley-abc python3)"; exit 5; }
done
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
exact=$(tr '\n' ' ' < lowbit_mac_exact_core.f)
structural=-DLOWBIT_STRUCTURAL  # adders as the synthesis flow sees them
fp32=lowbit_fp32_pkg.sv
failed=0

# number NAME: of a format in lowbit_formats.sv.
number() { sed -n "s/.*localparam int $1 = \([0-9]*\);.*/\1/p" lowbit_formats.sv; }
# facts FORMAT: element bits and product bits of a format's number.
facts() { sed -n "s/^ *$1: \(element_bits\|product_bits\) = \([0-9]*\);/\2/p" lowbit_formats.sv | tr '\n' ' '; }

# say RESULT NAME BEGIN: a line, RESULT one of proved, refuted, FAILED, MISSED.
say() {
  printf '%-8s %-82s %4d s\n' "$1" "$2" $((SECONDS - $3))
  case $1 in FAILED | MISSED) failed=1 ;; esac
}
# planted FILE SED-EXPRESSION: a copy of FILE with the bug, its path in $bug.
planted() {
  bug=$work/bug_$(basename "$1")
  sed -E "$2" "$1" > "$bug"
  if cmp -s "$1" "$bug"; then echo "formal.sh: the bug $2 does not apply to $1 any more"; exit 4; fi
}
tool() { timeout 1200 yosys -q -p "$1" > "$work/log" 2>&1 || { cat "$work/log"; exit 4; }; }

# aiger OUT DEFINES TOP PARAMETERS FILES: a combinational module, or a feed-forward pipeline.
aiger() {
  tool "read_verilog -sv -mem2reg $2 $5; hierarchy -check -top $3 $4; proc; flatten; opt_clean; \
    techmap -map formal/transparent.v; opt; techmap; opt; setundef -undriven -zero; setundef -zero; aigmap; clean; write_aiger $1"
}
# cec EXPECT NAME TOP PARAMETERS FILES [DEFINES]: TOP with REFERENCE 0 and 1. EXPECT: proved or refuted.
cec() {
  [[ $2 == *"$only"* ]] || return 0
  local begin=$SECONDS out result=FAILED
  aiger "$work/a.aig" "${6:-$structural}" "$3" "$4 -chparam REFERENCE 0" "$5"
  aiger "$work/b.aig" "${6:-$structural}" "$3" "$4 -chparam REFERENCE 1" "${5//$work\/bug_/}"
  out=$(timeout 1200 berkeley-abc -q "&r $work/a.aig; &cec $work/b.aig" 2>&1 || true)
  if [ "$1" = proved ]; then grep -q "are equivalent" <<< "$out" && result=proved
  else grep -q "NOT EQUIVALENT" <<< "$out" && result=refuted || result=MISSED; fi
  say $result "$2" $begin
}
# rows EXPECT NAME block_sum|multiply TOP PARAMETERS FILES [BITS PROD_W]
rows() {
  [[ $2 == *"$only"* ]] || return 0
  local begin=$SECONDS result=FAILED keep="*lowbit_full_adder"
  [ "$3" = block_sum ] && keep+=" *lowbit_lane*"
  tool "read_verilog -sv -mem2reg $structural $6; hierarchy -check -top $4 $5; setattr -mod -set keep_hierarchy 1 $keep; \
    proc; flatten; opt_clean; simplemap; opt_clean; write_json $work/net.json"
  if python3 ../scripts/formal/adder_rows.py "$3" "$work/net.json" ${7:-} > "$work/log"; then [ "$1" = proved ] && result=proved || result=MISSED
  elif [ "$1" = refuted ]; then result=refuted; else cat "$work/log"; fi
  say $result "$2" $begin
}
# induct EXPECT NAME TOP STEPS PARAMETERS FILES [DEFINES]: assertions of TOP, by induction of at most
# STEPS steps. Refuted means a run from reset that breaks one, not an induction that does not close.
induct() {
  [[ $2 == *"$only"* ]] || return 0
  local begin=$SECONDS result=FAILED
  timeout 1200 yosys -q -l "$work/sat" -p "read_verilog -sv -mem2reg -formal $structural ${7:-} $6; chparam ${5:-} $3; prep -flatten -top $3; \
    async2sync; opt -full; memory_map; dffunmap; opt_clean; sat -tempinduct -prove-asserts -set-assumes -maxsteps $4 $3" > "$work/log" 2>&1 || true
  grep -q "ERROR" "$work/sat" && { grep ERROR "$work/sat"; exit 4; }
  if [ "$1" = proved ]; then grep -q "Induction step proven: SUCCESS" "$work/sat" && result=proved
  else grep -q "model found for base case: FAIL" "$work/sat" && result=refuted || result=MISSED; fi
  say $result "$2" $begin
}
# splice FILE PROPERTIES: the module with assertions before its endmodule, its path in $spliced.
splice() {
  spliced=$work/spliced_$(basename "$1")
  awk 'FNR == NR { p = p $0 "\n"; next } /^endmodule/ { printf "%s", p } { print }' "$2" "$1" > "$spliced"
}
source ../scripts/formal/claims.sh
exit $failed
