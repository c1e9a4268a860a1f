// SPDX-License-Identifier: MIT
// Baseline: FP8 E4M3 dot product with FP32 accumulation behind the stream interface of docs/mac.md.
// Scale bytes are not read; flag 0: a NaN code in the segment.
`default_nettype none
module lowbit_mac_fp8_fp32 #(
    parameter int LANES = 16,
    parameter int DEPTH = 16
) (
    input  logic               clk_i,
    input  logic               rst_ni,
    input  logic               in_valid_i,
    output logic               in_ready_o,
    input  logic               in_first_i,
    input  logic               in_last_i,
    input  logic [7:0]         a_scale_i,
    input  logic [7:0]         w_scale_i,
    input  logic [LANES*8-1:0] a_codes_i,
    input  logic [LANES*8-1:0] w_codes_i,
    output logic               out_valid_o,
    input  logic               out_ready_i,
    output logic [31:0]        out_fp32_o,
    output logic [1:0]         out_flags_o
);
  logic               core_valid;
  logic               core_first;
  logic               core_last;
  logic [7:0]         core_a_scale;
  logic [7:0]         core_w_scale;
  logic [8*LANES-1:0] core_a_codes;
  logic [8*LANES-1:0] core_w_codes;
  logic               result_valid;
  logic [31:0]        result;
  logic               nan_code;

  lowbit_unit_stream #(
      .SCALE_W(8),
      .CODES_W(8*LANES),
      .DEPTH  (DEPTH)
  ) i_stream (
      .clk_i,
      .rst_ni,
      .in_valid_i,
      .in_ready_o,
      .in_first_i,
      .in_last_i,
      .a_scale_i,
      .w_scale_i,
      .a_codes_i,
      .w_codes_i,
      .core_valid_o  (core_valid),
      .core_first_o  (core_first),
      .core_last_o   (core_last),
      .core_a_scale_o(core_a_scale),
      .core_w_scale_o(core_w_scale),
      .core_a_codes_o(core_a_codes),
      .core_w_codes_o(core_w_codes),
      .result_valid_i(result_valid),
      .result_i      ({nan_code, result}),
      .out_valid_o,
      .out_ready_i,
      .out_result_o  ({out_flags_o[0], out_fp32_o})
  );

  lowbit_mac_fp8_fp32_core #(
      .LANES(LANES)
  ) i_core (
      .clk_i,
      .rst_ni,
      .valid_i    (core_valid),
      .first_i    (core_first),
      .last_i     (core_last),
      .a_scale_i  (core_a_scale),
      .w_scale_i  (core_w_scale),
      .a_codes_i  (core_a_codes),
      .w_codes_i  (core_w_codes),
      .valid_o    (result_valid),
      .fp32_o     (result),
      .nan_o      (nan_code)
  );

  // FP32 covers every sum of this unit.
  assign out_flags_o[1] = 1'b0;
endmodule
`default_nettype wire
