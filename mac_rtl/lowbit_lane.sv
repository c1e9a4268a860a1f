// SPDX-License-Identifier: MIT
// One lane: decode both operands, multiply the magnitudes, xor the signs. The product counts in
// units of 2^(2 * unit_exponent); negative_o is meaningless where it is 0.
`default_nettype none
module lowbit_lane #(
    parameter int FORMAT = 13,
    parameter bit INT_EN = 1'b1,
    localparam int BITS = lowbit_formats::element_bits(FORMAT),
    localparam int PROD_W = lowbit_formats::product_bits(FORMAT)
) (
    input  logic [  BITS-1:0] a_i,
    input  logic [  BITS-1:0] w_i,
    input  logic              a_integer_i,
    input  logic              w_integer_i,
    output logic              negative_o,
    output logic [PROD_W-1:0] product_o,
    output logic              special_o
);
  localparam int MAG_W = lowbit_formats::magnitude_bits(FORMAT);
  logic a_sign, w_sign, a_special, w_special;
  logic [MAG_W-1:0] a_magnitude, w_magnitude;

  lowbit_decode #(
      .FORMAT(FORMAT),
      .INT_EN(INT_EN)
  ) u_decode_a (
      .code_i(a_i),
      .integer_i(a_integer_i),
      .sign_o(a_sign),
      .magnitude_o(a_magnitude),
      .special_o(a_special)
  );
  lowbit_decode #(
      .FORMAT(FORMAT),
      .INT_EN(INT_EN)
  ) u_decode_w (
      .code_i(w_i),
      .integer_i(w_integer_i),
      .sign_o(w_sign),
      .magnitude_o(w_magnitude),
      .special_o(w_special)
  );

  assign product_o = PROD_W'(a_magnitude) * PROD_W'(w_magnitude);
  assign negative_o = a_sign ^ w_sign;
  assign special_o = a_special | w_special;
endmodule
`default_nettype wire
