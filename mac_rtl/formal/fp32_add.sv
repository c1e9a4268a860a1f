// SPDX-License-Identifier: MIT
// scripts/formal.sh: the FP32 adder against the exact sum of two integers, rounded by comparing the
// remainder with one half. One case: |x| >= |y|, effective exponents DISTANCE apart (FAR: more than
// that). That the operands may be exchanged is proved apart. Not part of a unit.
`default_nettype none
module add_case #(
    parameter int DISTANCE = 0,
    parameter bit FAR = 0,
    parameter bit REFERENCE = 0
) (
    input  logic        subnormals_i,
    input  logic        y_subnormal_i,
    input  logic        opposite_i,
    input  logic        sign_i,
    input  logic [7:0]  exponent_i,
    input  logic [7:0]  far_i,
    input  logic [22:0] x_i,
    input  logic [22:0] y_i,
    output logic [31:0] result_o
);
  // Fields of the operands; `inside`: they are of this case.
  logic [7:0] x_field;
  logic [7:0] y_field;
  logic       inside_case;
  always_comb begin
    x_field = exponent_i;
    if (y_subnormal_i) begin
      y_field = 8'd0;
      if (!FAR && DISTANCE > 0) x_field = 8'(DISTANCE + 1);
      inside_case = FAR ? x_field > 8'(DISTANCE + 1) : DISTANCE > 0 || x_field <= 8'd1;
    end else begin
      y_field = FAR ? far_i : exponent_i - 8'(DISTANCE);
      inside_case = y_field != 8'd0 && x_field >= y_field;
      if (FAR) inside_case = inside_case && x_field - y_field > 8'(DISTANCE);
    end
    inside_case = inside_case && {x_field, x_i} >= {y_field, y_i};
  end
  logic [31:0] x;
  logic [31:0] y;
  assign x = {sign_i, x_field, x_i};
  assign y = {sign_i ^ opposite_i, y_field, y_i};

  if (REFERENCE) begin : g_reference
    localparam int PLACES = FAR ? 1 : DISTANCE;  // FAR: y only says that there is something
    localparam int W = 26 + PLACES;
    logic [W-1:0] x_m;
    logic [W-1:0] y_m;
    logic [W-1:0] sum;
    logic [W-1:0] rest;
    logic [W-1:0] half;
    logic [9:0]   top;       // place of the leading one
    logic [9:0]   drop;      // places below the result's last
    logic [9:0]   e;         // the result's field, two's complement, were it not subnormal
    logic [24:0]  kept;
    logic [31:0]  result;
    always_comb begin
      x_m = W'({x_field != 8'd0, (x_field != 8'd0 || subnormals_i) ? x_i : 23'd0}) << PLACES;
      y_m = W'({y_field != 8'd0, (y_field != 8'd0 || subnormals_i) ? y_i : 23'd0});
      sum = opposite_i ? x_m - y_m : x_m + y_m;
      top = 10'd0;
      for (int i = 0; i < W; i++) if (sum[i]) top = 10'(i);
      e = {2'd0, x_field == 8'd0 ? 8'd1 : x_field} + top - 10'(23 + PLACES);
      // Subnormal results have the last place of field 1.
      drop = 10'd0;
      if (!e[9] && e != 10'd0) drop = top - 10'd23;
      else drop = 10'd1 - ({2'd0, x_field == 8'd0 ? 8'd1 : x_field} - 10'(PLACES));
      if (drop[9]) begin
        kept = 25'(sum << (-drop));
        rest = '0;
        half = W'(1);
      end else begin
        kept = 25'(sum >> drop);
        rest = sum & ~({W{1'b1}} << drop);
        half = drop == 10'd0 ? W'(1) : W'(1) << (drop - 10'd1);
      end
      if (rest > half || (rest == half && kept[0])) kept = kept + 25'd1;
      if (kept[24]) begin
        kept = 25'h80_0000;
        e = e + 10'd1;
      end
      if (!kept[23]) e = 10'd0;
      else if (e[9] || e == 10'd0) e = 10'd1;
      result = {sign_i, e[7:0], kept[22:0]};
      if (e >= 10'd255) result = {sign_i, 8'hFF, 23'd0};
      if (!subnormals_i && e == 10'd0) result[22:0] = 23'd0;
      if (sum == '0) result = {opposite_i ? 1'b0 : sign_i, 31'd0};
      if (FAR) result = x;
      if (x_field == 8'hFF) begin
        result = x;
        if (x_i != 23'd0 || (y_field == 8'hFF && (opposite_i || y_i != 23'd0))) result = 32'h7FC0_0000;
      end
    end
    assign result_o = inside_case ? result : 32'd0;
  end else begin : g_unit
    assign result_o = inside_case ? lowbit_fp32_pkg::add(x, y, subnormals_i) : 32'd0;
  end
endmodule

// The same sum with its operands exchanged.
module exchange_case #(
    parameter bit REFERENCE = 0
) (
    input  logic        subnormals_i,
    input  logic [31:0] x_i,
    input  logic [31:0] y_i,
    output logic [31:0] result_o
);
  assign result_o = REFERENCE ? lowbit_fp32_pkg::add(y_i, x_i, subnormals_i)
                              : lowbit_fp32_pkg::add(x_i, y_i, subnormals_i);
endmodule
`default_nettype wire
