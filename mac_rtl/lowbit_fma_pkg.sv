// SPDX-License-Identifier: MIT
// FP32 fused multiply-add with BF16 factors: a * b + c with one rounding to nearest even, subnormals
// as IEEE 754 has them. Every NaN result is 7FC00000.
//
// The product is exact in 16 bits. Sum of 68 bits and one for all that is below:
//   c (24) | 2 | product (16) | 26
// c is shifted right from the top. Where it would have to go left, the product is so small that it
// only decides the direction of a rounding: it stays where it is, at most a quarter of c's last
// place. 26 places below the product hold what a rounding of it needs.
`default_nettype none
package lowbit_fma_pkg;

  localparam logic [31:0] QuietNan = 32'h7FC0_0000;

  function automatic logic [31:0] fma(input logic [15:0] a, input logic [15:0] b,
                                      input logic [31:0] c);
    logic [15:0] product;
    logic        sign;
    logic [10:0] at;        // two's complement: place of the sum's bit 0, plus 400
    logic [10:0] right;     // by which c goes right from the top
    logic [7:0]  a_e;
    logic [7:0]  b_e;
    logic [7:0]  c_e;
    logic [92:0] placed;
    logic [68:0] addend;
    logic [68:0] other;
    logic [69:0] sum;
    logic [68:0] m;
    logic [10:0] field;     // two's complement: exponent field were bit 68 the leading one
    logic [6:0]  zeros;
    logic        up;
    logic        negative;
    logic [31:0] result;
    begin
      sign    = a[15] ^ b[15];
      product = {8'd0, a[14:7] != 8'd0, a[6:0]} * {8'd0, b[14:7] != 8'd0, b[6:0]};
      // Subnormals have the exponent of field 1.
      a_e = a[14:7] | {7'd0, a[14:7] == 8'd0};
      b_e = b[14:7] | {7'd0, b[14:7] == 8'd0};
      c_e = c[30:23] | {7'd0, c[30:23] == 8'd0};
      // Bit 0 of the product weighs 2^(a_e + b_e - 268), of c 2^(c_e - 150), 44 places up in the sum.
      at    = {3'd0, a_e} + {3'd0, b_e} + 11'd106;  // - 268 - 26 + 400
      right = at + 11'd44 - {3'd0, c_e} - 11'd250;  // - (-150 + 400)
      if (right[10]) begin
        right = 11'd0;
        at    = {3'd0, c_e} + 11'd206;
      end
      placed = {c[30:23] != 8'd0, c[22:0], 69'd0} >> ((right > 11'd69) ? 7'd69 : right[6:0]);
      addend = {placed[92:25], placed[24:0] != 25'd0};
      other  = {26'd0, product, 27'd0};
      negative = c[31];
      if (sign == c[31]) sum = {1'b0, addend} + {1'b0, other};
      else sum = {1'b0, addend} - {1'b0, other};
      if (sign != c[31] && sum[69]) begin
        sum      = -sum;
        negative = sign;
      end
      // A carry out of the top needs c and the product in one place: there are two zeros between.
      m     = sum[68:0];
      field = at - 11'd400 + 11'd194;  // of bit 68: 2^(at - 400 + 67)
      zeros = 7'd0;
      for (int i = 0; i < 69; i++) if (m[i]) zeros = 7'd68 - 7'(i);
      if (field[10] || field == 11'd0) begin
        // Subnormal whatever the sum: right, by 1 - field.
        field = 11'd1 - field;
        zeros = (field > 11'd69) ? 7'd69 : field[6:0];
        m     = m >> zeros;
        field = 11'd0;
      end else begin
        // Normalising stops at field 1: what is left then is subnormal, and exact.
        if ({4'd0, zeros} >= field) begin
          m     = m << (field[6:0] - 7'd1);
          field = 11'd0;
        end else begin
          m     = m << zeros;
          field = field - {4'd0, zeros};
        end
      end
      // What a subnormal loses on its way right cannot decide: c is a multiple of 2^-149, so round bit and all below
      // it are the product's, 16 bits in one piece.
      up     = m[44] & (m[45] | (m[43:0] != 44'd0));
      // A carry out of the significand steps the field, into the normal numbers and up to infinity.
      result = {negative, field[7:0], m[67:45]} + {31'd0, up};
      if (field >= 11'd255 || result[30:23] == 8'hFF) result = {negative, 8'hFF, 23'd0};
      if (sum == '0) result = {c[31] & sign, 31'd0};
      if (product == 16'd0 && c[30:0] != 31'd0) result = c;
      if (a[14:7] == 8'hFF || b[14:7] == 8'hFF || c[30:23] == 8'hFF) begin
        if ((a[14:7] == 8'hFF && a[6:0] != 7'd0) || (b[14:7] == 8'hFF && b[6:0] != 7'd0) ||
            (c[30:23] == 8'hFF && c[22:0] != 23'd0)) result = QuietNan;
        else if (a[14:7] == 8'hFF || b[14:7] == 8'hFF) begin
          if (product == 16'd0 || (c[30:23] == 8'hFF && c[31] != sign)) result = QuietNan;
          else result = {sign, 8'hFF, 23'd0};
        end else result = c;
      end
      fma = result;
    end
  endfunction

endpackage
`default_nettype wire
