// SPDX-License-Identifier: MIT
// W bits, N clocks later. Data: no reset, N = 0 is a wire.
`default_nettype none
module lowbit_delay #(
    parameter int W = 1,
    parameter int N = 1
) (
    input  logic         clk_i,
    input  logic [W-1:0] data_i,
    output logic [W-1:0] data_o
);
  if (N == 0) begin : g_wire
    logic unused;
    assign unused = clk_i;
    assign data_o = data_i;
  end else begin : g_registers
    logic [N*W-1:0] stages;
    if (N == 1) begin : g_one
      always_ff @(posedge clk_i) stages <= data_i;
    end else begin : g_many
      always_ff @(posedge clk_i) stages <= {stages[(N-1)*W-1:0], data_i};
    end
    assign data_o = stages[N*W-1:(N-1)*W];
  end
endmodule
`default_nettype wire
