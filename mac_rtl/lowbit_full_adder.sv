// SPDX-License-Identifier: MIT
// One bit of a carry-save row or a ripple adder. The synthesis flow maps this module to the
// library's full-adder cell where there is one (scripts/synth).
`default_nettype none
module lowbit_full_adder (
    input  logic a_i,
    input  logic b_i,
    input  logic c_i,
    output logic s_o,
    output logic c_o
);
  assign s_o = a_i ^ b_i ^ c_i;
  assign c_o = (a_i & b_i) | (c_i & (a_i ^ b_i));
endmodule
`default_nettype wire
