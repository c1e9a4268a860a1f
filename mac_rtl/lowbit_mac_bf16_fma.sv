// SPDX-License-Identifier: MIT
// Baseline: BF16 times BF16 with FP32 FMA behind the stream interface of docs/mac.md. Scale bytes are
// not read, flags are 0: a NaN stands in the result.
`default_nettype none
module lowbit_mac_bf16_fma #(
    parameter int LANES = 4,
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
    input  logic [LANES*16-1:0] a_codes_i,
    input  logic [LANES*16-1:0] w_codes_i,
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
  logic [16*LANES-1:0] core_a_codes;
  logic [16*LANES-1:0] core_w_codes;
  logic               result_valid;
  logic [31:0]        result;

  lowbit_unit_stream #(
      .SCALE_W(8),
      .CODES_W(16*LANES),
      .RESULT_W(32),
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
      .result_i      (result),
      .out_valid_o,
      .out_ready_i,
      .out_result_o  (out_fp32_o)
  );

  lowbit_mac_bf16_fma_core #(
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
      .fp32_o     (result)
  );

  assign out_flags_o = 2'b00;
endmodule
`default_nettype wire
