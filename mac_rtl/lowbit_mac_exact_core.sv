// SPDX-License-Identifier: MIT
// Exact block-scaled dot product, free running: one beat of LANES products a clock, LATENCY clocks
// from a beat with last_i to its result (valid_o). Nothing is ever rounded:
//   E4M3 scales  acc = dot product * (d * 2^-unit_exponent)^2 * 2^18, an integer (d: float_factor,
//                unit_exponent: lowbit_formats; IF4: 49 * 2^20, NVFP4: 2^20)
//   E8M0 scales  acc = dot product * 2^-WINDOW_LSB, blocks outside the window dropped and flagged
// All codes and scale bytes are legal. flags_o, sticky over the segment: bit 0 a NaN scale byte
// (E4M3 0x7F, always read as 448; E8M0 0xFF) or an FP8 element that is not finite (read as 0);
// bit 1 out of range: outside the window, or accumulator overflow. After reset and after a beat with
// last_i the next beat starts a segment even where first_i is low.
`default_nettype none
module lowbit_mac_exact_core #(
    parameter int FORMAT = 13,
    parameter bit INT_EN = lowbit_formats::has_integers(FORMAT) != 0,
    parameter int LANES = 16,
    parameter int ACC_W = lowbit_formats::accumulator_bits(FORMAT),
    parameter int SEGMENT = 18,
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
  localparam int VALUE_W = E8M0 ? ACC_W : FACTORED_W + 28;

  // Stage 1: sum of products; product of the scale significands, 0 where there is no beat, so that
  // bubbles add nothing and no register needs an enable.
  logic open;  // within a segment
  logic start, a_integer, w_integer, special, scale_nan;
  logic [SUM_W-1:0] sum, sum_q;
  logic [SIG_W-1:0] significand, significand_q;
  logic [SHIFT_W-1:0] shift, shift_q, shift_q2, shift_q3;
  logic [1:0] integer_q, integer_q2;
  logic [3:1] first_q, last_q, invalid_q;
  assign start = valid_i & (first_i | ~open);
  assign a_integer = HAS_INT & a_scale_i[7];
  assign w_integer = HAS_INT & w_scale_i[7];
  lowbit_block_sum #(
      .FORMAT(FORMAT),
      .INT_EN(HAS_INT),
      .LANES(LANES)
  ) u_block_sum (
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
  if (HAS_INT) begin : g_integer
    lowbit_integer_scale #(
        .W(SCALED_W),
        .OUT_W(FACTORED_W),
        .FLOAT_FACTOR(lowbit_formats::float_factor(FORMAT)),
        .INTEGER_FACTOR(lowbit_formats::integer_factor(FORMAT))
    ) u_integer_scale (
        .value_i(scaled_q),
        .a_integer_i(integer_q2[0]),
        .w_integer_i(integer_q2[1]),
        .value_o(factored)
    );
  end else begin : g_no_integer
    logic unused;
    assign unused = |integer_q2;
    assign factored = scaled_q;
  end

  // Stage 4: into place, and accumulate.
  logic [VALUE_W-1:0] value;
  logic out_of_range, overflow, late_overflow;
  if (E8M0) begin : g_window
    lowbit_window #(
        .SUM_W(FACTORED_W),
        .VALUE_W(ACC_W),
        .UNIT(2 * lowbit_formats::unit_exponent(FORMAT)),
        .LSB(WINDOW_LSB)
    ) u_window (
        .sum_i(factored_q),
        .shift_i(shift_q3),
        .value_o(value),
        .out_of_range_o(out_of_range)
    );
  end else begin : g_shift
    // shift is 2..30: bit 2 of the wide word is bit 0 of the value.
    logic [VALUE_W+1:0] wide;
    logic unused;
    assign wide = {{VALUE_W + 2 - FACTORED_W{factored_q[FACTORED_W-1]}}, factored_q} << shift_q3;
    assign value = wide[VALUE_W+1:2];
    assign unused = |wide[1:0];
    assign out_of_range = 1'b0;
  end
  lowbit_accumulate #(
      .ACC_W(ACC_W),
      .VALUE_W(VALUE_W),
      .SEGMENT(SEGMENT)
  ) u_accumulate (
      .clk_i,
      .first_i(first_q[3]),
      .done_i(valid_o),
      .value_i(value),
      .acc_o,
      .overflow_o(overflow),
      .late_overflow_o(late_overflow)
  );

  always_ff @(posedge clk_i) begin
    open <= rst_ni & (valid_i ? ~last_i : open);
    first_q <= {first_q[2:1], start};
    last_q <= {last_q[2:1], valid_i & last_i} & {3{rst_ni}};
    valid_o <= last_q[3] & rst_ni;
    sum_q <= sum;
    significand_q <= significand & {SIG_W{valid_i}};
    shift_q <= shift;
    integer_q <= {w_integer, a_integer};
    scaled_q <= scaled;
    shift_q2 <= shift_q;
    integer_q2 <= integer_q;
    factored_q <= factored;
    shift_q3 <= shift_q2;
  end

  if (FLAGS) begin : g_flags
    logic [1:0] flags_q;
    always_ff @(posedge clk_i) begin
      invalid_q <= {invalid_q[2:1], valid_i & (special | scale_nan)};
      flags_q[0] <= invalid_q[3] | (flags_q[0] & ~first_q[3]);
      flags_q[1] <= out_of_range | overflow | (flags_q[1] & ~first_q[3]);
    end
    assign flags_o = {flags_q[1] | late_overflow, flags_q[0]};
  end else begin : g_no_flags
    logic unused;
    assign invalid_q = '0;
    assign unused = special | scale_nan | overflow | late_overflow | out_of_range | (|invalid_q);
    assign flags_o = '0;
  end
endmodule
`default_nettype wire
