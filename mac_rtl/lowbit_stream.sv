// SPDX-License-Identifier: MIT
// Valid/ready on both sides of a free-running pipeline of unknown, fixed latency.
//
// A result needs room before its last beat may enter: `pending_q` counts the segments that ended
// at the input and have not left at the output, and the input closes while it equals DEPTH. So the
// FIFO can never overflow, the pipeline never stalls, and no combinational path crosses the module.
//
//   in_* -> operand register -> core_* ... pipeline ... result_* -> FIFO -> out_*
`default_nettype none
module lowbit_stream #(
    parameter int OPERAND_W = 8,  // scales and codes of both operands, concatenated
    parameter int RESULT_W = 32,
    parameter int DEPTH = 16      // results under way or waiting; a power of two
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 in_valid_i,
    output logic                 in_ready_o,
    input  logic                 in_first_i,
    input  logic                 in_last_i,
    input  logic [OPERAND_W-1:0] in_operands_i,
    output logic                 core_valid_o,
    output logic                 core_first_o,
    output logic                 core_last_o,
    output logic [OPERAND_W-1:0] core_operands_o,
    input  logic                 result_valid_i,
    input  logic [RESULT_W-1:0]  result_i,
    output logic                 out_valid_o,
    input  logic                 out_ready_i,
    output logic [RESULT_W-1:0]  out_result_o
);
  localparam int PTR_W = $clog2(DEPTH);

  logic [PTR_W:0]      pending_q;
  logic                open_q;  // a segment has begun and not ended
  logic                taken;
  logic                ended;
  logic                given;
  logic [PTR_W:0]      write_q;
  logic [PTR_W:0]      read_q;
  logic [RESULT_W-1:0] fifo_q [DEPTH];

  assign in_ready_o   = pending_q != (PTR_W + 1)'(DEPTH);
  assign taken        = in_valid_i & in_ready_o;
  assign ended        = taken & in_last_i;
  assign out_valid_o  = write_q != read_q;
  assign given        = out_valid_o & out_ready_i;
  assign out_result_o = fifo_q[read_q[PTR_W-1:0]];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      pending_q    <= '0;
      open_q       <= 1'b0;
      core_valid_o <= 1'b0;
      write_q      <= '0;
      read_q       <= '0;
    end else begin
      core_valid_o <= taken;
      if (taken) open_q <= ~in_last_i;
      pending_q <= pending_q + (PTR_W + 1)'(ended) - (PTR_W + 1)'(given);
      if (result_valid_i) write_q <= write_q + 1'b1;
      if (given) read_q <= read_q + 1'b1;
    end
  end

  // Data needs no reset: the valid bits say whether it means anything.
  always_ff @(posedge clk_i) begin
    if (taken) begin
      core_first_o    <= in_first_i | ~open_q;
      core_last_o     <= in_last_i;
      core_operands_o <= in_operands_i;
    end
  end
  always_ff @(posedge clk_i) begin
    if (result_valid_i) fifo_q[write_q[PTR_W-1:0]] <= result_i;
  end
endmodule
`default_nettype wire
