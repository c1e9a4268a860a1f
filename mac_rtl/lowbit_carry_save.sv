// SPDX-License-Identifier: MIT
// A row of W full adders: a + b + c = s + 2 * carry, exactly, as W-bit unsigned words.
`default_nettype none
module lowbit_carry_save #(
    parameter int W = 8
) (
    input  logic [W-1:0] a_i,
    input  logic [W-1:0] b_i,
    input  logic [W-1:0] c_i,
    output logic [W-1:0] s_o,
    output logic [W-1:0] carry_o
);
`ifdef LOWBIT_STRUCTURAL
  for (genvar i = 0; i < W; i++) begin : g_bit
    lowbit_full_adder u_fa (
        .a_i(a_i[i]),
        .b_i(b_i[i]),
        .c_i(c_i[i]),
        .s_o(s_o[i]),
        .c_o(carry_o[i])
    );
  end
`else
  assign s_o = a_i ^ b_i ^ c_i;
  assign carry_o = (a_i & b_i) | (c_i & (a_i ^ b_i));
`endif
endmodule
`default_nettype wire
