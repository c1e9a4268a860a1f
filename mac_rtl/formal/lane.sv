// SPDX-License-Identifier: MIT
// scripts/formal.sh: a lane of any format against values by definition, with no trick of the
// unit's in them. Not part of a unit.
`default_nettype none
module value_reference #(
    parameter int FORMAT = lowbit_formats::IF4,
    localparam int BITS = lowbit_formats::element_bits(FORMAT),
    localparam int MAN = lowbit_formats::mantissa_bits(FORMAT),
    localparam int EXP = lowbit_formats::exponent_bits(FORMAT),
    localparam int W = lowbit_formats::product_bits(FORMAT) / 2 + 3
) (
    input  logic [BITS-1:0]     code_i,
    input  logic                integer_i,
    output logic signed [W-1:0] value_o,
    output logic                special_o
);
  // Floats count the smallest subnormal, integers one.
  logic [W-1:0] magnitude;
  logic [7:0] field;
  logic [W-1:0] mantissa;
  assign field = (8'(code_i) >> MAN) & ((8'd1 << EXP) - 8'd1);
  assign mantissa = W'(8'(code_i) & ((8'd1 << MAN) - 8'd1));
  always_comb begin
    special_o = 1'b0;
    if (EXP == 0 || (integer_i && lowbit_formats::has_integers(FORMAT) != 0)) begin
      if (lowbit_formats::integer_is_sign_magnitude(FORMAT) != 0) magnitude = W'(code_i[BITS-2:0]);
      else magnitude = W'(code_i[BITS-1] ? ({1'b1, {BITS{1'b0}}} - {1'b0, code_i}) : {1'b0, code_i});
    end else begin
      magnitude = field == 8'd0 ? mantissa : (mantissa + (W'(1) << MAN)) << (field - 8'd1);
      if (lowbit_formats::special_codes(FORMAT) == 1) special_o = &code_i[BITS-2:0];
      if (lowbit_formats::special_codes(FORMAT) == 2) special_o = field == (8'd1 << EXP) - 8'd1;
      if (special_o) magnitude = '0;
    end
    value_o = code_i[BITS-1] ? -magnitude : magnitude;
  end
endmodule

module lane_reference #(
    parameter int FORMAT = lowbit_formats::IF4,
    localparam int BITS = lowbit_formats::element_bits(FORMAT),
    localparam int PROD_W = lowbit_formats::product_bits(FORMAT)
) (
    input  logic [BITS-1:0]          a_i,
    input  logic [BITS-1:0]          w_i,
    input  logic                     a_integer_i,
    input  logic                     w_integer_i,
    output logic signed [PROD_W+1:0] product_o,
    output logic                     special_o
);
  localparam int W = PROD_W / 2 + 3;
  logic signed [W-1:0] a;
  logic signed [W-1:0] w;
  logic a_special;
  logic w_special;
  value_reference #(.FORMAT(FORMAT)) i_a (.code_i(a_i), .integer_i(a_integer_i), .value_o(a), .special_o(a_special));
  value_reference #(.FORMAT(FORMAT)) i_w (.code_i(w_i), .integer_i(w_integer_i), .value_o(w), .special_o(w_special));
  assign product_o = a * w;
  assign special_o = a_special | w_special;
endmodule

// `product_o` of the unit is row - 2^PROD_W + increment, as lowbit_lane.sv promises.
module lane_case #(
    parameter bit REFERENCE = 0,
    parameter int FORMAT = lowbit_formats::IF4,
    localparam int BITS = lowbit_formats::element_bits(FORMAT),
    localparam int PROD_W = lowbit_formats::product_bits(FORMAT)
) (
    input  logic [BITS-1:0]          a_i,
    input  logic [BITS-1:0]          w_i,
    input  logic                     a_integer_i,
    input  logic                     w_integer_i,
    output logic signed [PROD_W+1:0] product_o,
    output logic                     special_o
);
  localparam int P = PROD_W + 2;
  if (REFERENCE) begin : g_reference
    lane_reference #(.FORMAT(FORMAT)) i_reference (
        .a_i,
        .w_i,
        .a_integer_i,
        .w_integer_i,
        .product_o,
        .special_o
    );
  end else begin : g_unit
    logic [PROD_W:0] row;
    logic increment;
    lowbit_lane #(
        .FORMAT(FORMAT),
        .INT_EN(lowbit_formats::has_integers(FORMAT) != 0)
    ) i_lane (
        .a_i,
        .w_i,
        .a_integer_i,
        .w_integer_i,
        .row_o(row),
        .increment_o(increment),
        .special_o
    );
    assign product_o = P'(row) - (P'(1) << PROD_W) + P'(increment);
  end
endmodule

// Two lanes and their sum in one piece, a cross-check of the argument by parts.
module two_lanes_case #(
    parameter bit REFERENCE = 0,
    parameter int FORMAT = lowbit_formats::IF4
) (
    input  logic [7:0]  a_i,
    input  logic [7:0]  w_i,
    input  logic        a_integer_i,
    input  logic        w_integer_i,
    output logic [9:0]  sum_o
);
  if (REFERENCE) begin : g_reference
    logic signed [9:0] p0;
    logic signed [9:0] p1;
    logic unused0;
    logic unused1;
    lane_reference #(.FORMAT(FORMAT)) i_lane0 (
        .a_i(a_i[3:0]), .w_i(w_i[3:0]), .a_integer_i, .w_integer_i, .product_o(p0), .special_o(unused0));
    lane_reference #(.FORMAT(FORMAT)) i_lane1 (
        .a_i(a_i[7:4]), .w_i(w_i[7:4]), .a_integer_i, .w_integer_i, .product_o(p1), .special_o(unused1));
    assign sum_o = p0 + p1;
  end else begin : g_unit
    logic unused;
    lowbit_block_sum #(.FORMAT(FORMAT), .LANES(2)) i_unit (
        .clk_i(1'b0),
        .a_codes_i(a_i),
        .w_codes_i(w_i),
        .a_integer_i,
        .w_integer_i,
        .sum_o,
        .special_o(unused)
    );
  end
endmodule
`default_nettype wire
