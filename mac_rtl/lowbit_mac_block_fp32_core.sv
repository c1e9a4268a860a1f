// SPDX-License-Identifier: MIT
// Exact inside the block, one FP32 accumulation a block: each beat's exact value over the common
// denominator (as lowbit_mac_exact_core) is rounded once to FP32 and added in FP32. Free running,
// one beat a cycle. E4M3-scaled formats.
//
//   1  sum of products | scale significands and exponents
//   2  times the scale significands
//   3  times the factors of integer blocks
//   4  to FP32, rounded to nearest even
//   5  FP32 accumulator
`default_nettype none
module lowbit_mac_block_fp32_core #(
    parameter int FORMAT = lowbit_formats::IF4,
    parameter int LANES = 16,
    localparam int BITS = lowbit_formats::element_bits(FORMAT)
) (
    input  logic                  clk_i,
    input  logic                  rst_ni,
    input  logic                  valid_i,
    input  logic                  first_i,
    input  logic                  last_i,
    input  logic [7:0]            a_scale_i,
    input  logic [7:0]            w_scale_i,
    input  logic [LANES*BITS-1:0] a_codes_i,
    input  logic [LANES*BITS-1:0] w_codes_i,
    output logic                  valid_o,
    output logic [31:0]           fp32_o,
    output logic                  nan_scale_o
);
  localparam bit HAS_INT = lowbit_formats::has_integers(FORMAT) != 0;
  localparam int GROWTH = $clog2(LANES) + 1;
  localparam int SUM_W = lowbit_formats::product_bits(FORMAT) + GROWTH;
  localparam int SCALED_W = SUM_W + 8;
  localparam int VALUE_W = HAS_INT ? lowbit_formats::factored_bits(FORMAT) + GROWTH : SCALED_W;
  // Of bit 0 of the block's value, less the scales' shift of 2..30.
  localparam int UNIT = 2 * lowbit_formats::unit_exponent(FORMAT) - 20;

  logic                a_integer;
  logic                w_integer;
  logic [SUM_W-1:0]    sum;
  logic                unused_special;
  logic [7:0]          significand;
  logic [4:0]          shift;
  logic                nan_scale;
  assign a_integer = HAS_INT & a_scale_i[lowbit_formats::INTEGER_FLAG];
  assign w_integer = HAS_INT & w_scale_i[lowbit_formats::INTEGER_FLAG];
  lowbit_block_sum #(
      .FORMAT(FORMAT),
      .INT_EN(HAS_INT),
      .LANES (LANES)
  ) i_block_sum (
      .clk_i,
      .a_codes_i,
      .w_codes_i,
      .a_integer_i(a_integer),
      .w_integer_i(w_integer),
      .sum_o      (sum),
      .special_o  (unused_special)
  );
  lowbit_scale_product i_scale_product (
      .a_scale_i,
      .w_scale_i,
      .significand_o(significand),
      .shift_o      (shift),
      .nan_o        (nan_scale)
  );

  logic [5:1]          valid_q;
  logic [4:1]          first_q;
  logic [5:1]          last_q;
  logic [5:1]          nan_q;
  logic [SUM_W-1:0]    sum_q;
  logic [7:0]          significand_q;
  logic [4:0]          shift1_q;
  logic [4:0]          shift2_q;
  logic [4:0]          shift3_q;
  logic [1:0]          integer1_q;
  logic [1:0]          integer2_q;
  logic [SCALED_W-1:0] scaled_q;
  logic [VALUE_W-1:0]  value;
  logic [VALUE_W-1:0]  value_q;
  logic [VALUE_W-1:0]  magnitude;
  logic [31:0]         block_q;

  if (HAS_INT) begin : gen_integer
    lowbit_integer_scale #(
        .W             (SCALED_W),
        .FLOAT_FACTOR  (lowbit_formats::float_factor(FORMAT)),
        .INTEGER_FACTOR(lowbit_formats::integer_factor(FORMAT)),
        .HALF_W        (lowbit_formats::half_factored_bits(FORMAT) + $clog2(LANES) + 1),
        .OUT_W         (VALUE_W)
    ) i_integer_scale (
        .clk_i,
        .value_i    (scaled_q),
        .a_integer_i(integer2_q[1]),
        .w_integer_i(integer2_q[0]),
        .value_o    (value)
    );
  end else begin : gen_float
    logic unused;
    assign unused = |integer2_q;
    assign value  = scaled_q;
  end
  assign magnitude = value_q[VALUE_W-1] ? -value_q : value_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[4:1], valid_i};
  end

  always_ff @(posedge clk_i) begin
    first_q <= {first_q[3:1], first_i};
    last_q  <= {last_q[4:1], last_i};
    nan_q[4:1] <= {nan_q[3:1], nan_scale};
    sum_q         <= sum;
    significand_q <= significand;
    shift1_q      <= shift;
    integer1_q    <= {a_integer, w_integer};
    scaled_q      <= SCALED_W'($signed(sum_q)) * SCALED_W'(significand_q);
    shift2_q      <= shift1_q;
    integer2_q    <= integer1_q;
    value_q       <= value;
    shift3_q      <= shift2_q;
    if (valid_q[3]) begin
      block_q <= lowbit_fp32_pkg::from_integer(value_q[VALUE_W-1], 64'(magnitude),
                                               10'(UNIT) + {5'd0, shift3_q}, 1'b1);
    end
    if (valid_q[4]) begin
      fp32_o   <= lowbit_fp32_pkg::add(first_q[4] ? 32'd0 : fp32_o, block_q, 1'b0);
      nan_q[5] <= nan_q[4] | (nan_q[5] & ~first_q[4]);
    end
  end

  assign valid_o     = valid_q[5] & last_q[5];
  assign nan_scale_o = nan_q[5];
endmodule
`default_nettype wire
