#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Proofs of the exact MAC unit: yosys writes both sides as AIGER, ABC's &cec compares them; z3
# proves the pipeline's control by induction. Prints each result with its time; exits 1 where a
# proof fails or a planted bug is not refuted.
# usage: formal.sh [--short]   (--short leaves out what takes over ten seconds; for CI)
set -euo pipefail
cd "$(dirname "$0")/../mac_rtl"
short=0; [ "${1:-}" = --short ] && short=1
for t in yosys berkeley-abc yosys-smtbmc z3; do
  command -v $t > /dev/null || { echo "formal.sh: $t not found: install it (apt install yosys berkeley-abc z3)"; exit 5; }
done
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
sources=$(tr '\n' ' ' < lowbit_mac_exact_core.f)
failed=0

# aiger OUT DEFINES TOP PARAMETERS [FILES]: a combinational module as AIGER.
aiger() {
  yosys -q -p "read_verilog -sv -mem2reg $2 ${5:-$sources}; hierarchy -check -top $3 $4; proc; flatten; opt; \
    memory; opt; techmap; opt; setundef -undriven -zero; setundef -zero; aigmap; clean; write_aiger $1" > "$work/log" 2>&1 || { cat "$work/log"; exit 4; }
}
# equivalent NAME A B: proved, or 1.
equivalent() {
  local begin=$SECONDS out
  out=$(timeout 1200 berkeley-abc -q "&r $2; &cec $3" 2>&1 || true)
  if grep -q "are equivalent" <<< "$out"; then printf '%-58s proved   %4d s\n' "$1" $((SECONDS - begin))
  else printf '%-58s FAILED   %4d s\n' "$1" $((SECONDS - begin)); failed=1; fi
}
# refuted NAME A B: a planted bug that must be found.
refuted() {
  local begin=$SECONDS out
  out=$(timeout 1200 berkeley-abc -q "&r $2; &cec $3" 2>&1 || true)
  if grep -q "NOT EQUIVALENT\|not equivalent" <<< "$out"; then printf '%-58s refuted  %4d s\n' "$1 (planted bug)" $((SECONDS - begin))
  else printf '%-58s MISSED   %4d s\n' "$1 (planted bug)" $((SECONDS - begin)); failed=1; fi
}

# The behavioural reference: values by the formats' definition, no trick of the unit's in it.
cat > "$work/reference.sv" <<'SV'
module value (input logic [3:0] code_i, input logic integer_i, output logic signed [5:0] value_o);
  // E2M1 in halves; INT4 in ones.
  always_comb
    if (integer_i) value_o = {{2{code_i[3]}}, code_i};
    else begin
      case (code_i[2:0])
        3'd0: value_o = 6'sd0; 3'd1: value_o = 6'sd1; 3'd2: value_o = 6'sd2; 3'd3: value_o = 6'sd3;
        3'd4: value_o = 6'sd4; 3'd5: value_o = 6'sd6; 3'd6: value_o = 6'sd8; default: value_o = 6'sd12;
      endcase
      if (code_i[3]) value_o = -value_o;
    end
endmodule
module lane_reference (input logic [3:0] a_i, w_i, input logic a_integer_i, w_integer_i, output logic signed [11:0] p_o);
  logic signed [5:0] a, w;
  value va (a_i, a_integer_i, a);
  value vw (w_i, w_integer_i, w);
  assign p_o = a * w;
endmodule
module sum_reference #(parameter int LANES = 16) (input logic [4*LANES-1:0] a_i, w_i, input logic a_integer_i, w_integer_i,
    output logic [8+$clog2(LANES):0] sum_o);
  logic signed [11:0] p [LANES];
  for (genvar l = 0; l < LANES; l++) begin : g
    lane_reference r (a_i[4*l+:4], w_i[4*l+:4], a_integer_i, w_integer_i, p[l]);
  end
  logic signed [12:0] s [LANES+1];
  assign s[0] = 13'sd0;
  for (genvar l = 0; l < LANES; l++) begin : h
    assign s[l+1] = s[l] + p[l];
  end
  assign sum_o = s[LANES][8+$clog2(LANES):0];
endmodule
// The unit's lane and block sum behind the same ports.
module lane_unit (input logic [3:0] a_i, w_i, input logic a_integer_i, w_integer_i, output logic signed [11:0] p_o);
  logic [8:0] row; logic increment, special;
  lowbit_lane #(.FORMAT(13), .INT_EN(1'b1)) u (.a_i, .w_i, .a_integer_i, .w_integer_i, .row_o(row), .increment_o(increment), .special_o(special));
  assign p_o = {3'b0, row} - 12'd256 + {11'b0, increment};
endmodule
module sum_unit #(parameter int LANES = 16) (input logic [4*LANES-1:0] a_i, w_i, input logic a_integer_i, w_integer_i,
    output logic [8+$clog2(LANES):0] sum_o);
  logic special;
  lowbit_block_sum #(.FORMAT(13), .INT_EN(1'b1), .LANES(LANES)) u (.clk_i(1'b0), .a_codes_i(a_i), .w_codes_i(w_i),
      .a_integer_i, .w_integer_i, .sum_o, .special_o(special));
endmodule
module factor_reference (input logic [19:0] v_i, input logic a_i, w_i, output logic [25:0] p_o);
  logic [7:0] k;
  always_comb case ({a_i, w_i}) 2'b00: k = 8'd49; 2'b11: k = 8'd144; default: k = 8'd84; endcase
  // Within the range that 16 lanes and the scales reach; beyond it the unit may drop top bits.
  assign p_o = (v_i + 20'd259200 <= 20'd518400) ? {{6{v_i[19]}}, v_i} * {18'd0, k} : 26'd0;
endmodule
module factor_unit (input logic [19:0] v_i, input logic a_i, w_i, output logic [25:0] p_o);
  logic [25:0] p;
  lowbit_integer_scale u (.clk_i(1'b0), .value_i(v_i), .a_integer_i(a_i), .w_integer_i(w_i), .value_o(p));
  assign p_o = (v_i + 20'd259200 <= 20'd518400) ? p : 26'd0;
endmodule
module resolve_unit (input logic [71:0] acc_i, input logic [5:0] waiting_i, output logic [71:0] acc_o);
  lowbit_resolve #(.ACC_W(72), .SEGMENT(12)) u (.acc_i, .waiting_i, .acc_o);
endmodule
module multiply_unit (input logic [12:0] a_i, input logic [7:0] b_i, output logic [19:0] p_o);
  lowbit_multiply u (.a_i, .b_i, .p_o);
endmodule
SV
all="$sources $work/reference.sv"
S=-DLOWBIT_STRUCTURAL

aiger "$work/a.aig" "" lane_reference "" "$all"; aiger "$work/b.aig" "$S" lane_unit "" "$all"
equivalent "lane, decoders included, E2M1 and INT4 (10 inputs)" "$work/a.aig" "$work/b.aig"
sed 's/a_shift\[0\] ? {signed_product\[PROD_W-2:0\], negative}/a_shift[0] ? {signed_product[PROD_W-2:0], 1'"'"'b0}/' lowbit_lane.sv > "$work/lowbit_lane.sv"
cmp -s lowbit_lane.sv "$work/lowbit_lane.sv" && { echo "formal.sh: the bug does not apply to lowbit_lane.sv any more"; exit 4; }
aiger "$work/b.aig" "$S" lane_unit "" "${all/lowbit_lane.sv/$work/lowbit_lane.sv}"
refuted "lane: zero instead of the sign shifted in" "$work/a.aig" "$work/b.aig"

aiger "$work/a.aig" "" factor_reference "" "$all"; aiger "$work/b.aig" "$S" factor_unit "" "$all"
equivalent "times 49, 84 or 144, within the reachable range" "$work/a.aig" "$work/b.aig"
sed 's/assign carry_in = ~integer_i;/assign carry_in = 1'"'"'b1;/' lowbit_factor.sv > "$work/lowbit_factor.sv"
aiger "$work/b.aig" "$S" factor_unit "" "${all/lowbit_factor.sv/$work/lowbit_factor.sv}"
refuted "factor: carry in stuck at one" "$work/a.aig" "$work/b.aig"

aiger "$work/a.aig" "" resolve_unit "" "$all"; aiger "$work/b.aig" "$S" resolve_unit "" "$all"
equivalent "waiting carries resolved = 72-bit sum (78 inputs)" "$work/a.aig" "$work/b.aig"
sed 's/| ((x\[0\] | waiting_i\[k\]) & ripple\[k\]));/| (x[0] \& ripple[k]));/' lowbit_resolve.sv > "$work/lowbit_resolve.sv"
aiger "$work/b.aig" "$S" resolve_unit "" "${all/lowbit_resolve.sv/$work/lowbit_resolve.sv}"
refuted "resolve: a ripple lost beside a waiting carry" "$work/a.aig" "$work/b.aig"

# Control: valid_o exactly 4 clocks after a beat with last_i, nothing lost or invented, by induction.
cat > "$work/control.sv" <<'SV'
module control (input logic clk_i, rst_ni, valid_i, first_i, last_i, input logic [7:0] a_scale_i, w_scale_i,
    input logic [3:0] a_codes_i, w_codes_i);
  logic valid; logic [71:0] acc; logic [1:0] flags;
  lowbit_mac_exact_core #(.LANES(1), .ACC_W(72)) u (.*, .valid_o(valid), .acc_o(acc), .flags_o(flags));
  logic [3:0] history = 4'd0; logic started = 1'b0;
  always_ff @(posedge clk_i) begin
    started <= started | ~rst_ni;
    history <= {history[2:0], valid_i & last_i} & {4{rst_ni}};
    if (started) assert (valid == history[3]);
  end
  initial assume (!rst_ni);
endmodule
SV
begin=$SECONDS
yosys -q -p "read_verilog -sv -mem2reg -formal $sources $work/control.sv; prep -flatten -top control; async2sync; dffunmap; write_smt2 -wires $work/control.smt2" > "$work/log" 2>&1 || { cat "$work/log"; exit 4; }
if yosys-smtbmc -s z3 -t 12 "$work/control.smt2" > "$work/bmc" 2>&1 && yosys-smtbmc -s z3 -i -t 8 "$work/control.smt2" > "$work/ind" 2>&1; then
  printf '%-58s proved   %4d s\n' "control: a result 4 clocks after each last (induction)" $((SECONDS - begin))
else printf '%-58s FAILED   %4d s\n' "control" $((SECONDS - begin)); failed=1; cat "$work/bmc" "$work/ind" 2> /dev/null | tail -5; fi

if [ $short = 0 ]; then
  aiger "$work/a.aig" "" sum_reference "-chparam LANES 2" "$all"; aiger "$work/b.aig" "$S" sum_unit "-chparam LANES 2" "$all"
  equivalent "block sum of 2 lanes, decoders included (18 inputs)" "$work/a.aig" "$work/b.aig"
  sed 's/assign sum_o = {~sum\[SUM_W-1\]/assign sum_o = {sum[SUM_W-1]/' lowbit_block_sum.sv > "$work/lowbit_block_sum.sv"
  aiger "$work/b.aig" "$S" sum_unit "-chparam LANES 2" "${all/lowbit_block_sum.sv/$work/lowbit_block_sum.sv}"
  refuted "block sum: sign constant dropped" "$work/a.aig" "$work/b.aig"
  for n in 4 16; do
    aiger "$work/a.aig" "" sum_reference "-chparam LANES $n" "$all"; aiger "$work/b.aig" "$S" sum_unit "-chparam LANES $n" "$all"
    equivalent "block sum of $n lanes, decoders included" "$work/a.aig" "$work/b.aig"
  done
  aiger "$work/a.aig" "" multiply_unit "" "$all"; aiger "$work/b.aig" "$S" multiply_unit "" "$all"
  equivalent "13 x 8 multiplier, rows of adders = product" "$work/a.aig" "$work/b.aig"
fi
exit $failed
