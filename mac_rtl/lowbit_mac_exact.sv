// SPDX-License-Identifier: MIT
// The exact MAC behind the stream interface of docs/mac.md, with its FP32 epilogue.
`default_nettype none
module lowbit_mac_exact #(
    parameter int FORMAT = lowbit_formats::IF4,
    parameter bit INT_EN = lowbit_formats::has_integers(FORMAT) != 0,
    parameter int LANES = 16,
    parameter int PIPELINE = 0,  // 1: two or three registers more, for a higher frequency
    parameter int ACC_W = lowbit_formats::accumulator_bits(FORMAT),
    parameter int WINDOW_LSB = -48,
    parameter int DEPTH = 16,
    localparam int BITS = lowbit_formats::element_bits(FORMAT)
) (
    input  logic                  clk_i,
    input  logic                  rst_ni,
    input  logic                  in_valid_i,
    output logic                  in_ready_o,
    input  logic                  in_first_i,
    input  logic                  in_last_i,
    input  logic [7:0]            a_scale_i,
    input  logic [7:0]            w_scale_i,
    input  logic [LANES*BITS-1:0] a_codes_i,
    input  logic [LANES*BITS-1:0] w_codes_i,
    output logic                  out_valid_o,
    input  logic                  out_ready_i,
    output logic [ACC_W-1:0]      out_acc_o,
    output logic [31:0]           out_fp32_o,
    output logic [1:0]            out_flags_o
);
  // What bit 0 of the accumulator weighs, over the formats' denominator.
  localparam int EXPONENT = lowbit_formats::has_e8m0_scale(FORMAT) != 0
      ? WINDOW_LSB : 2 * lowbit_formats::unit_exponent(FORMAT) - 18;

  logic                  core_valid;
  logic                  core_first;
  logic                  core_last;
  logic [7:0]            core_a_scale;
  logic [7:0]            core_w_scale;
  logic [BITS*LANES-1:0] core_a_codes;
  logic [BITS*LANES-1:0] core_w_codes;
  logic                  sum_valid;
  logic [ACC_W-1:0]      sum;
  logic [1:0]            sum_flags;
  logic                  result_valid;
  logic [ACC_W-1:0]      acc;
  logic [31:0]           fp32;
  logic [1:0]            flags;

  lowbit_unit_stream #(
      .CODES_W (BITS * LANES),
      .RESULT_W(ACC_W + 34),
      .DEPTH   (DEPTH)
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
      .result_i      ({flags, fp32, acc}),
      .out_valid_o,
      .out_ready_i,
      .out_result_o  ({out_flags_o, out_fp32_o, out_acc_o})
  );

  lowbit_mac_exact_core #(
      .FORMAT    (FORMAT),
      .INT_EN    (INT_EN),
      .LANES     (LANES),
      .PIPELINE  (PIPELINE),
      .ACC_W     (ACC_W),
      .WINDOW_LSB(WINDOW_LSB)
  ) i_core (
      .clk_i,
      .rst_ni,
      .valid_i  (core_valid),
      .first_i  (core_first),
      .last_i   (core_last),
      .a_scale_i(core_a_scale),
      .w_scale_i(core_w_scale),
      .a_codes_i(core_a_codes),
      .w_codes_i(core_w_codes),
      .valid_o  (sum_valid),
      .acc_o    (sum),
      .flags_o  (sum_flags)
  );

  lowbit_acc_to_fp32 #(
      .ACC_W   (ACC_W),
      .EXPONENT(EXPONENT)
  ) i_to_fp32 (
      .clk_i,
      .rst_ni,
      .valid_i(sum_valid),
      .acc_i  (sum),
      .flags_i(sum_flags),
      .valid_o(result_valid),
      .acc_o  (acc),
      .fp32_o (fp32),
      .flags_o(flags)
  );
endmodule
`default_nettype wire
