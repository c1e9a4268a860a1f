// SPDX-License-Identifier: MIT
// Signed times unsigned, modulo 2^P_W: the block sum times the product of the scale significands.
// With LOWBIT_STRUCTURAL one row of full adders a multiplier bit, then one adder.
`default_nettype none
module lowbit_multiply #(
    parameter int A_W = 13,
    parameter int B_W = 8,
    parameter int P_W = 20
) (
    input  logic [A_W-1:0] a_i,  // signed
    input  logic [B_W-1:0] b_i,  // unsigned
    output logic [P_W-1:0] p_o
);
`ifdef LOWBIT_STRUCTURAL
  // The sign bits weigh -2^(A_W-1+j): written as ~x - 1 each, the constants add up to
  // -2^(A_W-1) * (2^B_W - 1) = 2^(A_W-1) - 2^(A_W+B_W-1). Row 0 takes the first in, ~x + 1 being x
  // with a carry of ~x; the second inverts the top bit, where P_W has it.
  logic [P_W*B_W-1:0] rows;
  logic [P_W-1:0] sum;
  for (genvar j = 0; j < B_W; j++) begin : g_row
    logic [A_W-1:0] partial;
    assign partial = a_i & {A_W{b_i[j]}};
    if (j == 0) begin : g_first
      assign rows[P_W*j+:P_W] = P_W'({~partial[A_W-1], partial});
    end else begin : g_other
      assign rows[P_W*j+:P_W] = P_W'({~partial[A_W-1], partial[A_W-2:0]}) << j;
    end
  end
  lowbit_row_sum #(
      .ROWS(B_W),
      .W(P_W)
  ) u_sum (
      .clk_i(1'b0),
      .rows_i(rows),
      .bits_i({B_W{1'b0}}),
      .sum_o(sum)
  );
  if (P_W == A_W + B_W) begin : g_top
    assign p_o = {~sum[P_W-1], sum[P_W-2:0]};
  end else begin : g_no_top
    assign p_o = sum;
  end
`else
  assign p_o = P_W'($signed(a_i)) * P_W'(b_i);
`endif
endmodule
`default_nettype wire
