// SPDX-License-Identifier: MIT
// The tensor-core unit and the baselines in one bench, from docs/mac.md alone: two dot products on each, of one beat and of two.
// Prints "ok: 12 results", or what is wrong and FAILED. scripts/mac_example.sh runs it in Icarus and in Verilator.
`default_nettype none
`timescale 1ns / 1ns
module baselines_tb;
  logic clk = 1'b0;
  logic rst_n = 1'b0;
  always #5 clk = ~clk;

  logic valid = 1'b0;
  logic first = 1'b0;
  logic last = 1'b0;
  logic [31:0] g_a_scale = '0;
  logic [31:0] g_w_scale = '0;
  logic [255:0] g_a = '0;
  logic [255:0] g_w = '0;
  logic [127:0] i_a = '0;
  logic [127:0] i_w = '0;
  logic [63:0] b_a = '0;
  logic [63:0] b_w = '0;
  logic [4:0] ready;
  logic [4:0] done;
  logic [31:0] g_fp32, i_fp32, l_fp32, b_fp32, f_fp32, i_acc, l_acc;

  lowbit_mac_gst #(.LANES(64)) i_gst (
      .clk_i(clk), .rst_ni(rst_n), .in_valid_i(valid), .in_ready_o(ready[0]), .in_first_i(first), .in_last_i(last),
      .a_scale_i(g_a_scale), .w_scale_i(g_w_scale), .a_codes_i(g_a), .w_codes_i(g_w),
      .out_valid_o(done[0]), .out_ready_i(1'b1), .out_fp32_o(g_fp32), .out_flags_o());
  lowbit_mac_integer #(.BITS(8), .LANES(16)) i_integer (
      .clk_i(clk), .rst_ni(rst_n), .in_valid_i(valid), .in_ready_o(ready[1]), .in_first_i(first), .in_last_i(last),
      .a_scale_i(8'h00), .w_scale_i(8'h00), .a_codes_i(i_a), .w_codes_i(i_w),
      .out_valid_o(done[1]), .out_ready_i(1'b1), .out_acc_o(i_acc), .out_fp32_o(i_fp32), .out_flags_o());
  lowbit_mac_lut #(.BITS(8), .W_BITS(4), .LANES(16)) i_lut (
      .clk_i(clk), .rst_ni(rst_n), .in_valid_i(valid), .in_ready_o(ready[2]), .in_first_i(first), .in_last_i(last),
      .a_scale_i(8'h00), .w_scale_i(8'h00), .a_codes_i(i_a), .w_codes_i(i_w),
      .out_valid_o(done[2]), .out_ready_i(1'b1), .out_acc_o(l_acc), .out_fp32_o(l_fp32), .out_flags_o());
  lowbit_mac_bf16_fma #(.LANES(4)) i_bf16_fma (
      .clk_i(clk), .rst_ni(rst_n), .in_valid_i(valid), .in_ready_o(ready[3]), .in_first_i(first), .in_last_i(last),
      .a_scale_i(8'h00), .w_scale_i(8'h00), .a_codes_i(b_a), .w_codes_i(b_w),
      .out_valid_o(done[3]), .out_ready_i(1'b1), .out_fp32_o(b_fp32), .out_flags_o());
  // Every FP8 lane multiplies 1.0 by 2.0 in every beat.
  lowbit_mac_fp8_fp32 #(.LANES(16)) i_fp8_fp32 (
      .clk_i(clk), .rst_ni(rst_n), .in_valid_i(valid), .in_ready_o(ready[4]), .in_first_i(first), .in_last_i(last),
      .a_scale_i(8'h00), .w_scale_i(8'h00), .a_codes_i({16{8'h38}}), .w_codes_i({16{8'h40}}),
      .out_valid_o(done[4]), .out_ready_i(1'b1), .out_fp32_o(f_fp32), .out_flags_o());

  int results = 0;
  int wrong = 0;
  int seen [5];
  task automatic check(input int unit, input logic [31:0] got, input logic [31:0] right0, input logic [31:0] right1);
    logic [31:0] right;
    right = seen[unit] == 0 ? right0 : right1;
    results = results + 1;
    if (got !== right) begin
      wrong = wrong + 1;
      $display("unit %0d: %h, not %h", unit, got, right);
    end
  endtask
  always @(posedge clk) begin
    if (done[0]) check(0, g_fp32, 32'h4280_0000, 32'h41F8_0000);  // 64, 31
    if (done[1]) check(1, i_acc, 32'hFFFF_FE80, 32'h0000_0F10);   // -384, 3856
    if (done[1]) check(1, i_fp32, 32'hC3C0_0000, 32'h4571_0000);
    if (done[2]) check(2, l_acc, 32'hFFFF_FE80, 32'h0000_0F10);
    if (done[3]) check(3, b_fp32, 32'h4140_0000, 32'h41C0_0000);  // 12, 24
    if (done[4]) check(4, f_fp32, 32'h4200_0000, 32'h4280_0000);  // 32, 64
    for (int u = 0; u < 5; u++) if (done[u]) seen[u] = seen[u] + 1;
  end
  initial begin
    for (int u = 0; u < 5; u++) seen[u] = 0;
    repeat (3) @(negedge clk);
    rst_n = 1'b1;
    @(negedge clk);
    // One beat: 64 * 1 * 1; 16 * 12 * -2; 4 * 1.5 * 2.
    valid = 1'b1;
    first = 1'b1;
    last = 1'b1;
    g_a_scale = {4{8'h38}};
    g_w_scale = {4{8'h38}};
    g_a = {64{4'h2}};
    g_w = {64{4'h2}};
    i_a = {16{8'd12}};
    i_w = {16{8'hFE}};
    b_a = {4{16'h3FC0}};
    b_w = {4{16'h4000}};
    @(negedge clk);
    // Two beats. Group 0 has scale 2 and 1 * -1; 16 * 127 * 1.
    last = 1'b0;
    g_a_scale = {8'h38, 8'h38, 8'h38, 8'h40};
    g_a = 256'h2;
    g_w = 256'hA;
    i_a = {16{8'd127}};
    i_w = {16{8'd1}};
    @(negedge clk);
    // Group 3 has scale 0.5 and 16 * 2 * 2, group 0 scale 1 and 1 * 1; 8 * 127 + 8 * 101.
    first = 1'b0;
    last = 1'b1;
    g_a_scale = {8'h30, 8'h38, 8'h38, 8'h38};
    g_a = {{16{4'h4}}, 188'h0, 4'h2};
    g_w = {{16{4'h4}}, 188'h0, 4'h2};
    i_a = {{8{8'd127}}, {8{8'd101}}};
    @(negedge clk);
    valid = 1'b0;
    repeat (40) @(posedge clk);
    if (wrong == 0 && results == 12 && ready == 5'h1F) $display("ok: %0d results", results);
    else $display("FAILED: %0d results, %0d wrong, ready %b", results, wrong, ready);
    $finish;
  end
endmodule
`default_nettype wire
