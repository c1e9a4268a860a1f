// SPDX-License-Identifier: MIT
// acc_i + the sum of waiting_i[k] * 2^(k * SEGMENT), modulo 2^ACC_W: adds the carries that wait
// between the segments of lowbit_accumulate.
`default_nettype none
module lowbit_resolve #(
    parameter int ACC_W = 72,
    parameter int SEGMENT = 18,
    localparam int SEGMENTS = ACC_W > SEGMENT ? ACC_W / SEGMENT : 1
) (
    input  logic [   ACC_W-1:0] acc_i,
    input  logic [SEGMENTS-1:0] waiting_i,
    output logic [   ACC_W-1:0] acc_o
);
`ifdef LOWBIT_STRUCTURAL
  // Both the waiting carry and one that ripples up may enter a segment, but at most one leaves it.
  // A carry leaves where all bits but the lowest are set, and two of {lowest, waiting, rippling}.
  logic [SEGMENTS:0] ripple  /*verilator split_var*/;
  assign ripple[0] = 1'b0;
  for (genvar k = 0; k < SEGMENTS; k++) begin : g_segment
    localparam int LOW = k * SEGMENT;
    localparam int BITS = k == SEGMENTS - 1 ? ACC_W - LOW : SEGMENT;  // the last takes what is left
    logic [BITS-1:0] x, inward;
    logic all, into;
    assign x = acc_i[LOW+:BITS];
    assign all = &x[BITS-1:1];
    assign ripple[k+1] = all & ((x[0] & waiting_i[k]) | ((x[0] | waiting_i[k]) & ripple[k]));
    assign into = (x[0] & waiting_i[k]) | ((x[0] | waiting_i[k]) & ripple[k]);
    always_comb begin
      logic carry;
      carry = into;
      inward[0] = waiting_i[k] ^ ripple[k];
      for (int i = 1; i < BITS; i++) begin
        inward[i] = carry;
        carry = carry & x[i];
      end
    end
    assign acc_o[LOW+:BITS] = x ^ inward;
  end
  logic unused;
  assign unused = ripple[SEGMENTS];
`else
  logic [ACC_W-1:0] waiting;
  for (genvar k = 0; k < SEGMENTS; k++) begin : g_segment
    localparam int LOW = k * SEGMENT;
    localparam int BITS = k == SEGMENTS - 1 ? ACC_W - LOW : SEGMENT;  // the last takes what is left
    assign waiting[LOW+:BITS] = BITS'(waiting_i[k]);
  end
  assign acc_o = acc_i + waiting;
`endif
endmodule
`default_nettype wire
