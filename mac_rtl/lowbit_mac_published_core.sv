// SPDX-License-Identifier: MIT
// The published IF4/NVFP4 MAC's arithmetic (docs/mac.md, Published), free running, one beat a cycle.
//
//   1  scale product, exact in FP32                    | codes
//   2  times 6/7 or 36/49 in FP32 (integer operands)   | lane product, exact in FP16
//   3  lane product times scale, in FP32
//   4  FP32 accumulator of each lane
//   5  pairwise tree ((0+1)+(2+3))+..., one level a stage, clocked after `last` only
//
// No value here is ever subnormal (multiples of 2^-43, below 2^128 for 2^100 beats), so the FP32
// operators leave subnormals out.
`default_nettype none
module lowbit_mac_published_core #(
    parameter int LANES    = 16,  // 1..64, a power of two
    parameter bit INTEGERS = 1    // bit 7 of a scale byte makes its operand's codes INT4
) (
    input  logic               clk_i,
    input  logic               rst_ni,
    input  logic               valid_i,
    input  logic               first_i,
    input  logic               last_i,
    input  logic [7:0]         a_scale_i,
    input  logic [7:0]         w_scale_i,
    input  logic [LANES*4-1:0] a_codes_i,
    input  logic [LANES*4-1:0] w_codes_i,
    output logic               valid_o,
    output logic [31:0]        fp32_o,
    output logic               nan_scale_o
);
  localparam int LEVELS = $clog2(LANES);

  // FP32 of 6/7 and 36/49, each rounded to nearest.
  localparam logic [31:0] OneInteger = 32'h3F5B_6DB7;
  localparam logic [31:0] TwoIntegers = 32'h3F3C_14E6;

  // Magnitude in half units: E2M1 0..12, INT4 0..16 (code 8 is -8; in E2M1 it is -0).
  function automatic logic [4:0] half_units(input logic [3:0] code, input logic is_integer);
    logic [2:0] negated;
    begin
      negated = ~code[2:0] + 3'd1;
      if (is_integer)
        half_units = {code[3] & (code[2:0] == 3'd0), code[3] ? negated : code[2:0], 1'b0};
      else
        case (code[2:1])
          2'd0:    half_units = {4'd0, code[0]};
          2'd1:    half_units = {3'd0, 1'b1, code[0]};
          2'd2:    half_units = {2'd0, 1'b1, code[0], 1'b0};
          default: half_units = {1'd0, 1'b1, code[0], 2'b0};
        endcase
    end
  endfunction

  // The lane product in FP16: a multiple of 1/4 of at most nine bits.
  function automatic logic [15:0] lane_product(input logic [3:0] a, input logic [3:0] w,
                                               input logic a_integer, input logic w_integer);
    logic [8:0] m;
    logic [4:0] e;
    begin
      // At most 16 * 16 = 256 quarters.
      m = 9'({5'd0, half_units(a, a_integer)} * {5'd0, half_units(w, w_integer)});
      e = 5'd21;  // bit 8 counts 2^6
      if (m[8:5] == 4'd0) begin m = m << 4; e = e - 5'd4; end
      if (m[8:7] == 2'd0) begin m = m << 2; e = e - 5'd2; end
      if (m[8] == 1'b0) begin m = m << 1; e = e - 5'd1; end
      // Only 0 and quarters 1 and 2..., at most eight places down, are left without a leading one.
      if (m[8] == 1'b0) begin m = m << 1; e = e - 5'd1; end
      lane_product = {a[3] ^ w[3], m[8] ? {e, m[7:0], 2'd0} : 15'd0};
    end
  endfunction

  function automatic logic [31:0] widen(input logic [15:0] half);
    begin
      widen = {half[15], half[14:0] == 15'd0 ? 8'd0 : {3'd0, half[14:10]} + 8'd112, half[9:0], 13'd0};
    end
  endfunction

  // Magnitude 7F reads as 448, like 7E.
  function automatic logic [31:0] scale_product(input logic [6:0] a_byte, input logic [6:0] w_byte);
    logic [6:0] a;
    logic [6:0] w;
    logic [7:0] m;
    logic [7:0] e;
    begin
      a = (a_byte == 7'h7F) ? 7'h7E : a_byte;
      w = (w_byte == 7'h7F) ? 7'h7E : w_byte;
      m = {4'd0, a[6:3] != 4'd0, a[2:0]} * {4'd0, w[6:3] != 4'd0, w[2:0]};
      // Bit 7 of the product counts 2 * 2^(fields - 14); field 0 has field 1's exponent.
      e = 8'd114 + {4'd0, a[6:3]} + {7'd0, a[6:3] == 4'd0} + {4'd0, w[6:3]} + {7'd0, w[6:3] == 4'd0};
      if (m[7:4] == 4'd0) begin m = m << 4; e = e - 8'd4; end
      if (m[7:6] == 2'd0) begin m = m << 2; e = e - 8'd2; end
      if (m[7] == 1'b0) begin m = m << 1; e = e - 8'd1; end
      scale_product = m[7] ? {1'b0, e, m[6:0], 16'd0} : 32'd0;
    end
  endfunction

  logic [4+LEVELS:1]  valid_q;  // a beat in stages 1..4, a finished segment in the tree's
  logic [3:1]         first_q;
  logic [4:1]         last_q;
  logic [4+LEVELS:1]  nan_q;
  logic [31:0]        scale1_q;
  logic [31:0]        scale2_q;
  logic [1:0]         integer1_q;
  logic [LANES*4-1:0] a1_q;
  logic [LANES*4-1:0] w1_q;
  // A heap: lane i's accumulator is node LANES + i, node n sums nodes 2n and 2n + 1.
  logic [31:0]        node_q [2*LANES];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q <= '0;
    end else begin
      valid_q[4:1] <= {valid_q[3:1], valid_i};
      if (LEVELS > 0) valid_q[5] <= valid_q[4] & last_q[4];
      for (int i = 6; i <= 4 + LEVELS; i++) valid_q[i] <= valid_q[i-1];
    end
  end

  always_ff @(posedge clk_i) begin
    first_q <= {first_q[2:1], first_i};
    last_q  <= {last_q[3:1], last_i};
    nan_q[3:1] <= {nan_q[2:1], (a_scale_i[6:0] == 7'h7F) | (w_scale_i[6:0] == 7'h7F)};
    if (valid_q[3]) nan_q[4] <= nan_q[3] | (nan_q[4] & ~first_q[3]);
    for (int i = 5; i <= 4 + LEVELS; i++) nan_q[i] <= nan_q[i-1];
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      scale1_q   <= scale_product(a_scale_i[6:0], w_scale_i[6:0]);
      integer1_q <= INTEGERS ? {a_scale_i[7], w_scale_i[7]} : 2'b00;
      a1_q       <= a_codes_i;
      w1_q       <= w_codes_i;
    end
    if (valid_q[1]) begin
      case (integer1_q)
        2'b00:   scale2_q <= scale1_q;
        2'b11:   scale2_q <= lowbit_fp32_pkg::mul(scale1_q, TwoIntegers, 1'b0);
        default: scale2_q <= lowbit_fp32_pkg::mul(scale1_q, OneInteger, 1'b0);
      endcase
    end
  end

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic [15:0] product_q;
    logic [31:0] scaled_q;
    always_ff @(posedge clk_i) begin
      if (valid_q[1])
        product_q <= lane_product(a1_q[4*i+:4], w1_q[4*i+:4], integer1_q[1], integer1_q[0]);
      if (valid_q[2]) scaled_q <= lowbit_fp32_pkg::mul(widen(product_q), scale2_q, 1'b0);
      if (valid_q[3])
        node_q[LANES+i] <= lowbit_fp32_pkg::add(first_q[3] ? 32'd0 : node_q[LANES+i], scaled_q, 1'b0);
    end
  end

  for (genvar n = 1; n < LANES; n++) begin : gen_node
    // Node 1 is the root, in the last stage.
    localparam int Stage = 4 + LEVELS - ($clog2(n + 1) - 1);
    localparam int Before = Stage - 1;
    always_ff @(posedge clk_i) begin
      if (valid_q[Before] & (Before > 4 || last_q[4]))
        node_q[n] <= lowbit_fp32_pkg::add(node_q[2*n], node_q[2*n+1], 1'b0);
    end
  end

  assign valid_o     = valid_q[4+LEVELS] & (LEVELS > 0 || last_q[4]);
  assign fp32_o      = node_q[1];
  assign nan_scale_o = nan_q[4+LEVELS];
endmodule
`default_nettype wire
