// SPDX-License-Identifier: MIT
// Baseline: BF16 times BF16 with an FP32 fused multiply-add in every lane, free running, one beat a
// clock:
//   1      lane accumulators: acc = a * w + acc, one rounding (lowbit_fma_pkg.sv)
//   2...   pairwise tree ((0+1)+(2+3))+... of FP32 sums, one level a stage, after last_i only
// Subnormals as IEEE 754 has them. The scale bytes are not read; they are ports so that the benches
// of the other units fit.
`default_nettype none
module lowbit_mac_bf16_fma_core #(
    parameter int LANES = 4  // 1..64, a power of two
) (
    input  logic                clk_i,
    input  logic                rst_ni,
    input  logic                valid_i,
    input  logic                first_i,
    input  logic                last_i,
    input  logic [7:0]          a_scale_i,
    input  logic [7:0]          w_scale_i,
    input  logic [LANES*16-1:0] a_codes_i,
    input  logic [LANES*16-1:0] w_codes_i,
    output logic                valid_o,
    output logic [31:0]         fp32_o
);
  localparam int LEVELS = $clog2(LANES);
  logic unused;
  assign unused = (|a_scale_i) ^ (|w_scale_i);

  logic              open;
  logic              start;
  logic [LEVELS:0]   valid_q;  // a finished segment in the lanes, then in the levels of the tree
  // A heap: lane i's accumulator is node LANES + i, node n sums nodes 2n and 2n + 1.
  logic [31:0]       node_q [2*LANES];
  assign start = first_i | ~open;
  always_ff @(posedge clk_i) begin
    open <= rst_ni & (valid_i ? ~last_i : open);
    valid_q[0] <= rst_ni & valid_i & last_i;
    for (int i = 1; i <= LEVELS; i++) valid_q[i] <= rst_ni & valid_q[i-1];
  end
  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    always_ff @(posedge clk_i) begin
      if (valid_i)
        node_q[LANES+i] <= lowbit_fma_pkg::fma(a_codes_i[16*i+:16], w_codes_i[16*i+:16],
                                               start ? 32'd0 : node_q[LANES+i]);
    end
  end
  for (genvar n = 1; n < LANES; n++) begin : gen_node
    localparam int Before = LEVELS - $clog2(n + 1);  // node 1 is the root, in the last stage
    always_ff @(posedge clk_i) begin
      if (valid_q[Before]) node_q[n] <= lowbit_fp32_pkg::add(node_q[2*n], node_q[2*n+1], 1'b1);
    end
  end
  assign valid_o = valid_q[LEVELS];
  // No assign: beside some other units Icarus 11 never updates one whose source is a word of an array.
  always_comb fp32_o = node_q[1];
endmodule
`default_nettype wire
