// SPDX-License-Identifier: MIT
// The FP32 operators side by side, with and without subnormals, for the C++ test.
`default_nettype none
module lowbit_fp32_tb (
    input  logic [31:0] x_i,
    input  logic [31:0] y_i,
    output logic [31:0] add_o,
    output logic [31:0] mul_o,
    output logic [31:0] add_flush_o,
    output logic [31:0] mul_flush_o
);
  lowbit_fp32_add #(.SUBNORMALS(1'b1)) i_add (.x_i, .y_i, .result_o(add_o));
  lowbit_fp32_mul #(.SUBNORMALS(1'b1)) i_mul (.x_i, .y_i, .result_o(mul_o));
  lowbit_fp32_add #(.SUBNORMALS(1'b0)) i_add_flush (.x_i, .y_i, .result_o(add_flush_o));
  lowbit_fp32_mul #(.SUBNORMALS(1'b0)) i_mul_flush (.x_i, .y_i, .result_o(mul_flush_o));
endmodule
`default_nettype wire
