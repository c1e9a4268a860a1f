// SPDX-License-Identifier: MIT
// Times the exact ratio of integer to float blocks, over their common denominator: for each operand
// FLOAT_FACTOR or INTEGER_FACTOR (IF4: 7 or 12, so 49, 84 or 144 a pair). Each factor is
// (2^m - 1) << j, so each is one subtraction.
`default_nettype none
module lowbit_integer_scale #(
    parameter int W = 21,
    parameter int FLOAT_FACTOR = 7,
    parameter int INTEGER_FACTOR = 12,
    parameter int OUT_W = 26
) (
    input  logic [    W-1:0] value_i,
    input  logic             a_integer_i,
    input  logic             w_integer_i,
    output logic [OUT_W-1:0] value_o
);
  logic [OUT_W-1:0] value, once;
  assign value = {{OUT_W - W{value_i[W-1]}}, value_i};
  assign once = a_integer_i ? OUT_W'(value * OUT_W'(INTEGER_FACTOR)) : OUT_W'(value * OUT_W'(FLOAT_FACTOR));
  assign value_o = w_integer_i ? OUT_W'(once * OUT_W'(INTEGER_FACTOR)) : OUT_W'(once * OUT_W'(FLOAT_FACTOR));
endmodule
`default_nettype wire
