// SPDX-License-Identifier: MIT
// Baseline: dot product of integer activations with weights of few bits by table lookup, as in LUT
// Tensor Core (arXiv 2408.06003): no multiplier. Free running, one beat of LANES products per clock,
// no scales, acc = the sum of a * w modulo 2^ACC_W. valid_o is high 3 clocks after a beat with last_i.
//
// With the bits b of a two's complement weight of n bits read as signs s = 2 b - 1:
//   2 w + 1 = -2^(n-1) s_(n-1) + ... + 2 s_1 + s_0
// so sum(a * (2 w + 1)) takes one lookup per bit plane and group of four activations, in the table
//   T[i] = a_3 +- a_2 +- a_1 +- a_0, the signs as the bits of i: eight entries, since T[~i] with -a_3
// is their negative. sum(a * w) is half of (that less sum(a)), and sum(a) is T[7] of every group.
// The table serves COLUMNS dot products with one set of activations.
// The scale bytes are not read; they are ports so that the benches of the other units fit.
`default_nettype none
module lowbit_mac_lut_core #(
    parameter int BITS = 8,    // of an activation, and of a lane in w_codes_i
    parameter int W_BITS = 4,  // of a weight: the low bits of its lane
    parameter int LANES = 16,  // a multiple of 4
    parameter int COLUMNS = 1,
    parameter int ACC_W = 32
) (
    input  logic                          clk_i,
    input  logic                          rst_ni,
    input  logic                          valid_i,
    input  logic                          first_i,
    input  logic                          last_i,
    input  logic [                   7:0] a_scale_i,
    input  logic [                   7:0] w_scale_i,
    input  logic [        BITS*LANES-1:0] a_codes_i,
    input  logic [BITS*LANES*COLUMNS-1:0] w_codes_i,
    output logic                          valid_o,
    output logic [     ACC_W*COLUMNS-1:0] acc_o
);
  localparam int GROUPS = LANES / 4;
  localparam int T_W = BITS + 3;
  localparam int GROUP_W = BITS + W_BITS + 3;
  localparam int SUM_W = BITS + W_BITS + $clog2(LANES) + 1;
  logic unused;
  assign unused = (|a_scale_i) ^ (|w_scale_i) ^ (|w_codes_i);

  // Stage 1: the tables; the weights beside them. A beat that is none has activations of zero.
  logic [8*T_W*GROUPS-1:0] tables_q;
  logic [W_BITS*LANES*COLUMNS-1:0] weights_q;
  for (genvar g = 0; g < GROUPS; g++) begin : g_table
    logic [8*T_W-1:0] entries;
    lowbit_lut_table #(
        .BITS(BITS)
    ) u_table (
        .a_i(a_codes_i[4*BITS*g+:4*BITS] & {4 * BITS{valid_i}}),
        .table_o(entries)
    );
    always_ff @(posedge clk_i) tables_q[8*T_W*g+:8*T_W] <= entries;
  end
  for (genvar l = 0; l < LANES * COLUMNS; l++) begin : g_weight
    always_ff @(posedge clk_i) weights_q[W_BITS*l+:W_BITS] <= w_codes_i[BITS*l+:W_BITS];
  end

  // Stage 2: lookups, and their sum over planes and groups. Stage 3: accumulate.
  logic open, first1_q, last1_q, first2_q, last2_q;
  for (genvar c = 0; c < COLUMNS; c++) begin : g_column
    logic signed [SUM_W-1:0] doubled, doubled_q;
    logic [ACC_W-1:0] addend;
    logic [GROUP_W*GROUPS-1:0] groups;
    for (genvar g = 0; g < GROUPS; g++) begin : g_group
      lowbit_lut_lookup #(
          .BITS(BITS),
          .W_BITS(W_BITS)
      ) u_lookup (
          .table_i(tables_q[8*T_W*g+:8*T_W]),
          .w_i(weights_q[W_BITS*(LANES*c+4*g)+:4*W_BITS]),
          .doubled_o(groups[GROUP_W*g+:GROUP_W])
      );
    end
    always_comb begin
      doubled = '0;
      for (int g = 0; g < GROUPS; g++) doubled = doubled + SUM_W'($signed(groups[GROUP_W*g+:GROUP_W]));
    end
    always_ff @(posedge clk_i) doubled_q <= doubled;
    assign addend = {{ACC_W - SUM_W + 1{doubled_q[SUM_W-1]}}, doubled_q[SUM_W-1:1]};
    always_ff @(posedge clk_i) begin
      acc_o[ACC_W*c+:ACC_W] <= (acc_o[ACC_W*c+:ACC_W] & {ACC_W{~first2_q}}) + addend;
    end
  end
  always_ff @(posedge clk_i) begin
    open <= rst_ni & (valid_i ? ~last_i : open);
    first1_q <= valid_i & (first_i | ~open);
    last1_q <= valid_i & last_i & rst_ni;
    first2_q <= first1_q;
    last2_q <= last1_q & rst_ni;
    valid_o <= last2_q & rst_ni;
  end
endmodule
`default_nettype wire
