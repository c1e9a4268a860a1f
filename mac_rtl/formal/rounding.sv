// SPDX-License-Identifier: MIT
// scripts/formal.sh: integers to FP32, in the exact unit's epilogue (its registers made transparent)
// and in lowbit_fp32_pkg::from_integer, against rounding by definition. Not part of a unit.
`default_nettype none
// magnitude * 2^exponent: the leading one by a scan, the remainder compared with one half.
module rounding_reference #(
    parameter int W = 72
) (
    input  logic         negative_i,
    input  logic [W-1:0] magnitude_i,
    input  logic [9:0]   exponent_i,
    input  logic         nearest_i,
    output logic [31:0]  result_o,
    output logic         normal_o     // zero or a normal number: what the units can meet
);
  logic [9:0]   top;
  logic [9:0]   field;
  logic [W-1:0] rest;
  logic [W-1:0] half;
  logic [24:0]  kept;
  always_comb begin
    top = 10'd0;
    for (int i = 0; i < W; i++) if (magnitude_i[i]) top = 10'(i);
    field = top + exponent_i + 10'd127;
    rest = '0;
    half = '0;
    if (top <= 10'd23) begin
      kept = 25'(magnitude_i << (10'd23 - top));
    end else begin
      kept = 25'(magnitude_i >> (top - 10'd23));
      rest = magnitude_i & ~({W{1'b1}} << (top - 10'd23));
      half = W'(1) << (top - 10'd24);
      if (nearest_i && (rest > half || (rest == half && kept[0]))) kept = kept + 25'd1;
    end
    if (kept[24]) begin
      kept = 25'h80_0000;
      field = field + 10'd1;
    end
    result_o = {negative_i, field[7:0], kept[22:0]};
    if (magnitude_i == '0) result_o = 32'd0;
    normal_o = magnitude_i == '0 || (!field[9] && field >= 10'd2 && field < 10'd255);
  end
endmodule

module epilogue_case #(
    parameter bit REFERENCE = 0,
    parameter int ACC_W = 72,
    parameter int EXPONENT = -20
) (
    input  logic             clk_i,
    input  logic [ACC_W-1:0] acc_i,
    output logic [31:0]      result_o,
    output logic [ACC_W-1:0] acc_o
);
  if (REFERENCE) begin : g_reference
    logic unused;
    rounding_reference #(.W(ACC_W)) i_reference (
        .negative_i (acc_i[ACC_W-1]),
        .magnitude_i(acc_i[ACC_W-1] ? -acc_i : acc_i),
        .exponent_i (10'(EXPONENT)),
        .nearest_i  (1'b1),
        .result_o,
        .normal_o   (unused)
    );
    assign acc_o = acc_i;
  end else begin : g_unit
    logic unused_valid;
    logic [1:0] unused_flags;
    lowbit_acc_to_fp32 #(.ACC_W(ACC_W), .EXPONENT(EXPONENT)) i_unit (
        .clk_i,
        .rst_ni (1'b1),
        .valid_i(1'b1),
        .acc_i,
        .flags_i(2'd0),
        .valid_o(unused_valid),
        .acc_o,
        .fp32_o (result_o),
        .flags_o(unused_flags)
    );
  end
endmodule

module from_integer_case #(
    parameter bit REFERENCE = 0
) (
    input  logic        negative_i,
    input  logic        nearest_i,
    input  logic [63:0] magnitude_i,
    input  logic [9:0]  exponent_i,
    output logic [31:0] result_o
);
  logic [31:0] result;
  logic normal;
  rounding_reference #(.W(64)) i_reference (
      .negative_i,
      .magnitude_i,
      .exponent_i,
      .nearest_i,
      .result_o(result),
      .normal_o(normal)
  );
  logic [31:0] unit;
  assign unit = lowbit_fp32_pkg::from_integer(negative_i, magnitude_i, exponent_i, nearest_i);
  assign result_o = !normal ? 32'd0 : REFERENCE ? result : unit;
endmodule
`default_nettype wire
