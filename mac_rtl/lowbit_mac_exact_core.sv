// SPDX-License-Identifier: MIT
// Exact block-scaled dot product, free running: one beat of LANES products a clock; valid_o is high
// 4 clocks after a beat with last_i (with PIPELINE 6, or 7 where there are integer blocks). Nothing
// is ever rounded:
//   E4M3 scales  acc = dot product * (d * 2^-unit_exponent)^2 * 2^18, an integer (d: float_factor,
//                unit_exponent: lowbit_formats; IF4: 49 * 2^20, NVFP4: 2^20)
//   E8M0 scales  acc = dot product * 2^-WINDOW_LSB, blocks outside the window dropped and flagged
// All codes and scale bytes are legal. flags_o, sticky over the segment: bit 0 a NaN scale byte
// (E4M3 0x7F, always read as 448; E8M0 0xFF) or an FP8 element that is not finite (read as 0);
// bit 1 out of range: outside the window, or accumulator overflow. After reset and after a beat with
// last_i the next beat starts a segment even where first_i is low.
`default_nettype none
module lowbit_mac_exact_core #(
    parameter int FORMAT = lowbit_formats::IF4,
    parameter bit INT_EN = lowbit_formats::has_integers(FORMAT) != 0,
    parameter int LANES = 16,
    parameter int ACC_W = lowbit_formats::accumulator_bits(FORMAT),
    parameter int SEGMENT = 12,
    parameter int PIPELINE = 0,
    parameter int LEVELS = 0,  // with PIPELINE: levels of the sum of products before its first register
    parameter int WINDOW_LSB = -48,
    parameter bit FLAGS = 1'b1,
    localparam int BITS = lowbit_formats::element_bits(FORMAT)
) (
    input  logic                  clk_i,
    input  logic                  rst_ni,
    input  logic                  valid_i,
    input  logic                  first_i,
    input  logic                  last_i,
    input  logic [           7:0] a_scale_i,
    input  logic [           7:0] w_scale_i,
    input  logic [BITS*LANES-1:0] a_codes_i,
    input  logic [BITS*LANES-1:0] w_codes_i,
    output logic                  valid_o,
    output logic [     ACC_W-1:0] acc_o,
    output logic [           1:0] flags_o
);
  localparam bit E8M0 = lowbit_formats::has_e8m0_scale(FORMAT) != 0;
  localparam bit HAS_INT = INT_EN && lowbit_formats::has_integers(FORMAT) != 0;
  localparam int LANE_BITS = $clog2(LANES) + 1;  // growth of the sum over the lanes, and its sign
  localparam int SUM_W = lowbit_formats::product_bits(FORMAT) + LANE_BITS;
  localparam int SCALED_W = lowbit_formats::scaled_bits(FORMAT) + LANE_BITS;
  localparam int FACTORED_W = HAS_INT ? lowbit_formats::factored_bits(FORMAT) + LANE_BITS : SCALED_W;
  localparam int SIG_W = E8M0 ? 1 : 8;
  localparam int SHIFT_W = E8M0 ? 9 : 5;
  localparam int STAGES = PIPELINE != 0 ? (HAS_INT ? 6 : 5) : 3;  // registers before the accumulator
  localparam int VALUE_W = E8M0 ? ACC_W : FACTORED_W + 28;

  // Stage 1: sum of products; product of the scale significands, 0 where there is no beat, so that
  // bubbles add nothing and no register needs an enable.
  logic open;  // within a segment
  logic start, a_integer, w_integer, special, scale_nan;
  logic [SUM_W-1:0] sum, sum_q;
  logic [SIG_W-1:0] significand, significand_q;
  logic [SHIFT_W-1:0] shift, place;
  logic [1:0] integer_q;
  logic [STAGES:1] first_q, last_q;
  assign start = valid_i & (first_i | ~open);
  assign a_integer = HAS_INT & a_scale_i[lowbit_formats::INTEGER_FLAG];
  assign w_integer = HAS_INT & w_scale_i[lowbit_formats::INTEGER_FLAG];
  lowbit_block_sum #(
      .FORMAT(FORMAT),
      .INT_EN(HAS_INT),
      .LANES(LANES),
      .PIPELINE(PIPELINE),
      .LEVELS(LEVELS)
  ) u_block_sum (
      .clk_i,
      .a_codes_i,
      .w_codes_i,
      .a_integer_i(a_integer),
      .w_integer_i(w_integer),
      .sum_o(sum),
      .special_o(special)
  );
  lowbit_scale_product #(
      .E8M0(E8M0)
  ) u_scale_product (
      .a_scale_i,
      .w_scale_i,
      .significand_o(significand),
      .shift_o(shift),
      .nan_o(scale_nan)
  );
  always_ff @(posedge clk_i) sum_q <= sum;
  lowbit_delay #(
      .W(SIG_W),
      .N(1 + PIPELINE)
  ) u_significand (
      .clk_i,
      .data_i(significand & {SIG_W{valid_i}}),
      .data_o(significand_q)
  );
  lowbit_delay #(
      .W(2),
      .N(2 + PIPELINE)
  ) u_integer (
      .clk_i,
      .data_i({w_integer, a_integer}),
      .data_o(integer_q)
  );
  lowbit_delay #(
      .W(SHIFT_W),
      .N(STAGES - PIPELINE)
  ) u_shift (
      .clk_i,
      .data_i(shift),
      .data_o(place)
  );

  // Stage 2: times the scale significands. Stage 3: times the factors of integer blocks.
  logic [SCALED_W-1:0] scaled, scaled_q;
  logic [FACTORED_W-1:0] factored, factored_q;
  if (E8M0) begin : g_gate
    assign scaled = sum_q & {SUM_W{significand_q}};
  end else begin : g_multiply
    lowbit_multiply #(
        .A_W(SUM_W),
        .B_W(SIG_W),
        .P_W(SCALED_W)
    ) u_multiply (
        .a_i(sum_q),
        .b_i(significand_q),
        .p_o(scaled)
    );
  end
  always_ff @(posedge clk_i) scaled_q <= scaled;
  if (HAS_INT) begin : g_integer
    lowbit_integer_scale #(
        .W(SCALED_W),
        .HALF_W(lowbit_formats::half_factored_bits(FORMAT) + LANE_BITS),
        .OUT_W(FACTORED_W),
        .PIPELINE(PIPELINE),
        .FLOAT_FACTOR(lowbit_formats::float_factor(FORMAT)),
        .INTEGER_FACTOR(lowbit_formats::integer_factor(FORMAT))
    ) u_integer_scale (
        .clk_i,
        .value_i(scaled_q),
        .a_integer_i(integer_q[0]),
        .w_integer_i(integer_q[1]),
        .value_o(factored)
    );
  end else begin : g_no_integer
    logic unused;
    assign unused = |integer_q;
    assign factored = scaled_q;
  end
  always_ff @(posedge clk_i) factored_q <= factored;

  // Stage 4: into place, and accumulate.
  logic [VALUE_W-1:0] value, value_q;
  logic out_of_range, out_of_range_q, overflow, late_overflow;
  if (E8M0) begin : g_window
    lowbit_window #(
        .SUM_W(FACTORED_W),
        .VALUE_W(ACC_W),
        .UNIT(2 * lowbit_formats::unit_exponent(FORMAT)),
        .LSB(WINDOW_LSB)
    ) u_window (
        .sum_i(factored_q),
        .shift_i(place),
        .value_o(value),
        .out_of_range_o(out_of_range)
    );
  end else begin : g_shift
    // shift is 2..30: bit 2 of the wide word is bit 0 of the value.
    logic [VALUE_W+1:0] wide;
    logic unused;
    assign wide = {{VALUE_W + 2 - FACTORED_W{factored_q[FACTORED_W-1]}}, factored_q} << place;
    // The top bit is the sign whatever the shift: taken from its register, it is early for the
    // accumulator's upper end.
    assign value = {factored_q[FACTORED_W-1], wide[VALUE_W:2]};
    assign unused = (|wide[1:0]) | wide[VALUE_W+1];
    assign out_of_range = 1'b0;
  end
  lowbit_delay #(
      .W(VALUE_W + 1),
      .N(PIPELINE)
  ) u_value (
      .clk_i,
      .data_i({out_of_range, value}),
      .data_o({out_of_range_q, value_q})
  );
  lowbit_accumulate #(
      .ACC_W(ACC_W),
      .VALUE_W(VALUE_W),
      .SEGMENT(SEGMENT)
  ) u_accumulate (
      .clk_i,
      .first_i(first_q[STAGES]),
      .done_i(valid_o),
      .value_i(value_q),
      .acc_o,
      .overflow_o(overflow),
      .late_overflow_o(late_overflow)
  );

  always_ff @(posedge clk_i) begin
    open <= rst_ni & (valid_i ? ~last_i : open);
    first_q <= {first_q[STAGES-1:1], start};
    last_q <= {last_q[STAGES-1:1], valid_i & last_i} & {STAGES{rst_ni}};
    valid_o <= last_q[STAGES] & rst_ni;
  end

  if (FLAGS) begin : g_flags
    logic [1:0] flags_q;
    logic scale_nan_q, valid_q, invalid_q;
    lowbit_delay #(
        .W(2),
        .N(PIPELINE)
    ) u_nan (
        .clk_i,
        .data_i({scale_nan, valid_i}),
        .data_o({scale_nan_q, valid_q})
    );
    lowbit_delay #(
        .N(STAGES - PIPELINE)
    ) u_invalid (
        .clk_i,
        .data_i(valid_q & (special | scale_nan_q)),
        .data_o(invalid_q)
    );
    always_ff @(posedge clk_i) begin
      flags_q[0] <= invalid_q | (flags_q[0] & ~first_q[STAGES]);
      flags_q[1] <= out_of_range_q | overflow | (flags_q[1] & ~first_q[STAGES]);
    end
    assign flags_o = {flags_q[1] | late_overflow, flags_q[0]};
  end else begin : g_no_flags
    logic unused;
    assign unused = special | scale_nan | overflow | late_overflow | out_of_range_q;
    assign flags_o = '0;
  end
endmodule
`default_nettype wire
