// SPDX-License-Identifier: MIT
// Two scale bytes -> product of their significands and the shift that their exponents ask for.
//   E4M3: byte = significand (0..15) * 2^(exponent - 10), exponent = max(field, 1) = 1..15, so
//         a * w = significand_o * 2^(shift_o - 20), shift_o = 2..30.
//   E8M0: a * w = 2^(shift_o - 254), significand_o = 1.
// E4M3 byte 0x7F (low seven bits) reads as 448; nan_o tells. E8M0 byte 0xFF: nan_o, read as 2^128.
`default_nettype none
module lowbit_scale_product #(
    parameter bit E8M0 = 1'b0,
    localparam int SIG_W = E8M0 ? 1 : 8,
    localparam int SHIFT_W = E8M0 ? 9 : 5
) (
    input  logic [        7:0] a_scale_i,
    input  logic [        7:0] w_scale_i,
    output logic [  SIG_W-1:0] significand_o,
    output logic [SHIFT_W-1:0] shift_o,
    output logic               nan_o
);
  if (E8M0) begin : g_e8m0
    assign significand_o = 1'b1;
    assign shift_o = {1'b0, a_scale_i} + {1'b0, w_scale_i};
    assign nan_o = (&a_scale_i) | (&w_scale_i);
  end else begin : g_e4m3
    logic [3:0] a_significand, w_significand, a_exponent, w_exponent;
    logic a_nan, w_nan, unused;
    assign unused = a_scale_i[7] ^ w_scale_i[7];  // the integer flag, or ignored
    assign a_nan = &a_scale_i[6:0];
    assign w_nan = &w_scale_i[6:0];
    // 448 is the code below NaN: the same byte with bit 0 clear.
    assign a_significand = {|a_scale_i[6:3], a_scale_i[2:1], a_scale_i[0] & ~a_nan};
    assign w_significand = {|w_scale_i[6:3], w_scale_i[2:1], w_scale_i[0] & ~w_nan};
    assign a_exponent = {a_scale_i[6:4], a_scale_i[3] | ~(|a_scale_i[6:3])};
    assign w_exponent = {w_scale_i[6:4], w_scale_i[3] | ~(|w_scale_i[6:3])};
    assign significand_o = {4'b0, a_significand} * {4'b0, w_significand};
    assign shift_o = {1'b0, a_exponent} + {1'b0, w_exponent};
    assign nan_o = a_nan | w_nan;
  end
endmodule
`default_nettype wire
