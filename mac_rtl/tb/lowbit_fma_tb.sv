// SPDX-License-Identifier: MIT
// The fused multiply-add of BF16 factors by itself, for the C++ test.
`default_nettype none
module lowbit_fma_tb (
    input  logic [15:0] a_i,
    input  logic [15:0] b_i,
    input  logic [31:0] c_i,
    output logic [31:0] result_o
);
  assign result_o = lowbit_fma_pkg::fma(a_i, b_i, c_i);
endmodule
`default_nettype wire
