// SPDX-License-Identifier: MIT
// Sum of ROWS words of W bits and ROWS bits, modulo 2^W: rows of full adders until two words are
// left, then one adder. Rows are taken from a queue (three off its head, sum and carry to its tail),
// which makes a tree of the least depth; the bits to add enter where the carries leave room.
`default_nettype none
module lowbit_row_sum #(
    parameter int ROWS = 16,
    parameter int W = 13
) (
    input  logic [ROWS*W-1:0] rows_i,
    input  logic [  ROWS-1:0] bits_i,
    output logic [     W-1:0] sum_o
);
`ifdef LOWBIT_STRUCTURAL
  if (ROWS == 1) begin : g_one
    assign sum_o = rows_i + W'(bits_i);
  end else begin : g_tree
    // ROWS - 2 carries have a free last place, the final adder a carry in; the last bit comes as a
    // row of its own.
    localparam int ALL = ROWS + 1;
    localparam int SAVERS = ALL - 2;
    logic [W-1:0] row[ALL+2*SAVERS];
    for (genvar r = 0; r < ROWS; r++) begin : g_row
      assign row[r+1] = rows_i[W*r+:W];
    end
    assign row[0] = W'(bits_i[ROWS-1]);
    for (genvar k = 0; k < SAVERS; k++) begin : g_saver
      logic [W-1:0] carry;
      logic unused;
      lowbit_carry_save #(
          .W(W)
      ) u_saver (
          .a_i(row[3*k]),
          .b_i(row[3*k+1]),
          .c_i(row[3*k+2]),
          .s_o(row[ALL+2*k]),
          .carry_o(carry)
      );
      assign row[ALL+2*k+1] = {carry[W-2:0], bits_i[k]};
      assign unused = carry[W-1];
    end
    logic carry_out, final_bit;
    assign final_bit = 1'b0;
    lowbit_add #(
        .W(W)
    ) u_add (
        .a_i(row[ALL+2*SAVERS-2]),
        .b_i(row[ALL+2*SAVERS-1]),
        .c_i(final_bit),
        .s_o(sum_o),
        .c_o(carry_out)
    );
    logic unused;
    assign unused = carry_out;
  end
`else
  always_comb begin
    sum_o = '0;
    for (int r = 0; r < ROWS; r++) sum_o = sum_o + rows_i[W*r+:W] + W'(bits_i[r]);
  end
`endif
endmodule
`default_nettype wire
