// SPDX-License-Identifier: MIT
// Sum of ROWS words of W bits and ROWS bits, modulo 2^W: rows of full adders until two words are
// left, then one adder. Rows are taken from a queue (three off its head, sum and carry to its tail),
// which makes a tree of the least depth; the bits to add enter where the carries leave room.
// Combinational, or with PIPELINE a register behind the first LEVELS levels of the tree, each of which
// leaves two rows of three: fewer flip-flops than in front of it, for a longer path there.
`default_nettype none
module lowbit_row_sum #(
    parameter int ROWS = 16,
    parameter int W = 13,
    parameter int PIPELINE = 0,
    /* verilator lint_off UNUSEDPARAM */
    parameter int LEVELS = 0  // the behavioural sum has no levels
    /* verilator lint_on UNUSEDPARAM */
) (
    input  logic              clk_i,
    input  logic [ROWS*W-1:0] rows_i,
    input  logic [  ROWS-1:0] bits_i,
    output logic [     W-1:0] sum_o
);
  logic [ROWS-1:0] late_bits;
  if (PIPELINE != 0) begin : g_late_bits
    always_ff @(posedge clk_i) late_bits <= bits_i;
  end else begin : g_bits
    logic unused;
    assign unused = clk_i;
    assign late_bits = bits_i;
  end
`ifdef LOWBIT_STRUCTURAL
  // Savers of the first LEVELS levels where `first` rows are at the start.
  function automatic int savers(input int first);
    int left;
    begin
      left = first;
      savers = 0;
      for (int i = 0; i < LEVELS; i++) begin
        savers = savers + left / 3;
        left = left - left / 3;
      end
    end
  endfunction
  if (ROWS == 1) begin : g_one
    logic [W-1:0] late_row;
    if (PIPELINE != 0) begin : g_late_row
      always_ff @(posedge clk_i) late_row <= rows_i;
    end else begin : g_row
      assign late_row = rows_i;
    end
    assign sum_o = late_row + W'(late_bits);
  end else begin : g_tree
    // ROWS - 2 carries have a free last place, the final adder a carry in; the last bit comes as a
    // row of its own.
    localparam int ALL = ROWS + 1;
    localparam int SAVERS = ALL - 2;
    // Behind BEFORE savers the queue holds ALL - BEFORE rows from 3 * BEFORE on. Registered they follow, and shift all
    // that comes later.
    localparam int BEFORE = savers(ALL);
    localparam int HELD = PIPELINE != 0 ? ALL - BEFORE : 0;
    logic [W-1:0] row[ALL+2*SAVERS+HELD];
    for (genvar r = 0; r < HELD; r++) begin : g_held
      lowbit_delay #(
          .W(W)
      ) u_register (
          .clk_i,
          .data_i(row[3*BEFORE+r]),
          .data_o(row[ALL+2*BEFORE+r])
      );
    end
    for (genvar r = 0; r < ROWS; r++) begin : g_row
      assign row[r+1] = rows_i[W*r+:W];
    end
    assign row[0] = W'(bits_i[ROWS-1]);
    for (genvar k = 0; k < SAVERS; k++) begin : g_saver
      localparam int SHIFT = k >= BEFORE ? HELD : 0;
      logic [W-1:0] carry;
      logic unused;
      lowbit_carry_save #(
          .W(W)
      ) u_saver (
          .a_i(row[3*k+SHIFT]),
          .b_i(row[3*k+1+SHIFT]),
          .c_i(row[3*k+2+SHIFT]),
          .s_o(row[ALL+2*k+SHIFT]),
          .carry_o(carry)
      );
      assign row[ALL+2*k+1+SHIFT] = {carry[W-2:0], k < BEFORE ? bits_i[k] : late_bits[k]};
      assign unused = carry[W-1];
    end
    logic carry_out, final_bit;
    assign final_bit = 1'b0;
    lowbit_add #(
        .W(W)
    ) u_add (
        .a_i(row[ALL+2*SAVERS-2+HELD]),
        .b_i(row[ALL+2*SAVERS-1+HELD]),
        .c_i(final_bit),
        .s_o(sum_o),
        .c_o(carry_out)
    );
    logic unused;
    assign unused = carry_out ^ (^late_bits);
  end
`else
  logic [ROWS*W-1:0] late_rows;
  if (PIPELINE != 0) begin : g_late_rows
    always_ff @(posedge clk_i) late_rows <= rows_i;
  end else begin : g_rows
    assign late_rows = rows_i;
  end
  always_comb begin
    sum_o = '0;
    for (int r = 0; r < ROWS; r++) sum_o = sum_o + late_rows[W*r+:W] + W'(late_bits[r]);
  end
`endif
endmodule
`default_nettype wire
