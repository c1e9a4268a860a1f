// SPDX-License-Identifier: MIT
// The exact unit in a bench of one's own, from docs/mac.md alone: two NVFP4 dot products and one
// IF4 dot product with an integer block, with a stalled sink. Prints one line per result and
// "ok: 3 results", or FAILED.
// scripts/mac_example.sh runs it in Icarus and in Verilator.
`default_nettype none
`timescale 1ns / 1ns
module dot_product_tb;
  localparam int LANES = 16;
  localparam int CODES = 4 * LANES;

  logic clk = 1'b0;
  logic rst_n = 1'b0;
  always #5 clk = ~clk;

  // One bench drives both units: the same beats, of which IF4 alone reads bit 7 of a scale as
  // "integers".
  logic in_valid = 1'b0;
  logic in_first, in_last;
  logic [7:0] a_scale, w_scale;
  logic [CODES-1:0] a_codes, w_codes;
  logic nvfp4_ready, if4_ready, nvfp4_valid, if4_valid;
  logic out_ready = 1'b0;
  logic [31:0] nvfp4_fp32, if4_fp32;
  logic [1:0] nvfp4_flags, if4_flags;

  lowbit_mac_exact #(
      .FORMAT(lowbit_formats::NVFP4),
      .LANES (LANES)
  ) i_nvfp4 (
      .clk_i      (clk),
      .rst_ni     (rst_n),
      .in_valid_i (in_valid & if4_ready),
      .in_ready_o (nvfp4_ready),
      .in_first_i (in_first),
      .in_last_i  (in_last),
      .a_scale_i  (a_scale),
      .w_scale_i  (w_scale),
      .a_codes_i  (a_codes),
      .w_codes_i  (w_codes),
      .out_valid_o(nvfp4_valid),
      .out_ready_i(out_ready & if4_valid),
      .out_acc_o  (),
      .out_fp32_o (nvfp4_fp32),
      .out_flags_o(nvfp4_flags)
  );
  lowbit_mac_exact #(
      .FORMAT(lowbit_formats::IF4),
      .LANES (LANES)
  ) i_if4 (
      .clk_i      (clk),
      .rst_ni     (rst_n),
      .in_valid_i (in_valid & nvfp4_ready),
      .in_ready_o (if4_ready),
      .in_first_i (in_first),
      .in_last_i  (in_last),
      .a_scale_i  (a_scale),
      .w_scale_i  (w_scale),
      .a_codes_i  (a_codes),
      .w_codes_i  (w_codes),
      .out_valid_o(if4_valid),
      .out_ready_i(out_ready & nvfp4_valid),
      .out_acc_o  (),
      .out_fp32_o (if4_fp32),
      .out_flags_o(if4_flags)
  );

  int wrong = 0;
  int results = 0;

  // Holds a beat until an edge takes it. Inputs change while the clock is low.
  task automatic send(input logic first, input logic last, input logic [7:0] sa,
                      input logic [7:0] sw, input logic [3:0] a, input logic [3:0] w);
    begin
      in_valid = 1'b1;
      in_first = first;
      in_last  = last;
      a_scale  = sa;
      w_scale  = sw;
      a_codes  = {LANES{a}};
      w_codes  = {LANES{w}};
      @(posedge clk);
      while (!(nvfp4_ready && if4_ready)) @(posedge clk);
      @(negedge clk);
      in_valid = 1'b0;
    end
  endtask

  // IF4's FP32 result is 49 times the dot product (docs/mac.md): the tensor scale divides by 49.
  task automatic expect_result(input logic [31:0] nvfp4, input logic [31:0] if4);
    begin
      while (!(nvfp4_valid && if4_valid)) @(negedge clk);
      // A sink that is not ready finds the same result later.
      repeat (3) @(negedge clk);
      $display("nvfp4 %h, if4 %h", nvfp4_fp32, if4_fp32);
      if (nvfp4_fp32 !== nvfp4 || if4_fp32 !== if4 || nvfp4_flags != 0 || if4_flags != 0) begin
        wrong = wrong + 1;
        $display("expected %h and %h without flags", nvfp4, if4);
      end
      results   = results + 1;
      out_ready = 1'b1;
      @(negedge clk);
      out_ready = 1'b0;
    end
  endtask

  initial begin
    repeat (3) @(negedge clk);
    rst_n = 1'b1;
    @(negedge clk);
    // 16 * 1.5 * (-2) at scales 1 (38 in E4M3) and 0.5 (30): -24; times 49: -1176.
    send(1'b1, 1'b1, 8'h38, 8'h30, 4'h3, 4'hC);
    expect_result(32'hC1C00000, 32'hC4930000);
    // Two beats, 16 * 6 * 6 at 1 and 1, then 16 * 0.5 * 0.5 at 2 and 2: 576 + 16 = 592; times 49: 29008.
    send(1'b1, 1'b0, 8'h38, 8'h38, 4'h7, 4'h7);
    send(1'b0, 1'b1, 8'h40, 8'h40, 4'h1, 4'h1);
    expect_result(32'h44140000, 32'h46E2A000);
    // Scale B8 is 1 with bit 7 set: in IF4 the weights are integers, code 7 is 7 and counts 6/7 of it.
    // NVFP4: 16 * 1 * 6 = 96. IF4: 16 * 1 * 7 * 6/7 = 96, times 49: 4704.
    send(1'b1, 1'b1, 8'h38, 8'hB8, 4'h2, 4'h7);
    expect_result(32'h42C00000, 32'h45930000);
    if (wrong != 0) $display("FAILED: %0d of %0d results are wrong", wrong, results);
    else $display("ok: %0d results", results);
    $finish;
  end
  initial begin
    #10000 $display("FAILED: no result after 1,000 clocks");
    $finish;
  end
endmodule
`default_nettype wire
