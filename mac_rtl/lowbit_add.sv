// SPDX-License-Identifier: MIT
// Sum of two words and a carry, modulo 2^W. With LOWBIT_STRUCTURAL a chain of full adders, the
// smallest adder; with LOWBIT_FAST_ADD beside it, whatever the synthesis tool makes of a sum.
`default_nettype none
module lowbit_add #(
    parameter int W = 8
) (
    input  logic [W-1:0] a_i,
    input  logic [W-1:0] b_i,
    input  logic         c_i,
    output logic [W-1:0] s_o,
    output logic         c_o
);
`ifdef LOWBIT_STRUCTURAL
`ifndef LOWBIT_FAST_ADD
`define LOWBIT_RIPPLE
`endif
`endif
`ifdef LOWBIT_RIPPLE
  logic [W:0] carry;
  assign carry[0] = c_i;
  for (genvar i = 0; i < W; i++) begin : g_bit
    lowbit_full_adder u_fa (
        .a_i(a_i[i]),
        .b_i(b_i[i]),
        .c_i(carry[i]),
        .s_o(s_o[i]),
        .c_o(carry[i+1])
    );
  end
  assign c_o = carry[W];
`else
  assign {c_o, s_o} = {1'b0, a_i} + {1'b0, b_i} + {{W{1'b0}}, c_i};
`endif
endmodule
`default_nettype wire
