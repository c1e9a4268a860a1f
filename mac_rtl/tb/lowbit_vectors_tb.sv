// SPDX-License-Identifier: MIT
// A plain testbench for any simulator: drives a unit with the $readmemh files of
// `lowbit mac run --write-readmemh PREFIX` and compares every FP32 result (docs/mac.md, Vectors).
// BITS: of a code; SCALE_W: of a scale port; UNIT_PARAMETERS: further ones, as ", .FORMAT(15)".
//   iverilog -g2012 -DUNIT=lowbit_mac_published -s lowbit_vectors_tb -Plowbit_vectors_tb.BEATS=... ...
//   vvp a.out +prefix=PREFIX
`default_nettype none
`timescale 1ns / 1ns
module lowbit_vectors_tb;
  parameter int LANES = 16;
  parameter int BEATS = 1;
  parameter int SEGMENTS = 1;
  parameter int BITS = 4;
  parameter int SCALE_W = 8;
  localparam int CODES = BITS * LANES;
  localparam int DIGITS_W = (CODES + 3) / 4 * 4;  // the codes of an operand are whole digits
  localparam int BEAT_W = 4 + 2 * SCALE_W + 2 * DIGITS_W;

  logic [BEAT_W-1:0] beats [BEATS];
  logic [31:0] expected [SEGMENTS];
  logic clk = 1'b0;
  logic rst_n = 1'b0;
  logic in_valid = 1'b0;
  logic in_ready;
  logic out_valid;
  logic [31:0] fp32;
  logic [1:0] flags;
  logic [BEAT_W-1:0] beat = '0;
  int sent = 0;
  int received = 0;
  int wrong = 0;
  int idle = 0;
  string prefix;

`ifndef UNIT_PARAMETERS
`define UNIT_PARAMETERS
`endif
  `UNIT #(.LANES(LANES) `UNIT_PARAMETERS) i_unit (
      .clk_i(clk),
      .rst_ni(rst_n),
      .in_valid_i(in_valid),
      .in_ready_o(in_ready),
      .in_first_i(beat[BEAT_W-4]),
      .in_last_i(beat[BEAT_W-3]),
      .a_scale_i(beat[2*DIGITS_W+SCALE_W+:SCALE_W]),
      .w_scale_i(beat[2*DIGITS_W+:SCALE_W]),
      .a_codes_i(beat[DIGITS_W+:CODES]),
      .w_codes_i(beat[0+:CODES]),
      .out_valid_o(out_valid),
      .out_ready_i(1'b1),
      .out_fp32_o(fp32),
      .out_flags_o(flags)
  );

  always #5 clk = ~clk;

  // Inputs change while the clock is low; what the edge took is known before it.
  always @(negedge clk) begin
    if (rst_n && !(in_valid && !in_ready)) begin
      in_valid <= sent < BEATS;
      if (sent < BEATS) beat <= beats[sent];
      sent <= sent + 1;
    end
    idle <= out_valid ? 0 : idle + 1;
    if (received == SEGMENTS || idle > 1000) begin
      if (wrong != 0 || received != SEGMENTS) $display("FAILED: %0d of %0d results, %0d wrong", received, SEGMENTS, wrong);
      else $display("ok: %0d results", received);
      $finish;
    end
  end
  always @(posedge clk)
    if (rst_n && out_valid) begin
      if (fp32 !== expected[received]) begin
        wrong <= wrong + 1;
        $display("segment %0d: %h, expected %h", received, fp32, expected[received]);
      end
      received <= received + 1;
    end

  initial begin
    if (!$value$plusargs("prefix=%s", prefix)) $fatal(1, "+prefix=... is missing");
    $readmemh({prefix, ".beats.hex"}, beats, 0, BEATS - 1);
    $readmemh({prefix, ".expected.hex"}, expected, 0, SEGMENTS - 1);
    repeat (3) @(negedge clk);
    rst_n = 1'b1;
  end
endmodule
`default_nettype wire
