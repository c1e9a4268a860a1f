// SPDX-License-Identifier: MIT
// Exact signed sum of the lanes' products: SUM_W = product_bits + log2(LANES) + 1 bits never
// overflow. Purely combinational.
`default_nettype none
module lowbit_block_sum #(
    parameter int FORMAT = 13,
    parameter bit INT_EN = 1'b1,
    parameter int LANES = 16,
    localparam int BITS = lowbit_formats::element_bits(FORMAT),
    localparam int PROD_W = lowbit_formats::product_bits(FORMAT),
    localparam int SUM_W = lowbit_formats::product_bits(FORMAT) + $clog2(LANES) + 1
) (
    input  logic [BITS*LANES-1:0] a_codes_i,
    input  logic [BITS*LANES-1:0] w_codes_i,
    input  logic                  a_integer_i,
    input  logic                  w_integer_i,
    output logic [     SUM_W-1:0] sum_o,
    output logic                  special_o
);
  logic [PROD_W*LANES-1:0] product;
  logic [LANES-1:0] negative;
  logic [LANES-1:0] special;
  for (genvar l = 0; l < LANES; l++) begin : g_lane
    lowbit_lane #(
        .FORMAT(FORMAT),
        .INT_EN(INT_EN)
    ) u_lane (
        .a_i(a_codes_i[BITS*l+:BITS]),
        .w_i(w_codes_i[BITS*l+:BITS]),
        .a_integer_i,
        .w_integer_i,
        .negative_o(negative[l]),
        .product_o(product[PROD_W*l+:PROD_W]),
        .special_o(special[l])
    );
  end
  assign special_o = |special;

  // -p = ~p + 1, and the sign bits of all rows, -2^PROD_W where negative, are 2^PROD_W where not
  // and one constant -LANES * 2^PROD_W: no row needs sign extension.
  localparam logic [SUM_W-1:0] SIGN_EXTENSION = -(SUM_W'(LANES) << PROD_W);
  always_comb begin
    sum_o = SIGN_EXTENSION;
    for (int l = 0; l < LANES; l++) begin
      sum_o = sum_o + SUM_W'({~negative[l], product[PROD_W*l+:PROD_W] ^ {PROD_W{negative[l]}}})
            + SUM_W'(negative[l]);
    end
  end
endmodule
`default_nettype wire
