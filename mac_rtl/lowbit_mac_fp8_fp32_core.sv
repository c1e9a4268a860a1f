// SPDX-License-Identifier: MIT
// Baseline: dot product of FP8 E4M3 codes with FP32 accumulation, free running, one beat a clock:
//   1  exact sum of the lanes' products
//   2  to FP32, rounded to nearest even
//   3  FP32 accumulator
// A NaN code makes the segment's result 7FC00000 and raises nan_o. The scale bytes are not read; they
// are ports so that the benches of the other units fit.
`default_nettype none
module lowbit_mac_fp8_fp32_core #(
    parameter int LANES = 16
) (
    input  logic               clk_i,
    input  logic               rst_ni,
    input  logic               valid_i,
    input  logic               first_i,
    input  logic               last_i,
    input  logic [7:0]         a_scale_i,
    input  logic [7:0]         w_scale_i,
    input  logic [LANES*8-1:0] a_codes_i,
    input  logic [LANES*8-1:0] w_codes_i,
    output logic               valid_o,
    output logic [31:0]        fp32_o,
    output logic               nan_o
);
  localparam int FORMAT = lowbit_formats::MXFP8_E4M3;
  localparam int SUM_W = lowbit_formats::product_bits(FORMAT) + $clog2(LANES) + 1;
  localparam int UNIT = 2 * lowbit_formats::unit_exponent(FORMAT);
  logic unused;
  assign unused = (|a_scale_i) ^ (|w_scale_i);

  logic             open;
  logic [SUM_W-1:0] sum;
  logic [SUM_W-1:0] sum_q;
  logic [SUM_W-1:0] magnitude;
  logic             special;
  logic [3:1]       valid_q;
  logic [3:1]       last_q;
  logic [2:1]       first_q;
  logic [2:1]       nan_q;
  logic [31:0]      beat_q;
  lowbit_block_sum #(
      .FORMAT(FORMAT),
      .INT_EN(1'b0),
      .LANES (LANES)
  ) i_block_sum (
      .clk_i,
      .a_codes_i,
      .w_codes_i,
      .a_integer_i(1'b0),
      .w_integer_i(1'b0),
      .sum_o      (sum),
      .special_o  (special)
  );
  assign magnitude = sum_q[SUM_W-1] ? -sum_q : sum_q;
  always_ff @(posedge clk_i) begin
    open    <= rst_ni & (valid_i ? ~last_i : open);
    valid_q <= {valid_q[2:1], valid_i} & {3{rst_ni}};
    last_q  <= {last_q[2:1], last_i};
    first_q <= {first_q[1], first_i | ~open};
    nan_q   <= {nan_q[1], special};
    sum_q   <= sum;
    if (valid_q[1]) begin
      beat_q <= nan_q[1] ? lowbit_fp32_pkg::QuietNan
          : lowbit_fp32_pkg::from_integer(sum_q[SUM_W-1], 64'(magnitude), 10'(UNIT), 1'b1);
    end
    if (valid_q[2]) begin
      fp32_o <= lowbit_fp32_pkg::add(first_q[2] ? 32'd0 : fp32_o, beat_q, 1'b0);
      nan_o  <= nan_q[2] | (nan_o & ~first_q[2]);
    end
  end
  assign valid_o = valid_q[3] & last_q[3];
endmodule
`default_nettype wire
