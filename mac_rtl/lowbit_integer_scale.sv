// SPDX-License-Identifier: MIT
// Times the exact ratio of integer to float blocks, over their common denominator: for each operand
// FLOAT_FACTOR or INTEGER_FACTOR (IF4: 7 or 12, so 49, 84 or 144 a pair). With PIPELINE a register
// between the two.
`default_nettype none
module lowbit_integer_scale #(
    parameter int W = 20,
    parameter int PIPELINE = 0,
    parameter int HALF_W = 23,
    parameter int OUT_W = 26,
    parameter int FLOAT_FACTOR = 7,
    parameter int INTEGER_FACTOR = 12
) (
    input  logic             clk_i,
    input  logic [    W-1:0] value_i,
    input  logic             a_integer_i,
    input  logic             w_integer_i,
    output logic [OUT_W-1:0] value_o
);
  logic [HALF_W-1:0] once, once_q;
  logic w_integer_q;
  lowbit_factor #(
      .W(HALF_W),
      .FLOAT_FACTOR(FLOAT_FACTOR),
      .INTEGER_FACTOR(INTEGER_FACTOR)
  ) u_a (
      .value_i({{HALF_W - W{value_i[W-1]}}, value_i}),
      .integer_i(a_integer_i),
      .value_o(once)
  );
  lowbit_delay #(
      .W(HALF_W + 1),
      .N(PIPELINE)
  ) u_register (
      .clk_i,
      .data_i({w_integer_i, once}),
      .data_o({w_integer_q, once_q})
  );
  lowbit_factor #(
      .W(OUT_W),
      .FLOAT_FACTOR(FLOAT_FACTOR),
      .INTEGER_FACTOR(INTEGER_FACTOR)
  ) u_w (
      .value_i({{OUT_W - HALF_W{once_q[HALF_W-1]}}, once_q}),
      .integer_i(w_integer_q),
      .value_o
  );
endmodule
`default_nettype wire
