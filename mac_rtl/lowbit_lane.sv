// SPDX-License-Identifier: MIT
// One lane: the signed product of two elements, in units of 2^(2 * unit_exponent), as
//   product = row_o - 2^PROD_W + increment_o,   row_o = {~negative, |product| ^ negative}
// so that no row needs sign extension and none an adder of its own for the two's complement.
`default_nettype none
module lowbit_lane #(
    parameter int FORMAT = lowbit_formats::IF4,
    parameter bit INT_EN = 1'b1,
    localparam int BITS = lowbit_formats::element_bits(FORMAT),
    localparam int PROD_W = lowbit_formats::product_bits(FORMAT)
) (
    input  logic [BITS-1:0] a_i,
    input  logic [BITS-1:0] w_i,
    input  logic            a_integer_i,
    input  logic            w_integer_i,
    output logic [PROD_W:0] row_o,
    output logic            increment_o,
    output logic            special_o
);
  localparam int SIG_W = lowbit_formats::significand_bits(FORMAT, INT_EN);
  localparam int SHIFT_W = lowbit_formats::shift_bits(FORMAT, INT_EN);

  if (lowbit_formats::exponent_bits(FORMAT) == 0 && lowbit_formats::integer_is_sign_magnitude(FORMAT) == 0)
  begin : g_integer
    // Two's complement integers alone need neither decoder nor sign.
    logic [PROD_W:0] product;
    logic unused;
    assign unused = a_integer_i | w_integer_i;
    assign product = {{PROD_W + 1 - BITS{a_i[BITS-1]}}, a_i} * {{PROD_W + 1 - BITS{w_i[BITS-1]}}, w_i};
    assign row_o = {~product[PROD_W], product[PROD_W-1:0]};
    assign increment_o = 1'b0;
    assign special_o = 1'b0;
  end else begin : g_sign_magnitude
    logic a_sign, w_sign, a_special, w_special, negative;
    logic [SIG_W-1:0] a_significand, w_significand;
    logic [SHIFT_W-1:0] a_shift, w_shift;
    logic [2*SIG_W-1:0] product;
    lowbit_decode #(
        .FORMAT(FORMAT),
        .INT_EN(INT_EN)
    ) u_decode_a (
        .code_i(a_i),
        .integer_i(a_integer_i),
        .sign_o(a_sign),
        .significand_o(a_significand),
        .shift_o(a_shift),
        .special_o(a_special)
    );
    lowbit_decode #(
        .FORMAT(FORMAT),
        .INT_EN(INT_EN)
    ) u_decode_w (
        .code_i(w_i),
        .integer_i(w_integer_i),
        .sign_o(w_sign),
        .significand_o(w_significand),
        .shift_o(w_shift),
        .special_o(w_special)
    );
    assign negative = a_sign ^ w_sign;
    assign product = {{SIG_W{1'b0}}, a_significand} * {{SIG_W{1'b0}}, w_significand};

    // Shift by a_shift + w_shift with the sign coming in at both ends: the exclusive or of the short
    // product is cheaper than that of the shifted one.
    if (SHIFT_W == 1) begin : g_two_steps
      logic [PROD_W-1:0] signed_product, once;
      assign signed_product = PROD_W'(product) ^ {PROD_W{negative}};
      assign once = a_shift[0] ? {signed_product[PROD_W-2:0], negative} : signed_product;
      assign row_o = {~negative, w_shift[0] ? {once[PROD_W-2:0], negative} : once};
    end else begin : g_sum
      logic [SHIFT_W:0] total;
      logic [PROD_W-1:0] step;
      assign total = {1'b0, a_shift} + {1'b0, w_shift};
      always_comb begin
        step = PROD_W'(product) ^ {PROD_W{negative}};
        for (int s = 0; s <= SHIFT_W; s++) begin
          if (total[s]) begin
            step = (step << (1 << s)) | ({PROD_W{negative}} & ~({PROD_W{1'b1}} << (1 << s)));
          end
        end
      end
      assign row_o = {~negative, step};
    end
    assign increment_o = negative;
    assign special_o = a_special | w_special;
  end
endmodule
`default_nettype wire
