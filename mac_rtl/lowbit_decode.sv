// SPDX-License-Identifier: MIT
// Element code -> sign and magnitude, the magnitude as significand << shift in units of
// 2^unit_exponent of the format (E2M1: halves, 0..12; INT4: 0..8). Every code is legal: -0 reads as
// 0, the most negative two's complement code as its value. NaN and infinity (FP8 only) raise
// special_o and read as 0.
//
// The significand is only as wide as integers or the mantissa need (IF4: 3 bits, shift 0 or 1, so
// 8 = 4 << 1 and 12 = 6 << 1; E2M1 alone: 2 bits, shift 0..2): a short multiplier followed by a
// shift is a third smaller than a multiplier of whole magnitudes.
`default_nettype none
module lowbit_decode #(
    parameter int FORMAT = lowbit_formats::IF4,
    parameter bit INT_EN = 1'b1,
    localparam int BITS = lowbit_formats::element_bits(FORMAT),
    localparam int SIG_W = lowbit_formats::significand_bits(FORMAT, INT_EN),
    localparam int SHIFT_W = lowbit_formats::shift_bits(FORMAT, INT_EN)
) (
    input  logic [   BITS-1:0] code_i,
    input  logic               integer_i,
    output logic               sign_o,
    output logic [  SIG_W-1:0] significand_o,
    output logic [SHIFT_W-1:0] shift_o,
    output logic               special_o
);
  localparam int EXP = lowbit_formats::exponent_bits(FORMAT);
  localparam int MAN = lowbit_formats::mantissa_bits(FORMAT);
  localparam bit HAS_FLOAT = EXP != 0;
  localparam bit HAS_INT = !HAS_FLOAT || INT_EN;

  logic [SIG_W-1:0] float_significand, integer_significand;
  logic [SHIFT_W-1:0] float_shift, integer_shift;

  if (HAS_FLOAT) begin : g_float
    localparam int SPECIAL = lowbit_formats::special_codes(FORMAT);
    localparam int SPARE = SIG_W - MAN - 1;  // places by which the significand itself can shift
    logic [EXP-1:0] field, exponent;
    logic [MAN:0] mantissa;
    assign field = code_i[MAN+:EXP];
    // Field 0 shares its exponent with field 1: shift by field - 1, by 0 for subnormals.
    assign exponent = field == '0 ? '0 : field - 1'b1;
    if (MAN != 0) begin : g_mantissa
      assign mantissa = {|field, code_i[MAN-1:0]};
    end else begin : g_power
      assign mantissa = |field;
    end
    if (SPARE == 0) begin : g_whole
      assign float_significand = mantissa;
      assign float_shift = SHIFT_W'(exponent);
    end else begin : g_spare
      logic above;
      assign above = exponent > EXP'(SPARE);
      assign float_significand = SIG_W'(mantissa) << (above ? EXP'(SPARE) : exponent);
      assign float_shift = above ? SHIFT_W'(exponent - EXP'(SPARE)) : '0;
    end
    if (SPECIAL == 1) begin : g_nan
      assign special_o = &code_i[BITS-2:0];
    end else if (SPECIAL == 2) begin : g_ieee
      assign special_o = &field;
    end else begin : g_none
      assign special_o = 1'b0;
    end
  end else begin : g_no_float
    assign float_significand = '0;
    assign float_shift = '0;
    assign special_o = 1'b0;
  end

  if (HAS_INT) begin : g_int
    if (lowbit_formats::integer_is_sign_magnitude(FORMAT) != 0) begin : g_sign_magnitude
      assign integer_significand = SIG_W'(code_i[BITS-2:0]);
      assign integer_shift = '0;
    end else begin : g_twos_complement
      // The most negative code is the only one that needs the top bit: 2^n = 2^(n-1) << 1.
      logic [BITS-1:0] absolute;
      assign absolute = code_i[BITS-1] ? (~code_i + 1'b1) : code_i;
      assign integer_significand = SIG_W'({absolute[BITS-1] | absolute[BITS-2], absolute[BITS-3:0]});
      assign integer_shift = SHIFT_W'(absolute[BITS-1]);
    end
  end else begin : g_no_int
    assign integer_significand = '0;
    assign integer_shift = '0;
  end

  assign sign_o = code_i[BITS-1];
  logic unused;
  assign unused = integer_i | (|integer_significand) | (|integer_shift) | (|float_significand) | (|float_shift);
  if (HAS_FLOAT && HAS_INT) begin : g_both
    assign significand_o = integer_i ? integer_significand : float_significand;
    assign shift_o = integer_i ? integer_shift : float_shift;
  end else if (HAS_FLOAT) begin : g_only_float
    assign significand_o = float_significand & {SIG_W{~special_o}};
    assign shift_o = float_shift;
  end else begin : g_only_int
    assign significand_o = integer_significand;
    assign shift_o = integer_shift;
  end
endmodule
`default_nettype wire
