// SPDX-License-Identifier: MIT
// Spliced into lowbit_accumulate before its `endmodule` by scripts/formal.sh: whatever entered, the
// segmented accumulator with its waiting carries is the plain sum modulo 2^ACC_W.
  logic [ACC_W-1:0] plain_q = '0;
  logic started_q = 1'b0;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    plain_q <= (first_i ? '0 : plain_q) + addend;
  end
  always_comb begin
    if (!started_q) assume (first_i);
    if (started_q) begin
      assume (done_i);  // in other clocks acc_o means nothing
      assert (acc_o == plain_q);
    end
  end
