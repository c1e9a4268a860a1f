// SPDX-License-Identifier: MIT
// scripts/formal.sh: a group of four of the lookup-table baseline against four multiplications, in
// three steps. Not part of a unit.
//   table   every entry is a sum of the activations, each with its sign
//   lookup  of any table: a sum of entries, each with a weight and a sign that w_i alone decides
//   basis   for activations (1,0,0,0) ... (0,0,0,1) and any weights: twice the dot product
// By the first two the output is linear in the activations where w_i is fixed, modulo 2^SUM_W, and
// SUM_W holds every value; by the third it is the right linear function.
`default_nettype none
module lut_table_case #(
    parameter int BITS = 8,
    parameter bit REFERENCE = 0,
    localparam int T_W = BITS + 3
) (
    input  logic [4*BITS-1:0] a_i,
    output logic [8*T_W-1:0]  table_o
);
  if (REFERENCE) begin : g_reference
    for (genvar i = 0; i < 8; i++) begin : g_entry
      logic signed [T_W-1:0] sum;
      always_comb begin
        sum = T_W'($signed(a_i[3*BITS+:BITS]));
        for (int j = 0; j < 3; j++) begin
          if (((i >> j) & 1) != 0) sum = sum + T_W'($signed(a_i[BITS*j+:BITS]));
          else sum = sum - T_W'($signed(a_i[BITS*j+:BITS]));
        end
      end
      assign table_o[T_W*i+:T_W] = sum;
    end
  end else begin : g_unit
    lowbit_lut_table #(.BITS(BITS)) i_table (.a_i, .table_o);
  end
endmodule

module lut_lookup_case #(
    parameter int BITS = 8,
    parameter int W_BITS = 4,
    parameter bit REFERENCE = 0,
    localparam int T_W = BITS + 3,
    localparam int SUM_W = BITS + W_BITS + 3
) (
    input  logic [8*T_W-1:0]    table_i,
    input  logic [4*W_BITS-1:0] w_i,
    output logic [SUM_W-1:0]    doubled_o
);
  if (REFERENCE) begin : g_reference
    // The bits of a plane as signs: sixteen signed sums, of which the upper eight are the table.
    logic [16*SUM_W-1:0] sums;
    logic [SUM_W-1:0] sum;
    for (genvar s = 0; s < 8; s++) begin : g_sum
      assign sums[SUM_W*(8+s)+:SUM_W] = {{SUM_W - T_W{table_i[T_W*s+T_W-1]}}, table_i[T_W*s+:T_W]};
      assign sums[SUM_W*(7-s)+:SUM_W] = -sums[SUM_W*(8+s)+:SUM_W];
    end
    logic [SUM_W*W_BITS-1:0] planes;
    for (genvar b = 0; b < W_BITS; b++) begin : g_plane
      logic [3:0] signs;
      assign signs = {w_i[3*W_BITS+b], w_i[2*W_BITS+b], w_i[W_BITS+b], w_i[b]};
      assign planes[SUM_W*b+:SUM_W] = sums[SUM_W*{28'd0, signs}+:SUM_W] << b;
    end
    always_comb begin
      sum = -sums[15*SUM_W+:SUM_W];
      for (int b = 0; b < W_BITS; b++) begin
        if (b == W_BITS - 1) sum = sum - planes[SUM_W*b+:SUM_W];
        else sum = sum + planes[SUM_W*b+:SUM_W];
      end
    end
    assign doubled_o = sum;
  end else begin : g_unit
    lowbit_lut_lookup #(.BITS(BITS), .W_BITS(W_BITS)) i_lookup (.table_i, .w_i, .doubled_o);
  end
endmodule

module lut_basis_case #(
    parameter int BITS = 8,
    parameter int W_BITS = 4,
    parameter bit REFERENCE = 0,
    localparam int SUM_W = BITS + W_BITS + 3
) (
    input  logic [1:0]          lane_i,
    input  logic [4*W_BITS-1:0] w_i,
    output logic [SUM_W-1:0]    doubled_o
);
  if (REFERENCE) begin : g_reference
    assign doubled_o = SUM_W'($signed(w_i[W_BITS*{30'd0, lane_i}+:W_BITS])) <<< 1;
  end else begin : g_unit
    logic [8*(BITS+3)-1:0] entries;
    lowbit_lut_table #(.BITS(BITS)) i_table (.a_i((4 * BITS)'(1) << (BITS * {30'd0, lane_i})), .table_o(entries));
    lowbit_lut_lookup #(.BITS(BITS), .W_BITS(W_BITS)) i_lookup (.table_i(entries), .w_i, .doubled_o);
  end
endmodule
`default_nettype wire
