// SPDX-License-Identifier: MIT
// Exact signed sum of the lanes' products: SUM_W = product_bits + log2(LANES) + 1 bits never
// overflow. Combinational, or with PIPELINE a register between the lanes and their sum, or behind the first
// LEVELS levels of the sum.
`default_nettype none
module lowbit_block_sum #(
    parameter int FORMAT = lowbit_formats::IF4,
    parameter bit INT_EN = 1'b1,
    parameter int LANES = 16,
    parameter int PIPELINE = 0,
    parameter int LEVELS = 0,
    localparam int BITS = lowbit_formats::element_bits(FORMAT),
    localparam int PROD_W = lowbit_formats::product_bits(FORMAT),
    localparam int SUM_W = PROD_W + $clog2(LANES) + 1
) (
    input  logic                  clk_i,
    input  logic [BITS*LANES-1:0] a_codes_i,
    input  logic [BITS*LANES-1:0] w_codes_i,
    input  logic                  a_integer_i,
    input  logic                  w_integer_i,
    output logic [     SUM_W-1:0] sum_o,
    output logic                  special_o
);
  logic [SUM_W*LANES-1:0] rows;
  logic [LANES-1:0] increments, special;
  logic special_now;
  logic [SUM_W-1:0] sum;
  for (genvar l = 0; l < LANES; l++) begin : g_lane
    logic [PROD_W:0] row, row_q;
    logic increment;
    lowbit_lane #(
        .FORMAT(FORMAT),
        .INT_EN(INT_EN)
    ) u_lane (
        .a_i(a_codes_i[BITS*l+:BITS]),
        .w_i(w_codes_i[BITS*l+:BITS]),
        .a_integer_i,
        .w_integer_i,
        .row_o(row),
        .increment_o(increment),
        .special_o(special[l])
    );
    lowbit_delay #(
        .W(PROD_W + 2),
        .N(LEVELS == 0 ? PIPELINE : 0)
    ) u_register (
        .clk_i,
        .data_i({increment, row}),
        .data_o({increments[l], row_q})
    );
    assign rows[SUM_W*l+:SUM_W] = SUM_W'(row_q);
  end
  assign special_now = |special;
  lowbit_delay #(
      .N(PIPELINE)
  ) u_special (
      .clk_i,
      .data_i(special_now),
      .data_o(special_o)
  );

  lowbit_row_sum #(
      .ROWS(LANES),
      .W(SUM_W),
      .PIPELINE(LEVELS == 0 ? 0 : PIPELINE),
      .LEVELS(LEVELS)
  ) u_sum (
      .clk_i,
      .rows_i(rows),
      .bits_i(increments),
      .sum_o(sum)
  );
  // The rows' -2^PROD_W add up to -LANES * 2^PROD_W = 2^(SUM_W-1) modulo 2^SUM_W: one inverter.
  assign sum_o = {~sum[SUM_W-1], sum[SUM_W-2:0]};
endmodule
`default_nettype wire
