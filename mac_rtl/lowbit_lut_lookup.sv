// SPDX-License-Identifier: MIT
// Twice the dot product of four activations, given as their table, with four weights: one lookup per
// bit plane, less the sum of the activations (lowbit_mac_lut_core.sv). Combinational.
`default_nettype none
module lowbit_lut_lookup #(
    parameter int BITS = 8,
    parameter int W_BITS = 4,
    localparam int T_W = BITS + 3,
    localparam int SUM_W = BITS + W_BITS + 3
) (
    input  logic [8*T_W-1:0]    table_i,
    input  logic [4*W_BITS-1:0] w_i,
    output logic [SUM_W-1:0]    doubled_o
);
  logic signed [SUM_W-1:0] activations;
  logic [SUM_W*W_BITS-1:0] terms;
  assign activations = SUM_W'($signed(table_i[7*T_W+:T_W]));
  for (genvar b = 0; b < W_BITS; b++) begin : g_plane
    logic [3:0] signs;
    logic [2:0] index;
    logic signed [SUM_W-1:0] entry;
    assign signs = {w_i[3*W_BITS+b], w_i[2*W_BITS+b], w_i[W_BITS+b], w_i[b]};
    assign index = signs[3] ? signs[2:0] : ~signs[2:0];
    assign entry = SUM_W'($signed(table_i[T_W*{29'd0, index}+:T_W]));
    // The top plane of two's complement counts negative.
    assign terms[SUM_W*b+:SUM_W] = (signs[3] == (b == W_BITS - 1) ? -entry : entry) <<< b;
  end
  always_comb begin
    doubled_o = -activations;
    for (int b = 0; b < W_BITS; b++) doubled_o = doubled_o + terms[SUM_W*b+:SUM_W];
  end
endmodule
`default_nettype wire
