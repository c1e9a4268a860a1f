// SPDX-License-Identifier: MIT
// value * (integer ? INTEGER_FACTOR : FLOAT_FACTOR) modulo 2^W with a single adder. FLOAT_FACTOR is
// 2^F - 1 (3, 7, 31); INTEGER_FACTOR is 2^F, or 2^F + 2^L, or 2^H - 2^L (4; 12 = 8 + 4;
// 60 = 64 - 4, 448 = 512 - 64).
`default_nettype none
module lowbit_factor #(
    parameter int W = 26,
    parameter int FLOAT_FACTOR = 7,
    parameter int INTEGER_FACTOR = 12
) (
    input  logic [W-1:0] value_i,
    input  logic         integer_i,
    output logic [W-1:0] value_o
);
  localparam int F = $clog2(FLOAT_FACTOR + 1);
  localparam int BEYOND = INTEGER_FACTOR - (1 << F);
  localparam bit PLUS = BEYOND > 0 && (BEYOND & (BEYOND - 1)) == 0;
  localparam int H = $clog2(INTEGER_FACTOR);
  localparam int L = $clog2(PLUS ? BEYOND : (1 << H) - INTEGER_FACTOR);
  logic [W-1:0] high, low;
  logic carry_in, carry_out;
  if (BEYOND == 0) begin : g_power
    assign high = value_i << F;
    assign low = ~value_i & {W{~integer_i}};
    assign carry_in = ~integer_i;
  end else if (PLUS) begin : g_plus
    assign high = value_i << F;
    assign low = integer_i ? value_i << L : ~value_i;
    assign carry_in = ~integer_i;
  end else begin : g_minus
    assign high = integer_i ? value_i << H : value_i << F;
    assign low = integer_i ? ~(value_i << L) : ~value_i;
    assign carry_in = 1'b1;
  end
  lowbit_add #(
      .W(W)
  ) u_add (
      .a_i(high),
      .b_i(low),
      .c_i(carry_in),
      .s_o(value_o),
      .c_o(carry_out)
  );
  logic unused;
  assign unused = carry_out;
endmodule
`default_nettype wire
