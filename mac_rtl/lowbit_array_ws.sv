// SPDX-License-Identifier: MIT
// Weight-stationary array of exact MAC units: unit (r, c) holds one block of weights and multiplies
// it with the blocks of A that pass along its row; exact partial sums go down the columns, one unit
// a clock. A row of A is presented at the edge as ROWS blocks in one clock; the sum of column c
// leaves in clock ROWS + c + LATENCY after it.
//
// Weights come in from the top of all columns, the last row's first, ROWS clocks with load_i, into
// shadow registers; the units take them over with the beat that has swap_i. The shadow registers
// must not move for ROWS + COLS - 1 clocks from then.
`default_nettype none
module lowbit_array_ws #(
    parameter int FORMAT = lowbit_formats::IF4,
    parameter int ROWS = 4,
    parameter int COLS = 4,
    parameter int LANES = 16,
    parameter int ACC_W = 72,
    localparam int BITS = lowbit_formats::element_bits(FORMAT),
    localparam int BEAT = 8 + LANES * BITS
) (
    input  logic                  clk_i,
    input  logic                  rst_ni,
    input  logic                  load_i,
    input  logic [ COLS*BEAT-1:0] w_i,
    input  logic                  valid_i,
    input  logic                  swap_i,
    input  logic [ ROWS*BEAT-1:0] a_i,      // row r: {codes, scale byte} from bit r * BEAT
    output logic [      COLS-1:0] valid_o,
    output logic [COLS*ACC_W-1:0] acc_o
);
  localparam int EDGE = BEAT + 2;
  logic [ROWS*(COLS+1)*EDGE-1:0] a_bus;
  logic [(ROWS+1)*COLS*BEAT-1:0] shadow;
  logic [(ROWS+1)*COLS*ACC_W-1:0] partial;
  assign shadow[COLS*BEAT-1:0] = w_i;
  assign partial[COLS*ACC_W-1:0] = '0;
  logic [ROWS*COLS-1:0] valid;

  for (genvar r = 0; r < ROWS; r++) begin : g_row
    lowbit_delay #(
        .W(EDGE),
        .N(r)
    ) u_skew (
        .clk_i,
        .data_i({valid_i & rst_ni, swap_i, a_i[r*BEAT+:BEAT]}),
        .data_o(a_bus[r*(COLS+1)*EDGE+:EDGE])
    );
    for (genvar c = 0; c < COLS; c++) begin : g_unit
      logic [EDGE-1:0] left;
      logic [BEAT-1:0] above, waiting, held, weight;
      logic [ACC_W-1:0] acc, partial_above, sum;
      logic [1:0] flags;
      logic unused;
      assign left = a_bus[(r*(COLS+1)+c)*EDGE+:EDGE];
      assign above = shadow[(r*COLS+c)*BEAT+:BEAT];
      assign shadow[((r+1)*COLS+c)*BEAT+:BEAT] = waiting;
      assign partial_above = partial[(r*COLS+c)*ACC_W+:ACC_W];
      assign partial[((r+1)*COLS+c)*ACC_W+:ACC_W] = sum;
      // The beat that brings the swap uses the new weights already.
      assign weight = left[EDGE-1] & left[EDGE-2] ? waiting : held;
      assign unused = |flags;
      lowbit_mac_exact_core #(
          .FORMAT(FORMAT),
          .LANES(LANES),
          .ACC_W(ACC_W)
      ) u_mac (
          .clk_i,
          .rst_ni,
          .valid_i(left[EDGE-1]),
          .first_i(1'b1),
          .last_i(1'b1),
          .a_scale_i(left[7:0]),
          .w_scale_i(weight[7:0]),
          .a_codes_i(left[BEAT-1:8]),
          .w_codes_i(weight[BEAT-1:8]),
          .valid_o(valid[r*COLS+c]),
          .acc_o(acc),
          .flags_o(flags)
      );
      always_ff @(posedge clk_i) begin
        held <= weight;
        if (load_i) waiting <= above;
        sum <= partial_above + acc;
      end
      lowbit_delay #(
          .W(EDGE)
      ) u_right (
          .clk_i,
          .data_i(left),
          .data_o(a_bus[(r*(COLS+1)+c+1)*EDGE+:EDGE])
      );
    end
  end

  always_ff @(posedge clk_i) valid_o <= valid[(ROWS-1)*COLS+:COLS];
  assign acc_o = partial[ROWS*COLS*ACC_W+:COLS*ACC_W];

  logic [ROWS*EDGE-1:0] a_end;
  for (genvar r = 0; r < ROWS; r++) begin : g_end
    assign a_end[r*EDGE+:EDGE] = a_bus[(r*(COLS+1)+COLS)*EDGE+:EDGE];
  end
  logic unused_ends;
  assign unused_ends = (|a_end) | (|valid) | (|shadow[ROWS*COLS*BEAT+:COLS*BEAT]);
endmodule
`default_nettype wire
