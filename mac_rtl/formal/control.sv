// SPDX-License-Identifier: MIT
// scripts/formal.sh: a core answers exactly LATENCY clocks after each beat with `last`, whatever the
// bubbles and resets: nothing lost or invented. The timing does not depend on the lanes beyond what
// LATENCY says, so few are enough. Not part of a unit.
`default_nettype none
module control #(
    parameter int LATENCY = 4
) (
    input logic                   clk_i,
    input logic                   rst_ni,
    input logic                   valid_i,
    input logic                   first_i,
    input logic                   last_i,
    input logic [8*`SCALES-1:0]   a_scale_i,
    input logic [8*`SCALES-1:0]   w_scale_i,
    input logic [4*`LANES-1:0]    a_codes_i,
    input logic [4*`LANES-1:0]    w_codes_i
);
  logic valid;
  `CORE #(.LANES(`LANES)) i_core (
      .clk_i,
      .rst_ni,
      .valid_i,
      .first_i,
      .last_i,
      .a_scale_i,
      .w_scale_i,
      .a_codes_i,
      .w_codes_i,
      .valid_o(valid)
  );
  logic [LATENCY-1:0] history;
  logic started_q = 1'b0;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    history <= {history[LATENCY-2:0], valid_i & last_i} & {LATENCY{rst_ni}};
  end
  always_comb begin
    if (!started_q) assume (!rst_ni);
    if (started_q) assert (valid == history[LATENCY-1]);
  end
endmodule
`default_nettype wire
