// SPDX-License-Identifier: MIT
// Output-stationary array of exact MAC units: unit (r, c) owns one output of a ROWS x COLS tile. A
// beat of every row and column is presented at the edge in one clock; it reaches unit (r, c) r + c
// clocks later (skew registers at the edge, one register a hop). The results of a row leave one a
// clock, column 0 first: row r's result of column c in clock LATENCY + 1 + r + c after the edge beat
// with last_i. Tiles must start at least COLS clocks apart.
`default_nettype none
module lowbit_array_os #(
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
    input  logic                  valid_i,
    input  logic                  first_i,
    input  logic                  last_i,
    input  logic [ ROWS*BEAT-1:0] a_i,      // row r: {codes, scale byte} from bit r * BEAT
    input  logic [ COLS*BEAT-1:0] w_i,
    output logic [      ROWS-1:0] valid_o,
    output logic [ROWS*ACC_W-1:0] acc_o
);
  localparam int EDGE = BEAT + 3;  // valid, first, last travel with the row's operand
  logic [ROWS*(COLS+1)*EDGE-1:0] a_bus;
  logic [(ROWS+1)*COLS*BEAT-1:0] w_bus;
  logic [ROWS*COLS-1:0] valid;
  logic [ROWS*COLS*ACC_W-1:0] acc;

  for (genvar c = 0; c < COLS; c++) begin : g_top
    lowbit_delay #(
        .W(BEAT),
        .N(c)
    ) u_skew (
        .clk_i,
        .data_i(w_i[c*BEAT+:BEAT]),
        .data_o(w_bus[c*BEAT+:BEAT])
    );
  end
  for (genvar r = 0; r < ROWS; r++) begin : g_row
    logic [2:0] control;
    assign control = {valid_i & rst_ni, first_i, last_i};
    lowbit_delay #(
        .W(EDGE),
        .N(r)
    ) u_skew (
        .clk_i,
        .data_i({control, a_i[r*BEAT+:BEAT]}),
        .data_o(a_bus[r*(COLS+1)*EDGE+:EDGE])
    );
    for (genvar c = 0; c < COLS; c++) begin : g_unit
      logic [EDGE-1:0] left;
      logic [BEAT-1:0] top;
      logic [1:0] flags;
      logic unused;
      assign left = a_bus[(r*(COLS+1)+c)*EDGE+:EDGE];
      assign top = w_bus[(r*COLS+c)*BEAT+:BEAT];
      assign unused = |flags;
      lowbit_mac_exact_core #(
          .FORMAT(FORMAT),
          .LANES(LANES),
          .ACC_W(ACC_W)
      ) u_mac (
          .clk_i,
          .rst_ni,
          .valid_i(left[EDGE-1]),
          .first_i(left[EDGE-2]),
          .last_i(left[EDGE-3]),
          .a_scale_i(left[7:0]),
          .w_scale_i(top[7:0]),
          .a_codes_i(left[BEAT-1:8]),
          .w_codes_i(top[BEAT-1:8]),
          .valid_o(valid[r*COLS+c]),
          .acc_o(acc[(r*COLS+c)*ACC_W+:ACC_W]),
          .flags_o(flags)
      );
      lowbit_delay #(
          .W(EDGE)
      ) u_right (
          .clk_i,
          .data_i(left),
          .data_o(a_bus[(r*(COLS+1)+c+1)*EDGE+:EDGE])
      );
      lowbit_delay #(
          .W(BEAT)
      ) u_down (
          .clk_i,
          .data_i(top),
          .data_o(w_bus[((r+1)*COLS+c)*BEAT+:BEAT])
      );
    end

    // At most one unit of a row has a result in one clock, so the port is an OR.
    logic [ACC_W-1:0] selected;
    always_comb begin
      selected = '0;
      for (int c = 0; c < COLS; c++) begin
        selected = selected | (acc[(r*COLS+c)*ACC_W+:ACC_W] & {ACC_W{valid[r*COLS+c]}});
      end
    end
    always_ff @(posedge clk_i) begin
      valid_o[r] <= |valid[r*COLS+:COLS];
      acc_o[r*ACC_W+:ACC_W] <= selected;
    end
  end
  // What leaves at the far edges goes nowhere.
  logic [ROWS*EDGE-1:0] a_end;
  for (genvar r = 0; r < ROWS; r++) begin : g_end
    assign a_end[r*EDGE+:EDGE] = a_bus[(r*(COLS+1)+COLS)*EDGE+:EDGE];
  end
  logic unused_ends;
  assign unused_ends = (|a_end) | (|w_bus[ROWS*COLS*BEAT+:COLS*BEAT]);
endmodule
`default_nettype wire
