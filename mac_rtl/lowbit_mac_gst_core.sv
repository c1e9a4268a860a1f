// SPDX-License-Identifier: MIT
// The block-scaled tensor core's NVFP4 step (mxf4nvf4, UE4M3 scales): each beat is
// D = trunc(groups + C) with C the previous D, 0 on `first`. Free running, one beat a cycle.
//
//   P_g  exact sum of the 16 products of group g; s_g, e_g: product and sum of the scales'
//        significands and exponents (subnormal scales are not normalised, the sign bit is ignored)
//   e    the largest of e_g over groups with a nonzero product and a nonzero scale (a group that
//        cancels counts), and of the exponent of C
//   D    sum of P_g * s_g * 2^e_g and C, each truncated to a multiple of 2^(e - FRACTION_BITS), the
//        sum truncated to FP32
// A NaN scale makes the segment's result 7FFFFFFF. No other special value can arise: sums are
// multiples of 2^-47 below 2^29 a beat, so the exponent given to zero terms never matters either.
//
//   1  group sums, scale products   2  scaled groups, their largest exponent   3  align, add, truncate
`default_nettype none
module lowbit_mac_gst_core #(
    parameter int LANES         = 64,  // 16, 32 or 64: one group and one scale pair for each 16
    parameter int FRACTION_BITS = 35,
    localparam int GROUPS       = LANES / 16
) (
    input  logic                clk_i,
    input  logic                rst_ni,
    input  logic                valid_i,
    input  logic                first_i,
    input  logic                last_i,
    input  logic [8*GROUPS-1:0] a_scale_i,
    input  logic [8*GROUPS-1:0] w_scale_i,
    input  logic [LANES*4-1:0]  a_codes_i,
    input  logic [LANES*4-1:0]  w_codes_i,
    output logic                valid_o,
    output logic [31:0]         fp32_o,
    output logic                nan_scale_o
);
  localparam int SUM_W = lowbit_formats::product_bits(lowbit_formats::NVFP4) + 5;
  localparam int SCALED_W = SUM_W + 8;

  logic [3:1]                 valid_q;
  logic [2:1]                 first_q;
  logic [3:1]                 last_q;
  logic [3:1]                 nan_q;
  logic [GROUPS-1:0]          nan_scale;
  logic [GROUPS*SCALED_W-1:0] scaled_q;
  // Exponents count from 2^-14, the least of two subnormal scales being 2; 0 means no group.
  logic [GROUPS*5-1:0]        shift1_q;
  logic [GROUPS*5-1:0]        shift2_q;
  logic [4:0]                 largest_q;
  logic [31:0]                c_q;

  for (genvar g = 0; g < GROUPS; g++) begin : gen_group
    logic [SUM_W-1:0] sum;
    logic [SUM_W-1:0] sum_q;
    logic [7:0]       significand;
    logic [7:0]       significand_q;
    logic [4:0]       shift;
    logic [15:0]      nonzero;
    logic             unused_special;
    lowbit_block_sum #(
        .FORMAT(lowbit_formats::NVFP4),
        .INT_EN(1'b0),
        .LANES (16)
    ) i_block_sum (
        .clk_i,
        .a_codes_i  (a_codes_i[64*g+:64]),
        .w_codes_i  (w_codes_i[64*g+:64]),
        .a_integer_i(1'b0),
        .w_integer_i(1'b0),
        .sum_o      (sum),
        .special_o  (unused_special)
    );
    lowbit_scale_product i_scale_product (
        .a_scale_i    (a_scale_i[8*g+:8]),
        .w_scale_i    (w_scale_i[8*g+:8]),
        .significand_o(significand),
        .shift_o      (shift),
        .nan_o        (nan_scale[g])
    );
    for (genvar l = 0; l < 16; l++) begin : gen_lane
      assign nonzero[l] = (|a_codes_i[64*g+4*l+:3]) & (|w_codes_i[64*g+4*l+:3]);
    end
    always_ff @(posedge clk_i) begin
      sum_q               <= sum;
      significand_q       <= significand;
      shift1_q[5*g+:5]    <= ((|nonzero) && significand != 8'd0) ? shift : 5'd0;
      scaled_q[SCALED_W*g+:SCALED_W] <= SCALED_W'($signed(sum_q)) * SCALED_W'(significand_q);
    end
  end

  function automatic logic [4:0] largest(input logic [GROUPS*5-1:0] shifts);
    begin
      largest = 5'd0;
      for (int g = 0; g < GROUPS; g++) if (shifts[5*g+:5] > largest) largest = shifts[5*g+:5];
    end
  endfunction

  // One step of the accumulation.
  function automatic logic [31:0] step(input logic [GROUPS*SCALED_W-1:0] groups,
                                       input logic [GROUPS*5-1:0] shifts, input logic [4:0] top,
                                       input logic [31:0] c);
    logic [9:0]          c_e;  // exponents as FP32 fields, so 2^(shift - 14) is shift + 113
    logic [9:0]          e;
    logic [9:0]          distance;
    logic [SCALED_W-1:0] scaled;
    logic [SCALED_W-1:0] magnitude;
    logic [63:0]         term;
    logic [63:0]         sum;
    begin
      c_e = {2'd0, c[30:23]};
      e   = (top == 5'd0) ? 10'd0 : {5'd0, top} + 10'd113;
      if (c_e > e) e = c_e;
      distance = e - c_e;
      term     = {40'd0, c[30:23] != 8'd0, c[22:0]} << (FRACTION_BITS - 23);
      term     = (distance > 10'd63) ? 64'd0 : term >> distance[5:0];
      sum      = c[31] ? -term : term;
      for (int g = 0; g < GROUPS; g++) begin
        scaled   = groups[SCALED_W*g+:SCALED_W];
        distance = e - ({5'd0, shifts[5*g+:5]} + 10'd113);
        // Products count quarters, significands eighths each: 2^-8.
        magnitude = scaled[SCALED_W-1] ? -scaled : scaled;
        term = 64'(magnitude) << (FRACTION_BITS - 8);
        term = (distance > 10'd63) ? 64'd0 : term >> distance[5:0];
        if (shifts[5*g+:5] != 5'd0) sum = scaled[SCALED_W-1] ? sum - term : sum + term;
      end
      step = lowbit_fp32_pkg::from_integer(sum[63], sum[63] ? -sum : sum,
                                           e - 10'd127 - 10'(FRACTION_BITS), 1'b0);
    end
  endfunction

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[2:1], valid_i};
  end

  always_ff @(posedge clk_i) begin
    first_q    <= {first_q[1], first_i};
    last_q     <= {last_q[2:1], last_i};
    nan_q[2:1] <= {nan_q[1], |nan_scale};
    shift2_q   <= shift1_q;
    largest_q  <= largest(shift1_q);
    if (valid_q[2]) begin
      nan_q[3] <= nan_q[2] | (nan_q[3] & ~first_q[2]);
      c_q      <= step(scaled_q, shift2_q, largest_q, first_q[2] ? 32'd0 : c_q);
    end
  end

  assign valid_o     = valid_q[3] & last_q[3];
  assign nan_scale_o = nan_q[3];
  assign fp32_o      = nan_scale_o ? 32'h7FFF_FFFF : c_q;
endmodule
`default_nettype wire
