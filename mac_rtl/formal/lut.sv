// SPDX-License-Identifier: MIT
// scripts/formal.sh: a group of four of the lookup-table baseline against four multiplications. Not
// part of a unit.
`default_nettype none
module lut_case #(
    parameter int BITS = 8,
    parameter int W_BITS = 1,
    parameter bit REFERENCE = 0,
    localparam int SUM_W = BITS + W_BITS + 3
) (
    input  logic [4*BITS-1:0]   a_i,
    input  logic [4*W_BITS-1:0] w_i,
    output logic [SUM_W-1:0]    doubled_o
);
  if (REFERENCE) begin : g_reference
    always_comb begin
      logic signed [SUM_W-1:0] sum;
      sum = '0;
      for (int j = 0; j < 4; j++) begin
        sum = sum + SUM_W'($signed(a_i[BITS*j+:BITS])) * SUM_W'($signed(w_i[W_BITS*j+:W_BITS]));
      end
      doubled_o = sum <<< 1;
    end
  end else begin : g_unit
    logic [8*(BITS+3)-1:0] entries;
    lowbit_lut_table #(.BITS(BITS)) i_table (.a_i, .table_o(entries));
    lowbit_lut_lookup #(.BITS(BITS), .W_BITS(W_BITS)) i_lookup (.table_i(entries), .w_i, .doubled_o);
  end
endmodule
`default_nettype wire
