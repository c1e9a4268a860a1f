// SPDX-License-Identifier: MIT
// Combinational FP32 multiplier, round to nearest even; lowbit_fp32_pkg.sv says what SUBNORMALS does.
`default_nettype none
module lowbit_fp32_mul #(
    parameter bit SUBNORMALS = 1
) (
    input  logic [31:0] x_i,
    input  logic [31:0] y_i,
    output logic [31:0] result_o
);
  assign result_o = lowbit_fp32_pkg::mul(x_i, y_i, SUBNORMALS);
endmodule
`default_nettype wire
