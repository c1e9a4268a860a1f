// SPDX-License-Identifier: MIT
// What every unit's stream interface (docs/mac.md) has around its core: the ports' scales and codes as the operands of
// lowbit_stream, and back again as the core's.
`default_nettype none
module lowbit_unit_stream #(
    parameter int SCALE_W = 8,  // scale bytes of one operand's beat
    parameter int CODES_W = 64, // codes of one operand's beat
    parameter int RESULT_W = 33,
    parameter int DEPTH = 16
) (
    input  logic                clk_i,
    input  logic                rst_ni,
    input  logic                in_valid_i,
    output logic                in_ready_o,
    input  logic                in_first_i,
    input  logic                in_last_i,
    input  logic [SCALE_W-1:0]  a_scale_i,
    input  logic [SCALE_W-1:0]  w_scale_i,
    input  logic [CODES_W-1:0]  a_codes_i,
    input  logic [CODES_W-1:0]  w_codes_i,
    output logic                core_valid_o,
    output logic                core_first_o,
    output logic                core_last_o,
    output logic [SCALE_W-1:0]  core_a_scale_o,
    output logic [SCALE_W-1:0]  core_w_scale_o,
    output logic [CODES_W-1:0]  core_a_codes_o,
    output logic [CODES_W-1:0]  core_w_codes_o,
    input  logic                result_valid_i,
    input  logic [RESULT_W-1:0] result_i,
    output logic                out_valid_o,
    input  logic                out_ready_i,
    output logic [RESULT_W-1:0] out_result_o
);
  lowbit_stream #(
      .OPERAND_W(2 * SCALE_W + 2 * CODES_W),
      .RESULT_W (RESULT_W),
      .DEPTH    (DEPTH)
  ) i_stream (
      .clk_i,
      .rst_ni,
      .in_valid_i,
      .in_ready_o,
      .in_first_i,
      .in_last_i,
      .in_operands_i  ({a_scale_i, w_scale_i, a_codes_i, w_codes_i}),
      .core_valid_o,
      .core_first_o,
      .core_last_o,
      .core_operands_o({core_a_scale_o, core_w_scale_o, core_a_codes_o, core_w_codes_o}),
      .result_valid_i,
      .result_i,
      .out_valid_o,
      .out_ready_i,
      .out_result_o
  );
endmodule
`default_nettype wire
