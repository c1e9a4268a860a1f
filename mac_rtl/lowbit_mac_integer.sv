// SPDX-License-Identifier: MIT
// Baseline: the integer dot product of lowbit_mac_integer_core behind the stream interface of
// docs/mac.md. Scale bytes are not read, flags are 0; out_fp32_o is the accumulator rounded once.
`default_nettype none
module lowbit_mac_integer #(
    parameter int BITS = 8,
    parameter int LANES = 16,
    parameter int ACC_W = 32,
    parameter int DEPTH = 16
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
  logic                  core_valid;
  logic                  core_first;
  logic                  core_last;
  logic [7:0]            core_a_scale;
  logic [7:0]            core_w_scale;
  logic [BITS*LANES-1:0] core_a_codes;
  logic [BITS*LANES-1:0] core_w_codes;
  logic                  sum_valid;
  logic [ACC_W-1:0]      sum;
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

  lowbit_mac_integer_core #(
      .BITS (BITS),
      .LANES(LANES),
      .ACC_W(ACC_W)
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
      .acc_o    (sum)
  );

  lowbit_acc_to_fp32 #(
      .ACC_W   (ACC_W),
      .EXPONENT(0)
  ) i_to_fp32 (
      .clk_i,
      .rst_ni,
      .valid_i(sum_valid),
      .acc_i  (sum),
      .flags_i(2'b00),
      .valid_o(result_valid),
      .acc_o  (acc),
      .fp32_o (fp32),
      .flags_o(flags)
  );
endmodule
`default_nettype wire
