// SPDX-License-Identifier: MIT
// Times the exact ratio of integer to float blocks, over their common denominator: for each operand
// FLOAT_FACTOR or INTEGER_FACTOR (IF4: 7 or 12, so 49, 84 or 144 a pair).
`default_nettype none
module lowbit_integer_scale #(
    parameter int W = 20,
    parameter int OUT_W = 26,
    parameter int FLOAT_FACTOR = 7,
    parameter int INTEGER_FACTOR = 12
) (
    input  logic [    W-1:0] value_i,
    input  logic             a_integer_i,
    input  logic             w_integer_i,
    output logic [OUT_W-1:0] value_o
);
  localparam int HALF_W = OUT_W - 1;  // either factor is at least 2
  logic [HALF_W-1:0] once;
  lowbit_factor #(
      .W(HALF_W),
      .FLOAT_FACTOR(FLOAT_FACTOR),
      .INTEGER_FACTOR(INTEGER_FACTOR)
  ) u_a (
      .value_i({{HALF_W - W{value_i[W-1]}}, value_i}),
      .integer_i(a_integer_i),
      .value_o(once)
  );
  lowbit_factor #(
      .W(OUT_W),
      .FLOAT_FACTOR(FLOAT_FACTOR),
      .INTEGER_FACTOR(INTEGER_FACTOR)
  ) u_w (
      .value_i({once[HALF_W-1], once}),
      .integer_i(w_integer_i),
      .value_o
  );
endmodule
`default_nettype wire
