// SPDX-License-Identifier: MIT
// Places an MX block sum in the accumulator's window, bit 0 of which weighs 2^LSB:
// value = sum * 2^(shift - 254 + UNIT - LSB), 254 being twice the bias of E8M0. A sum that does not
// fit, above or below, is dropped whole and flagged: nothing is ever rounded.
`default_nettype none
module lowbit_window #(
    parameter int SUM_W = 13,
    parameter int VALUE_W = 96,
    parameter int UNIT = -2,
    parameter int LSB = -48
) (
    input  logic [  SUM_W-1:0] sum_i,
    input  logic [        8:0] shift_i,
    output logic [VALUE_W-1:0] value_o,
    output logic               out_of_range_o
);
  // Left shift from SUM_W bits below the window.
  localparam int OFFSET = UNIT - 254 - LSB + SUM_W;
  localparam int WIDE_W = VALUE_W + 2 * SUM_W;
  logic signed [11:0] position;
  logic [WIDE_W-1:0] wide;
  logic outside;
  assign position = $signed({3'b0, shift_i}) + 12'(OFFSET);
  assign outside = position < 0 || position >= 12'(VALUE_W + SUM_W);
  assign wide = {{WIDE_W - SUM_W{sum_i[SUM_W-1]}}, sum_i} << position[10:0];
  // Nothing lost below, and all bits from the window's sign upwards equal.
  assign out_of_range_o = (|sum_i) & (outside | (|wide[SUM_W-1:0])
      | (wide[WIDE_W-1:SUM_W+VALUE_W-1] != {SUM_W + 1{sum_i[SUM_W-1]}}));
  assign value_o = wide[SUM_W+:VALUE_W] & {VALUE_W{~(out_of_range_o | outside)}};
endmodule
`default_nettype wire
