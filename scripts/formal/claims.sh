# SPDX-License-Identifier: MIT
# What scripts/formal.sh proves; sourced there.

# --- The exact core, stage by stage ---
formats="NVFP4 IF4 NVINT4 IF3 IF6_E2M3 IF6_E3M2 MXFP4 MXFP8_E4M3"
lanes="1 2 16 32 64"
if [ $short = 1 ]; then formats="NVFP4 IF4" lanes=16; fi
for f in $formats; do
  [ $f = MXFP8_E4M3 ] && continue  # a product of 18-bit magnitudes is beyond the tools; tests/mac simulates every one
  cec proved "lane of $f = product of the values, decoders included" lane_case "-chparam FORMAT $(number $f)" "$exact formal/lane.sv"
done
planted lowbit_lane.sv 's/a_shift\[0\] \? \{signed_product\[PROD_W-2:0\], negative\}/a_shift[0] ? {signed_product[PROD_W-2:0], 1'"'"'b0}/'
cec refuted "  bug: zero instead of the sign shifted in" lane_case "" "${exact/lowbit_lane.sv/$bug} formal/lane.sv"

for f in $formats; do
  read -r bits product <<< "$(facts "$(number $f)")"
  for n in $lanes; do
    [ "$n" = 1 ] && continue  # no network of adders: the lane
    rows proved "sum of $n lanes of $f = sum of their products" block_sum lowbit_block_sum \
      "-chparam FORMAT $(number $f) -chparam LANES $n -chparam INT_EN $(sed -n "s/^ *$(number $f): has_integers = \(.\);/\1/p" lowbit_formats.sv | grep . || echo 0)" "$exact" "$bits $product"
  done
done
planted lowbit_row_sum.sv 's/\{carry\[W-2:0\], k < BEFORE/{carry[W-1:1], k < BEFORE/'
rows refuted "  bug: carries one place too low" block_sum lowbit_block_sum "-chparam FORMAT 13 -chparam LANES 16" "${exact/lowbit_row_sum.sv/$bug}" "4 8"
planted lowbit_row_sum.sv 's/row\[0\] = W.\(bits_i\[ROWS-1\]\)/row[0] = W'"'"'(bits_i[ROWS-2])/'
rows refuted "  bug: one lane's increment twice, another's not" block_sum lowbit_block_sum "-chparam FORMAT 13 -chparam LANES 16" "${exact/lowbit_row_sum.sv/$bug}" "4 8"
planted lowbit_block_sum.sv 's/assign sum_o = \{~sum\[SUM_W-1\]/assign sum_o = {sum[SUM_W-1]/'
rows refuted "  bug: sign constant dropped" block_sum lowbit_block_sum "-chparam FORMAT 13 -chparam LANES 16" "${exact/lowbit_block_sum.sv/$bug}" "4 8"
if [ $short = 0 ]; then
  cec proved "sum of 2 lanes of IF4 in one piece, a cross-check" two_lanes_case "" "$exact formal/lane.sv"
  cec refuted "  bug: sign constant dropped" two_lanes_case "" "${exact/lowbit_block_sum.sv/$bug} formal/lane.sv"
fi

rows proved "13 x 8 multiplier of sums and scale significands" multiply lowbit_multiply "" "$exact"
rows proved "19 x 8 multiplier" multiply lowbit_multiply "-chparam A_W 19 -chparam P_W 27" "$exact"
planted lowbit_multiply.sv 's/\{~partial\[A_W-1\], partial\}\)/{1'"'"'b0, partial})/'
rows refuted "  bug: the first row's sign" multiply lowbit_multiply "" "${exact/lowbit_multiply.sv/$bug}"

cec proved "E4M3 scale pair: significands and shift = product of the values" scale_case "" "lowbit_scale_product.sv formal/scale_product.sv"
planted lowbit_scale_product.sv 's/\{w_scale_i\[6:4\], w_scale_i\[3\] \| ~\(\|w_scale_i\[6:3\]\)\}/w_scale_i[6:3]/'
cec refuted "  bug: a subnormal scale halved" scale_case "" "$bug formal/scale_product.sv"

cec proved "IF4: times 49, 84 or 144, within the reachable range" factor_case "" "$exact formal/integer_scale.sv"
planted lowbit_factor.sv 's/assign carry_in = ~integer_i;/assign carry_in = 1'"'"'b1;/'
cec refuted "  bug: carry in stuck at one" factor_case "" "${exact/lowbit_factor.sv/$bug} formal/integer_scale.sv"

cec proved "waiting carries resolved = 72-bit sum" resolve_case "" "$exact formal/integer_scale.sv"
planted lowbit_resolve.sv 's/\| \(\(x\[0\] \| waiting_i\[k\]\) & ripple\[k\]\)\);/| (x[0] \& ripple[k]));/'
cec refuted "  bug: a ripple lost beside a waiting carry" resolve_case "" "${exact/lowbit_resolve.sv/$bug} formal/integer_scale.sv"
splice lowbit_accumulate.sv formal/accumulate_properties.svh
induct proved "72-bit accumulator in segments of 12 = plain sum, for ever" lowbit_accumulate 2 "-set ACC_W 72 -set SEGMENT 12" "lowbit_full_adder.sv lowbit_add.sv lowbit_resolve.sv $spliced"
planted lowbit_accumulate.sv 's/carry_q & \{SEGMENTS \+ 1\{~first_i\}\}/carry_q/'
splice "$bug" formal/accumulate_properties.svh
induct refuted "  bug: first leaves the waiting carries" lowbit_accumulate 4 "-set ACC_W 72 -set SEGMENT 12" "lowbit_full_adder.sv lowbit_add.sv lowbit_resolve.sv $spliced"

cec proved "epilogue: 72-bit accumulator to FP32, one rounding" epilogue_case "" "$fp32 lowbit_acc_to_fp32.sv formal/rounding.sv"
planted lowbit_acc_to_fp32.sv "s/\(m\[ACC_W-26:0\] != '0\)/m[ACC_W-26]/"
cec refuted "  bug: sticky of one bit" epilogue_case "" "$fp32 $bug formal/rounding.sv"

# --- FP32 of the published, block_fp32 and gst units ---
cec proved "64-bit integer to FP32, nearest and truncated, normal results" from_integer_case "" "$fp32 lowbit_acc_to_fp32.sv formal/rounding.sv"
planted $fp32 "s/m\[39\] & \(m\[40\] \| \(m\[38:0\] != 39'd0\)\)/m[39] \& m[40]/"
cec refuted "  bug: 64-bit integer, above one half not rounded up" from_integer_case "" "$bug lowbit_acc_to_fp32.sv formal/rounding.sv"
cec proved "FP32 sum does not depend on the order of its operands" exchange_case "" "$fp32 formal/fp32_add.sv"
planted $fp32 "s/result = \{x\[31\] & y\[31\], 31'd0\}/result = {x[31], 31'd0}/"
cec refuted "  bug: a zero sum takes the first operand's sign" exchange_case "" "$bug formal/fp32_add.sv"
distances=$(seq 0 26)
[ $short = 1 ] && distances="0 1 13"
for d in $distances; do
  cec proved "FP32 sum, exponents $d apart, both signs, with and without subnormals" add_case "-chparam DISTANCE $d" "$fp32 formal/fp32_add.sv"
done
cec proved "FP32 sum, exponents more than 26 apart" add_case "-chparam DISTANCE 26 -chparam FAR 1" "$fp32 formal/fp32_add.sv"
planted $fp32 's/up     = sum\[2\] & \(sum\[3\] \| sum\[1\] \| sum\[0\]\);/up = sum[2];/'
cec refuted "  bug: ties away from zero" add_case "-chparam DISTANCE 2" "$bug formal/fp32_add.sv"
planted $fp32 "s/aligned\[27\] \| \(aligned\[26:0\] != 27'd0\)/aligned[27]/"
cec refuted "  bug: sticky of one bit" add_case "-chparam DISTANCE 13" "$bug formal/fp32_add.sv"
cec proved "FP32 product, every pair of operands and every product of significands" mul_case "" "$fp32 formal/fp32_mul.sv"
planted $fp32 "s/up = p\[23\] & \(p\[24\] \| \(p\[22:0\] != 23'd0\) \| sticky\)/up = p[23] \& (p[24] | (p[22:0] != 23'd0))/"
cec refuted "  bug: sticky of a subnormal product lost" mul_case "" "$bug formal/fp32_mul.sv"

# --- Control ---
# control EXPECT NAME UNIT LANES SCALES LATENCY FILES
control() {
  induct "$1" "$2" control 10 "-set LATENCY $6" "$7 formal/control.sv" "-DCORE=lowbit_mac_$3_core -DLANES=$4 -DSCALES=$5"
}
gst=$(tr '\n' ' ' < lowbit_mac_gst_core.f)
control proved "exact: a result 4 clocks after each last" exact 1 1 4 "$exact"
control proved "block_fp32: 5 clocks" block_fp32 1 1 5 "$(tr '\n' ' ' < lowbit_mac_block_fp32_core.f)"
control proved "gst: 3 clocks" gst 16 1 3 "$gst"
control proved "published, 2 lanes: 5 clocks" published 2 1 5 "$(tr '\n' ' ' < lowbit_mac_published_core.f)"
planted lowbit_mac_gst_core.sv "s/if \(!rst_ni\) valid_q <= '0;/if (!rst_ni) valid_q[1] <= 1'b0;/"
control refuted "  bug: valid survives reset" gst 16 1 3 "${gst/lowbit_mac_gst_core.sv/$bug}"
planted lowbit_mac_exact_core.sv "s/valid_i & last_i\} & \{STAGES\{rst_ni\}\}/last_i} \& {STAGES{rst_ni}}/"
control refuted "  bug: a bubble with last answers" exact 1 1 4 "${exact/lowbit_mac_exact_core.sv/$bug}"

# stream EXPECT NAME LATENCY DEPTH STEPS FILE
stream() {
  splice "$6" formal/stream_properties.svh
  induct "$1" "$2" lowbit_stream "$5" "-set OPERAND_W 4 -set RESULT_W 4 -set DEPTH $4" "$spliced" "-DLATENCY=$3"
}
latencies="3 5 6 8"
[ $short = 1 ] && latencies=6
for l in $latencies; do
  stream proved "stream: nothing lost, repeated or reordered, any stalls and resets, latency $l" "$l" 16 2 lowbit_stream.sv
done
stream_bug() {
  planted lowbit_stream.sv "$2"
  stream refuted "  bug: $1" 2 4 14 "$bug"
}
stream_bug "a beat lost under stall" "s/if \(taken\) begin/if (taken \& ~(pending_q == (PTR_W + 1)'(DEPTH - 1) \& ~out_ready_i)) begin/"
stream_bug "a credit lost" "s/- \(PTR_W \+ 1\)'\(given\);/- (PTR_W + 1)'(given \& ~ended);/"
stream_bug "one credit too many" "s/pending_q != \(PTR_W \+ 1\)'\(DEPTH\)/pending_q != (PTR_W + 1)'(DEPTH + 1)/"
stream_bug "a segment open after reset" "s/open_q       <= 1'b0;/open_q       <= open_q;/"
stream_bug "a result given twice" "s/if \(given\) read_q/if (given \& ~ended) read_q/"
stream_bug "two results exchanged" "s/fifo_q\[read_q\[PTR_W-1:0\]\]/fifo_q[read_q[PTR_W-1:0] ^ PTR_W'(read_q[1])]/"

# --- The lookup-table baseline: a group of four activations of 8 bits = four multiplications, in the three steps of formal/lut.sv ---
lut="lowbit_lut_table.sv lowbit_lut_lookup.sv formal/lut.sv"
cec proved "lookup: every entry of the table = signed sum of 4 activations of 8 bits" lut_table_case "" "$lut"
planted lowbit_lut_table.sv 's/below - difference, below - sum/below - sum, below - sum/'
cec refuted "  bug: an entry of another sign" lut_table_case "" "${lut/lowbit_lut_table.sv/$bug}"
weight_bits="4 2 1"
[ $short = 1 ] && weight_bits=4
for n in $weight_bits; do
  cec proved "lookup: weights of $n bits, of any table = signed sum of its entries" lut_lookup_case "-chparam W_BITS $n" "$lut"
  cec proved "lookup: weights of $n bits, for each basis vector = twice the dot product" lut_basis_case "-chparam W_BITS $n" "$lut"
done
planted lowbit_lut_lookup.sv 's/signs\[3\] == \(b == W_BITS - 1\)/signs[3] == 1'"'"'b0/'
cec refuted "  bug: the top plane counts positive" lut_lookup_case "" "${lut/lowbit_lut_lookup.sv/$bug}"
planted lowbit_lut_lookup.sv 's/doubled_o = -activations/doubled_o = activations/'
cec refuted "  bug: the sum of the activations added" lut_basis_case "" "${lut/lowbit_lut_lookup.sv/$bug}"
