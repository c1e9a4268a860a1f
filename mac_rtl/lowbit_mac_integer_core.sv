// SPDX-License-Identifier: MIT
// Baseline: integer dot product as INT8 and INT4 accelerators have it, free running: one beat of
// LANES products of two's complement codes per clock, no scales, acc = the sum of products modulo
// 2^ACC_W. valid_o is high 2 clocks after a beat with last_i, and acc_o is then the segment's sum.
// The scale bytes are not read; they are ports so that the benches of the other units fit.
`default_nettype none
module lowbit_mac_integer_core #(
    parameter int BITS = 8,
    parameter int LANES = 16,
    parameter int ACC_W = 32
) (
    input  logic                  clk_i,
    input  logic                  rst_ni,
    input  logic                  valid_i,
    input  logic                  first_i,
    input  logic                  last_i,
    input  logic [           7:0] a_scale_i,
    input  logic [           7:0] w_scale_i,
    input  logic [BITS*LANES-1:0] a_codes_i,
    input  logic [BITS*LANES-1:0] w_codes_i,
    output logic                  valid_o,
    output logic [     ACC_W-1:0] acc_o
);
  localparam int SUM_W = 2 * BITS + $clog2(LANES);
  logic unused;
  assign unused = (|a_scale_i) ^ (|w_scale_i);

  // A bubble multiplies by zero.
  logic signed [SUM_W-1:0] sum;
  always_comb begin
    sum = '0;
    for (int l = 0; l < LANES; l++) begin
      sum = sum + SUM_W'($signed(a_codes_i[BITS*l+:BITS])
          * $signed(w_codes_i[BITS*l+:BITS] & {BITS{valid_i}}));
    end
  end

  logic signed [SUM_W-1:0] sum_q;
  logic open, first_q, last_q;
  logic [ACC_W-1:0] addend;
  assign addend = {{ACC_W - SUM_W{sum_q[SUM_W-1]}}, sum_q};
  always_ff @(posedge clk_i) begin
    open <= rst_ni & (valid_i ? ~last_i : open);
    sum_q <= sum;
    first_q <= valid_i & (first_i | ~open);
    last_q <= valid_i & last_i & rst_ni;
    acc_o <= (acc_o & {ACC_W{~first_q}}) + addend;
    valid_o <= last_q & rst_ni;
  end
endmodule
`default_nettype wire
