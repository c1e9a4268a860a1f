// SPDX-License-Identifier: MIT
// scripts/formal.sh: the FP32 multiplier for every pair of operands and, in place of the product of
// their significands, every product that two normalised significands can have, against the exact
// value rounded by comparing the remainder with one half. Not part of a unit.
`default_nettype none
module mul_case #(
    parameter bit REFERENCE = 0
) (
    input  logic        subnormals_i,
    input  logic [31:0] x_i,
    input  logic [31:0] y_i,
    input  logic [47:0] product_i,  // counts 2^-46
    output logic [31:0] result_o
);
  logic x_zero;
  logic y_zero;
  logic inside_case;
  assign x_zero = x_i[30:23] == 8'd0 && (!subnormals_i || x_i[22:0] == 23'd0);
  assign y_zero = y_i[30:23] == 8'd0 && (!subnormals_i || y_i[22:0] == 23'd0);
  // Two significands from 1 to below 2; the product with a zero plays no part.
  assign inside_case = product_i[47:46] != 2'd0 || x_zero || y_zero;

  if (REFERENCE) begin : g_reference
    // log2 of the value's unit, as the field that a number with the leading one at bit 0 would have.
    function automatic logic [9:0] field_of(input logic [31:0] v);
      begin
        field_of = {2'd0, v[30:23]};
        if (v[30:23] == 8'd0) begin
          // 2^-126 times 0.f: the field 1 less the place of the leading one.
          for (int i = 0; i < 23; i++) if (v[i]) field_of = 10'(i) - 10'd22;
        end
      end
    endfunction
    logic        sign;
    logic [9:0]  e;
    logic [9:0]  places;  // below the result's last
    logic [47:0] rest;
    logic [47:0] half;
    logic [24:0] kept;
    logic [31:0] result;
    always_comb begin
      sign = x_i[31] ^ y_i[31];
      e = field_of(x_i) + field_of(y_i) - 10'd127;
      places = 10'd23;
      if (product_i[47]) begin
        places = 10'd24;
        e = e + 10'd1;
      end
      // A subnormal result has the last place of field 1.
      if (subnormals_i && (e[9] || e == 10'd0)) places = places + 10'd1 - e;
      if (places > 10'd48) begin
        // Below half of the last place.
        kept = 25'd0;
        rest = 48'd0;
        half = 48'd1;
      end else begin
        kept = 25'(product_i >> places);
        rest = product_i & ~({48{1'b1}} << places);
        half = 48'd1 << (places - 10'd1);
      end
      if (rest > half || (rest == half && kept[0])) kept = kept + 25'd1;
      if (kept[24]) begin
        kept = 25'h80_0000;
        e = e + 10'd1;
      end
      if (subnormals_i && (e[9] || e == 10'd0)) e = kept[23] ? 10'd1 : 10'd0;
      if (e[9] || e == 10'd0) result = {sign, 8'd0, subnormals_i ? kept[22:0] : 23'd0};
      else if (e >= 10'd255) result = {sign, 8'hFF, 23'd0};
      else result = {sign, e[7:0], kept[22:0]};
      if (x_zero || y_zero) result = {sign, 31'd0};
      if (x_i[30:23] == 8'hFF || y_i[30:23] == 8'hFF) begin
        result = {sign, 8'hFF, 23'd0};
        if (x_zero || y_zero) result = 32'h7FC0_0000;
        if (x_i[30:23] == 8'hFF && x_i[22:0] != 23'd0) result = 32'h7FC0_0000;
        if (y_i[30:23] == 8'hFF && y_i[22:0] != 23'd0) result = 32'h7FC0_0000;
      end
    end
    assign result_o = inside_case ? result : 32'd0;
  end else begin : g_unit
    assign result_o = inside_case ? lowbit_fp32_pkg::round_product(x_i, y_i, product_i, subnormals_i) : 32'd0;
  end
endmodule
`default_nettype wire
