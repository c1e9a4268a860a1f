// SPDX-License-Identifier: MIT
// scripts/formal.sh: the product of two E4M3 scale bytes against their values in units of 2^-9, as
// integers. Not part of a unit.
`default_nettype none
module scale_case #(
    parameter bit REFERENCE = 0
) (
    input  logic [7:0]  a_i,
    input  logic [7:0]  w_i,
    output logic [37:0] product_o,  // counts 2^-18
    output logic        nan_o
);
  function automatic logic [18:0] value(input logic [6:0] byte_i);
    logic [6:0] b;
    begin
      b = byte_i == 7'h7F ? 7'h7E : byte_i;  // NaN reads as 448
      if (b[6:3] == 4'd0) value = {16'd0, b[2:0]};
      else value = {15'd0, 1'b1, b[2:0]} << (b[6:3] - 4'd1);
    end
  endfunction
  if (REFERENCE) begin : g_reference
    assign product_o = {19'd0, value(a_i[6:0])} * {19'd0, value(w_i[6:0])};
    assign nan_o = a_i[6:0] == 7'h7F || w_i[6:0] == 7'h7F;
  end else begin : g_unit
    logic [7:0] significand;
    logic [4:0] shift;
    lowbit_scale_product i_unit (
        .a_scale_i(a_i),
        .w_scale_i(w_i),
        .significand_o(significand),
        .shift_o(shift),
        .nan_o
    );
    assign product_o = {30'd0, significand} << (shift - 5'd2);
  end
endmodule
`default_nettype wire
