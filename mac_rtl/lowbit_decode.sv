// SPDX-License-Identifier: MIT
// Element code -> sign and magnitude, the magnitude counted in units of 2^unit_exponent of the
// format (E2M1: halves, 0..12; INT4: 0..8). Every code is legal: -0 reads as 0, the most negative
// two's complement code as its value. NaN and infinity (FP8 only) raise special_o and read as 0.
`default_nettype none
module lowbit_decode #(
    parameter int FORMAT = 13,
    parameter bit INT_EN = 1'b1,
    localparam int BITS = lowbit_formats::element_bits(FORMAT),
    localparam int MAG_W = lowbit_formats::magnitude_bits(FORMAT)
) (
    input  logic [ BITS-1:0] code_i,
    input  logic             integer_i,
    output logic             sign_o,
    output logic [MAG_W-1:0] magnitude_o,
    output logic             special_o
);
  localparam int EXP = lowbit_formats::exponent_bits(FORMAT);
  localparam int MAN = lowbit_formats::mantissa_bits(FORMAT);
  localparam bit HAS_FLOAT = EXP != 0;
  localparam bit HAS_INT = !HAS_FLOAT || (INT_EN && lowbit_formats::has_integers(FORMAT) != 0);

  logic [MAG_W-1:0] float_magnitude;
  logic [MAG_W-1:0] integer_magnitude;

  if (HAS_FLOAT) begin : g_float
    localparam int SPECIAL = lowbit_formats::special_codes(FORMAT);
    logic [EXP-1:0] field;
    assign field = code_i[MAN+:EXP];
    // Field 0 shares its exponent with field 1: shift by field - 1, by 0 for subnormals.
    if (MAN != 0) begin : g_mantissa
      assign float_magnitude = field == '0 ? MAG_W'(code_i[MAN-1:0])
                                           : MAG_W'({1'b1, code_i[MAN-1:0]}) << (field - 1'b1);
    end else begin : g_power
      assign float_magnitude = field == '0 ? '0 : MAG_W'(1) << (field - 1'b1);
    end
    if (SPECIAL == 1) begin : g_nan
      assign special_o = &code_i[BITS-2:0];
    end else if (SPECIAL == 2) begin : g_ieee
      assign special_o = &field;
    end else begin : g_none
      assign special_o = 1'b0;
    end
  end else begin : g_no_float
    assign float_magnitude = '0;
    assign special_o = 1'b0;
  end

  if (HAS_INT) begin : g_int
    if (lowbit_formats::integer_is_sign_magnitude(FORMAT) != 0) begin : g_sign_magnitude
      assign integer_magnitude = MAG_W'(code_i[BITS-2:0]);
    end else begin : g_twos_complement
      logic [BITS-1:0] absolute;
      assign absolute = code_i[BITS-1] ? (~code_i + 1'b1) : code_i;
      assign integer_magnitude = MAG_W'(absolute);
    end
  end else begin : g_no_int
    assign integer_magnitude = '0;
  end

  assign sign_o = code_i[BITS-1];
  if (HAS_FLOAT && HAS_INT) begin : g_both
    assign magnitude_o = integer_i ? integer_magnitude : float_magnitude;
  end else if (HAS_FLOAT) begin : g_only_float
    logic unused;
    assign unused = integer_i | (|integer_magnitude);
    assign magnitude_o = special_o ? '0 : float_magnitude;
  end else begin : g_only_int
    logic unused;
    assign unused = integer_i | (|float_magnitude);
    assign magnitude_o = integer_magnitude;
  end
endmodule
`default_nettype wire
