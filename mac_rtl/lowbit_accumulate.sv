// SPDX-License-Identifier: MIT
// The fixed-point accumulator: acc = (first ? 0 : acc) + value on every clock, value_i = 0 on
// bubbles. Carries run within segments of SEGMENT bits only; the carry out of a segment waits in a
// flip-flop and enters the next segment one clock later, so the adder's delay does not grow with
// ACC_W. The waiting carries are resolved on the way out, in the clock in which done_i is high: in
// other clocks acc_o means nothing (and its carry chain is held still).
`default_nettype none
module lowbit_accumulate #(
    parameter int ACC_W = 72,
    parameter int VALUE_W = 54,
    parameter int SEGMENT = 18
) (
    input  logic               clk_i,
    input  logic               first_i,
    input  logic               done_i,
    input  logic [VALUE_W-1:0] value_i,
    output logic [  ACC_W-1:0] acc_o,
    output logic               overflow_o,      // of the sum that enters the register
    output logic               late_overflow_o  // of acc_o, by the waiting carries
);
  localparam int SEGMENTS = ACC_W > SEGMENT ? ACC_W / SEGMENT : 1;
  logic [ACC_W-1:0] addend, kept, acc_q, sum;
  logic [SEGMENTS:0] kept_carry, carry_q, carry;
  assign addend = {{ACC_W - VALUE_W{value_i[VALUE_W-1]}}, value_i};
  assign kept = acc_q & {ACC_W{~first_i}};
  assign kept_carry = carry_q & {SEGMENTS + 1{~first_i}};
  assign carry[0] = 1'b0;
  for (genvar k = 0; k < SEGMENTS; k++) begin : g_segment
    localparam int LOW = k * SEGMENT;
    localparam int BITS = k == SEGMENTS - 1 ? ACC_W - LOW : SEGMENT;  // the last takes what is left
    lowbit_add #(
        .W(BITS)
    ) u_add (
        .a_i(addend[LOW+:BITS]),
        .b_i(kept[LOW+:BITS]),
        .c_i(kept_carry[k]),
        .s_o(sum[LOW+:BITS]),
        .c_o(carry[k+1])
    );
  end
  lowbit_resolve #(
      .ACC_W(ACC_W),
      .SEGMENT(SEGMENT)
  ) u_resolve (
      .acc_i(acc_q),
      .waiting_i(carry_q[SEGMENTS-1:0] & {SEGMENTS{done_i}}),
      .acc_o
  );
  // Two's complement overflow: both summands had the sign that the sum has not.
  assign overflow_o = (addend[ACC_W-1] == kept[ACC_W-1]) & (sum[ACC_W-1] != addend[ACC_W-1]);
  assign late_overflow_o = ~acc_q[ACC_W-1] & acc_o[ACC_W-1];
  logic unused;
  assign unused = carry_q[SEGMENTS] | kept_carry[SEGMENTS];
  always_ff @(posedge clk_i) begin
    acc_q <= sum;
    carry_q <= carry;
  end
endmodule
`default_nettype wire
