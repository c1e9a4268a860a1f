// SPDX-License-Identifier: MIT
// The table of four activations (lowbit_mac_lut_core.sv): entry i, T_W bits from T_W * i, is
// a_3 +- a_2 +- a_1 +- a_0, where bit j of i set says +a_j. Combinational.
`default_nettype none
module lowbit_lut_table #(
    parameter int BITS = 8,
    localparam int T_W = BITS + 3  // |T| <= 4 * 2^(BITS-1), and a sign
) (
    input  logic [4*BITS-1:0] a_i,
    output logic [8*T_W-1:0]  table_o
);
  logic signed [T_W-1:0] a0, a1, a2, a3, sum, difference, above, below;
  assign a0 = T_W'($signed(a_i[0+:BITS]));
  assign a1 = T_W'($signed(a_i[BITS+:BITS]));
  assign a2 = T_W'($signed(a_i[2*BITS+:BITS]));
  assign a3 = T_W'($signed(a_i[3*BITS+:BITS]));
  assign sum = a1 + a0;
  assign difference = a1 - a0;
  assign above = a3 + a2;
  assign below = a3 - a2;
  assign table_o = {above + sum, above + difference, above - difference, above - sum,
                    below + sum, below + difference, below - difference, below - sum};
endmodule
`default_nettype wire
