#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Plants bugs in the RTL of the MAC units, one at a time, and runs tests/mac/test_mac_units.cpp on
# the unit that has it, or tests/mac/test_mac_fma.cpp or test_mac_lanes.cpp: every bug must be caught. Prints the first test case that
# caught it.
# usage: scripts/mac_mutations.sh [BUILD_DIR [NAME...]]   (BUILD_DIR, default build/dev, must hold
# a finished build of test_mac_units, test_mac_fma and test_mac_lanes)
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "${1:-$root/build/dev}" && pwd)
shift || true
only=("$@")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
include=$(dirname "$(find /usr/share/verilator /usr/local/share/verilator -name verilated.h 2> /dev/null | head -1)")
missed=0 planted=0

# mutate NAME UNIT FORMAT FILE SED-EXPRESSION
mutate() {
  local name=$1 unit=$2 format=$3 file=$4 expression=$5
  if [ ${#only[@]} -gt 0 ] && [[ ! " ${only[*]} " == *" $name "* ]]; then return; fi
  planted=$((planted + 1))
  rm -rf "$work"/*
  cp "$root"/mac_rtl/*.sv "$work"
  sed -i -E "$expression" "$work/$file"
  if cmp -s "$root/mac_rtl/$file" "$work/$file"; then
    echo "NOT PLANTED $name: the pattern is not in $file"
    missed=$((missed + 1))
    return
  fi
  local lanes=16 acc=0 g="" number sources=(lowbit_fp32_pkg.sv)
  number=$(sed -n "s/.*localparam int ${format^^} = \([0-9]*\);.*/\1/p" "$root/mac_rtl/lowbit_formats.sv")
  mapfile -t exact < "$root/mac_rtl/lowbit_mac_exact_core.f"
  case $unit in
    published) g="-GINTEGERS=1'b$([ "$format" = if4 ] && echo 1 || echo 0)" ;;
    exact) g="-GFORMAT=$number" acc=72 sources+=("${exact[@]}" lowbit_acc_to_fp32.sv) ;;
    block_fp32) g="-GFORMAT=$number" sources+=("${exact[@]}" lowbit_mac_block_fp32_core.sv) ;;
    gst) lanes=64 sources+=("${exact[@]}" lowbit_mac_gst_core.sv) ;;
    integer | lut) acc=32 g=$([ "$format" = int4 ] && echo -GBITS=4 || true) ;;
    bf16_fma) lanes=4 ;;
  esac
  if [ "$unit" = published ]; then sources+=(lowbit_mac_published_core.sv); fi
  case $unit in
    integer | lut | bf16_fma | fp8_fp32) mapfile -t sources < "$root/mac_rtl/lowbit_mac_$unit.f" ;;
    *) sources+=(lowbit_stream.sv lowbit_unit_stream.sv "lowbit_mac_$unit.sv") ;;
  esac
  (
    cd "$work" || exit 1
    verilator --cc --trace --trace-depth 1 -O3 --x-assign fast --x-initial fast --noassert -Wno-WIDTH -Wno-UNUSED --Mdir v --prefix Vmutant \
      --top-module "lowbit_mac_$unit" -GLANES=$lanes $g "${sources[@]}" || exit 1
    cmake -DDIR="$work/v" -DCLASS=Vmutant -DOUT="$work/v/Vmutant__all.cpp" -P "$root/scripts/cmake/one_source.cmake"
    cat > unit.cpp << CPP
#include "mac/verilator.hpp"
#include <Vmutant__all.cpp>
namespace lowbit::sim {
namespace {
constexpr MacVariant table[] = {
    {MacUnit::$unit, "$format", $lanes, MacBackend::verilator, run_verilated<Vmutant, $acc>}};
}
std::span<const MacVariant> mac_variants() { return table; }
}  // namespace lowbit::sim
CPP
    g++ -std=c++20 -O0 -w -ffp-contract=off -DVL_TIME_CONTEXT -DVM_SC=0 -DVM_TRACE=1 -DVM_TRACE_VCD=1 -DVM_COVERAGE=0 \
      -I"$root/sim/src" -I"$root/sim/include" -I"$root/formats/include" -Iv -I"$include" -I"$include/vltstd" unit.cpp \
      "$build"/tests/mac/CMakeFiles/test_mac_units.dir/*.o \
      "$(find "$build/mac_rtl" -name 'simulator.cpp.o')" "$build/mac_rtl/liblowbit_verilated.a" \
      "$build/sim/liblowbit_sim.a" "$build/formats/liblowbit_formats.a" \
      $(libraries) -o mutant
  ) > "$work/log" 2>&1 || { echo "NOT BUILT $name"; tail -5 "$work/log"; missed=$((missed + 1)); return; }
  local caught=""
  while IFS= read -r test; do
    [ -n "$test" ] || continue
    timeout 300 "$work/mutant" "$test" > /dev/null 2>&1 || { caught=$test; break; }
  done < <(tests)
  if [ -z "$caught" ]; then
    echo "MISSED $name"
    missed=$((missed + 1))
  else
    echo "caught $name ($unit $format): $caught"
  fi
}

# libraries: what every test links.
libraries() { find /usr/lib /usr/local/lib -name 'libCatch2*.a' 2> /dev/null | tr '\n' ' '; echo -lfmt -lzip -ltbb -lhwy -lpthread; }

# mutate_class NAME TEST CASES CLASS FILE SED-EXPRESSION VERILATOR-ARGUMENTS...: the bug in one Verilated class of TEST. CASES: its
# test cases that are run. The class replaces the one in the library of all.
mutate_class() {
  local name=$1 test=$2 cases=$3 class=$4 file=$5 expression=$6 caught
  shift 6
  if [ ${#only[@]} -gt 0 ] && [[ ! " ${only[*]} " == *" $name "* ]]; then return; fi
  planted=$((planted + 1))
  rm -rf "$work"/*
  cp -r "$root"/mac_rtl/*.sv "$root/mac_rtl/tb" "$root/mac_rtl/formal" "$work"
  sed -i -E "$expression" "$work/$file"
  if cmp -s "$root/mac_rtl/$file" "$work/$file"; then
    echo "NOT PLANTED $name: the pattern is not in $file"
    missed=$((missed + 1))
    return
  fi
  (
    cd "$work" || exit 1
    verilator --cc -O3 --x-assign fast --x-initial fast --noassert -Wno-WIDTH -Wno-UNUSED --Mdir v --prefix "$class" "$@" || exit 1
    cmake -DDIR="$work/v" -DCLASS="$class" -DOUT="$work/v/${class}__all.cpp" -P "$root/scripts/cmake/one_source.cmake"
    g++ -std=c++20 -O1 -w -DVL_TIME_CONTEXT -DVM_SC=0 -DVM_TRACE=1 -DVM_TRACE_VCD=1 -DVM_COVERAGE=0 -Iv -I"$include" -I"$include/vltstd" \
      "v/${class}__all.cpp" "$build/tests/mac/CMakeFiles/$test.dir/"*.o $(find "$build/tests/mac" -name 'liblowbit_lane_models.a') \
      "$build/mac_rtl/liblowbit_verilated.a" "$build/sim/liblowbit_sim.a" "$build/formats/liblowbit_formats.a" $(libraries) -o mutant
  ) > "$work/log" 2>&1 || { echo "NOT BUILT $name"; tail -5 "$work/log"; missed=$((missed + 1)); return; }
  if timeout 300 "$work/mutant" "$cases" > "$work/log" 2>&1; then
    echo "MISSED $name"
    missed=$((missed + 1))
  else
    caught=$(grep -m1 -B3 '^\.\.\.*$' "$work/log" | head -1)
    echo "caught $name ($test $class): ${caught:-$cases}"
  fi
}

# The test cases about the units themselves.
tests() {
  cat << 'EOT'
golden vectors of the published unit*
every lane product*
every pair of scale bytes*
random and directed beats
groups that cancel*
blocks of more bits*
stalls on both sides*
reset in mid-segment*
a segment starts after reset*
one beat a cycle*
the order of blocks*
EOT
}

p=lowbit_mac_published_core.sv f=lowbit_fp32_pkg.sv s=lowbit_stream.sv g=lowbit_mac_gst_core.sv b=lowbit_mac_block_fp32_core.sv
x=lowbit_mac_exact_core.sv e=lowbit_acc_to_fp32.sv
mutate dropped_rounding_carry published nvfp4 $f "s/result = result \+ \{31'd0, up\};/result = {result[31:4], result[3:0] + {3'd0, up}};/"
mutate ties_away published nvfp4 $f "s/up     = sum\[2\] & \(sum\[3\] \| sum\[1\] \| sum\[0\]\);/up     = sum[2];/"
mutate sticky_lost published nvfp4 $f "s/aligned\[27\] \| \(aligned\[26:0\] != 27'd0\)/aligned[27]/"
mutate tree_order published nvfp4 $p "s/node_q\[2\*n\], node_q\[2\*n\+1\]/node_q[n < LANES \/ 2 ? 2*n : n + LANES \/ 2], node_q[n < LANES \/ 2 ? 2*n+1 : n + LANES]/"
mutate two_integers_as_one published if4 $p "s/mul\(scale1_q, TwoIntegers/mul(scale1_q, OneInteger/"
mutate constant_last_place published if4 $p "s/3F5B_6DB7/3F5B_6DB8/"
mutate code_8_zero published if4 $p "s/code\[3\] & \(code\[2:0\] == 3'd0\)/1'b0/"
mutate nan_scale_as_480 published nvfp4 $p "s/\(a_byte == 7'h7F\) \? 7'h7E : a_byte/a_byte/"
mutate subnormal_scale_shift published nvfp4 $p "s/ \+ \{7'd0, a\[6:3\] == 4'd0\}//"
mutate first_ignored published nvfp4 $p "s/first_q\[3\] \? 32'd0 : node_q\[LANES\+i\]/node_q[LANES+i]/"
mutate stuck_flag published nvfp4 $p "s/nan_q\[3\] \| \(nan_q\[4\] & ~first_q\[3\]\)/nan_q[3] | nan_q[4]/"
mutate beat_lost_under_stall published nvfp4 $s "s/if \(taken\) begin/if (taken \& ~(pending_q == (PTR_W + 1)'(DEPTH - 1) \& ~out_ready_i)) begin/"
mutate credit_lost published nvfp4 $s "s/- \(PTR_W \+ 1\)'\(given\);/- (PTR_W + 1)'(given \& ~ended);/"
mutate fifo_overrun published nvfp4 $s "s/assign in_ready_o   = .*/assign in_ready_o   = 1'b1;/"
mutate open_after_reset published nvfp4 $s "s/open_q       <= 1'b0;/open_q       <= open_q;/"
mutate valid_survives_reset gst nvfp4 $g "s/if \(!rst_ni\) valid_q <= '0;/if (!rst_ni) valid_q[1] <= 1'b0;/"
mutate fraction_bits_34 gst nvfp4 $g "s/FRACTION_BITS = 35/FRACTION_BITS = 34/"
mutate fraction_bits_36 gst nvfp4 $g "s/FRACTION_BITS = 35/FRACTION_BITS = 36/"
mutate floor_not_truncation gst nvfp4 $g "s/sum = scaled\[SCALED_W-1\] \? sum - term : sum \+ term;/sum = scaled[SCALED_W-1] ? sum - term - 64'd1 : sum + term;/"
mutate cancelled_group_ignored gst nvfp4 $g "s/\(\(\|nonzero\) && significand != 8'd0\)/((|nonzero) \&\& significand != 8'd0 \&\& sum != '0)/"
mutate block_not_rounded block_fp32 if4 $b "s/\{5'd0, shift3_q\}, 1'b1\)/{5'd0, shift3_q}, 1'b0)/"
mutate shift_by_one exact if4 $x "s/wide\[VALUE_W:2\]/wide[VALUE_W-1:1]/"
mutate bubble_counted exact if4 $x "s/significand \& \{SIG_W\{valid_i\}\}/significand/"
mutate epilogue_sticky exact if4 $e "s/\(m\[ACC_W-26:0\] != '0\)/m[ACC_W-26]/"
i=lowbit_mac_integer_core.sv l=lowbit_lut_lookup.sv m=lowbit_fma_pkg.sv t=lowbit_mac_bf16_fma_core.sv v=lowbit_mac_fp8_fp32_core.sv
mutate integer_bubble integer int8 $i "s/ \& \{BITS\{valid_i\}\}//"
mutate integer_unsigned integer int4 $i "s/\\\$signed\(a_codes_i/\\\$unsigned(a_codes_i/"
mutate lut_top_plane lut int8_int4 $l "s/signs\[3\] == \(b == W_BITS - 1\)/signs[3] == 1'b0/"
mutate lut_index lut int8_int4 $l "s/: ~signs\[2:0\]/: signs[2:0]/"
mutate fma_tie bf16_fma bf16 $m "s/m\[44\] \& \(m\[45\] \|/m[44] \& (1'b1 |/"
mutate bf16_tree bf16_fma bf16 $t "s/node_q\[2\*n\], node_q\[2\*n\+1\]/node_q[n < LANES \/ 2 ? 2*n : n + LANES \/ 2], node_q[n < LANES \/ 2 ? 2*n+1 : n + LANES]/"
mutate bf16_first bf16_fma bf16 $t "s/start \? 32'd0 : node_q/1'b0 ? 32'd0 : node_q/"
mutate fp8_truncated fp8_fp32 fp8_e4m3 $v "s/10'\(UNIT\), 1'b1\)/10'(UNIT), 1'b0)/"
mutate fp8_nan fp8_fp32 fp8_e4m3 $v "s/nan_q\[1\] \? lowbit_fp32_pkg::QuietNan/1'b0 ? lowbit_fp32_pkg::QuietNan/"
# The fused multiply-add by itself, and the lanes by exhaustion.
fma() { mutate_class "$1" test_mac_fma "fma*" Vlowbit_fma_tb lowbit_fma_pkg.sv "$2" --top-module lowbit_fma_tb lowbit_fma_pkg.sv tb/lowbit_fma_tb.sv; }
fma fma_sticky "s/\(m\[43:0\] != 44'd0\)/m[43]/"
fma fma_zero_product "s/if \(product == 16'd0 \&\& c\[30:0\] != 31'd0\) result = c;//"
fma fma_zero_sign "s/result = \{c\[31\] \& sign, 31'd0\}/result = {c[31], 31'd0}/"
fma fma_difference_sign "s/negative = sign;/negative = c[31];/"
# lanes NAME CASES CLASS FILE SED TOP LIST ARGUMENTS...
lanes() { mutate_class "$1" test_mac_lanes "$2" "$3" "$4" "$5" --top-module "$6" $(cat "$root/mac_rtl/$7.f") "${@:8}"; }
number() { sed -n "s/.*localparam int $1 = \([0-9]*\);.*/\1/p" "$root/mac_rtl/lowbit_formats.sv"; }
lane_of() { lanes "$1" "lanes of*" "Vlane_$2" "$3" "$4" lane_case lowbit_mac_exact_core formal/lane.sv -GFORMAT="$(number "${2^^}")"; }
lane_of lane_infinity_finite mxfp8_e5m2 lowbit_decode.sv "s/assign special_o = \&field;/assign special_o = \&code_i[BITS-2:0];/"
lane_of lane_sign_not_shifted mxfp8_e4m3 lowbit_lane.sv "s/\(\{PROD_W\{negative\}\} \& ~\(\{PROD_W\{1'b1\}\} << \(1 << s\)\)\)/PROD_W'(0)/"
lane_of lane_sum_of_shifts mxfp6_e3m2 lowbit_lane.sv "s/assign total = \{1'b0, a_shift\} \+ \{1'b0, w_shift\}/assign total = {1'b0, a_shift | w_shift}/"
lanes int8_unsigned "INT8*" Vint8_core lowbit_mac_integer_core.sv "s/\\\$signed\(a_codes_i/\\\$unsigned(a_codes_i/" lowbit_mac_integer_core lowbit_mac_integer_core
lanes lut2_top_plane "lookup*" Vlut2_core lowbit_lut_lookup.sv "s/signs\[3\] == \(b == W_BITS - 1\)/signs[3] == 1'b0/" lowbit_mac_lut_core lowbit_mac_lut_core -GW_BITS=2
lanes lut1_table "lookup*" Vlut1_core lowbit_lut_table.sv "s/above - difference, above - sum/above - sum, above - difference/" lowbit_mac_lut_core lowbit_mac_lut_core -GW_BITS=1
lanes fp8_unit "FP8*" Vfp8_core lowbit_mac_fp8_fp32_core.sv "s/10'\(UNIT\), 1'b1/10'(UNIT + 1), 1'b1/" lowbit_mac_fp8_fp32_core lowbit_mac_fp8_fp32_core
lanes fp8_lane_crossed "FP8*" Vfp8_core lowbit_block_sum.sv "s/\.w_i\(w_codes_i\[BITS\*l/.w_i(w_codes_i[BITS*(l ^ (l == 9))/" lowbit_mac_fp8_fp32_core lowbit_mac_fp8_fp32_core
echo "$planted planted, $missed missed"
exit $((missed > 0))
