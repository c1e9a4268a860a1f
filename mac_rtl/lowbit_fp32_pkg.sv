// SPDX-License-Identifier: MIT
// IEEE 754 binary32 addition and multiplication, round to nearest even, as functions, so that a
// clocked block can call them under its enable.
//
// `subnormals` = 1: full IEEE. `subnormals` = 0: subnormal operands read as zero of their sign, and
// a result that is subnormal after rounding is zero of its sign (x86's DAZ and FTZ). Every NaN
// result is 7FC00000. lowbit_fp32_add.sv and lowbit_fp32_mul.sv are the modules.
`default_nettype none
package lowbit_fp32_pkg;

  localparam logic [31:0] QuietNan = 32'h7FC0_0000;

  // Three bits below the last place (guard, round, sticky) suffice for one rounding of a sum.
  function automatic logic [31:0] add(input logic [31:0] x, input logic [31:0] y,
                                      input logic subnormals);
    logic [31:0] high;
    logic [31:0] low;
    logic [26:0] high_m;
    logic [26:0] low_m;
    logic [7:0]  high_e;
    logic [7:0]  low_e;
    logic [7:0]  distance;
    logic [53:0] aligned;
    logic [27:0] sum;
    logic [4:0]  zeros;
    logic [4:0]  shift;
    logic [7:0]  e;
    logic        up;
    logic [31:0] result;
    begin
      high     = (x[30:0] >= y[30:0]) ? x : y;
      low   = (x[30:0] >= y[30:0]) ? y : x;
      high_m   = {high[30:23] != 8'd0, (high[30:23] == 8'd0 && !subnormals) ? 23'd0 : high[22:0], 3'd0};
      low_m = {low[30:23] != 8'd0,
                 (low[30:23] == 8'd0 && !subnormals) ? 23'd0 : low[22:0], 3'd0};
      // Subnormals share the exponent of field 1.
      high_e    = (high[30:23] == 8'd0) ? 8'd1 : high[30:23];
      low_e  = (low[30:23] == 8'd0) ? 8'd1 : low[30:23];
      distance = high_e - low_e;
      aligned  = {low_m, 27'd0} >> ((distance > 8'd27) ? 5'd27 : distance[4:0]);
      // At a distance of 27 all of low_m stands in the lower half: nothing but sticky.
      low_m  = {aligned[53:28], aligned[27] | (aligned[26:0] != 27'd0)};
      if (high[31] == low[31]) sum = {1'b0, high_m} + {1'b0, low_m};
      else sum = {1'b0, high_m} - {1'b0, low_m};

      e = high_e;
      if (sum[27]) begin
        sum = {1'b0, sum[27:2], sum[1] | sum[0]};
        e   = high_e + 8'd1;
      end else begin
        zeros = leading_zeros(sum[26:0]);
        // Normalising stops at exponent field 1: what is left then is subnormal, and exact.
        shift = ({3'd0, zeros} >= high_e) ? high_e[4:0] - 5'd1 : zeros;
        sum   = sum << shift;
        e     = high_e - {3'd0, shift};
      end
      up     = sum[2] & (sum[3] | sum[1] | sum[0]);
      result = {high[31], (sum[26] ? e : 8'd0), sum[25:3]};
      // A carry out of the significand steps the exponent, up to infinity.
      result = result + {31'd0, up};
      if (result[30:23] == 8'd0 && !subnormals) result[22:0] = 23'd0;
      if (sum == 28'd0) result = {x[31] & y[31], 31'd0};
      if (result[30:23] == 8'hFF) result[22:0] = 23'd0;
      if (high[30:23] == 8'hFF) begin
        if (high[22:0] != 23'd0 || (low[30:23] == 8'hFF && high[31] != low[31]))
          result = QuietNan;
        else result = high;
      end
      add = result;
    end
  endfunction

  function automatic logic [31:0] mul(input logic [31:0] x, input logic [31:0] y,
                                      input logic subnormals);
    logic [23:0] x_m;
    logic [23:0] y_m;
    begin
      x_m = {x[30:23] != 8'd0, x[22:0]};
      y_m = {y[30:23] != 8'd0, y[22:0]};
      if (subnormals) begin
        x_m = x_m << leading_zeros({x_m, 3'd0});
        y_m = y_m << leading_zeros({y_m, 3'd0});
      end
      mul = round_product(x, y, x_m * y_m, subnormals);
    end
  endfunction

  // The rest of mul() once the significands, normalised where subnormals count, are multiplied:
  // apart from the product, so that it can be proved for every product (scripts/formal.sh).
  function automatic logic [31:0] round_product(input logic [31:0] x, input logic [31:0] y,
                                                input logic [47:0] product, input logic subnormals);
    logic [9:0]  e;  // two's complement
    logic [9:0]  drop;
    logic [47:0] p;
    logic [95:0] wide;
    logic        sticky;
    logic        up;
    logic [32:0] packed_result;
    logic [31:0] result;
    logic        sign;
    begin
      sign = x[31] ^ y[31];
      p    = product;
      e    = {2'd0, x[30:23]} + {2'd0, y[30:23]} - 10'd127;
      if (subnormals) begin
        // A subnormal has the exponent of field 1.
        e = e + {9'd0, x[30:23] == 8'd0} + {9'd0, y[30:23] == 8'd0} -
            {5'd0, leading_zeros({x[30:23] != 8'd0, x[22:0], 3'd0})} -
            {5'd0, leading_zeros({y[30:23] != 8'd0, y[22:0], 3'd0})};
      end
      // The product of two significands in [1, 2) lies in [1, 4).
      if (p[47]) e = e + 10'd1;
      else p = {p[46:0], 1'b0};
      sticky = 1'b0;
      if (subnormals && (e[9] || e == 10'd0)) begin
        drop   = 10'd1 - e;
        wide   = {p, 48'd0} >> ((drop > 10'd47) ? 6'd47 : drop[5:0]);
        p      = wide[95:48];
        sticky = wide[47:0] != 48'd0;
        e      = 10'd0;
      end
      up = p[23] & (p[24] | (p[22:0] != 23'd0) | sticky);
      packed_result = {e, p[46:24]} + {32'd0, up};
      // Below zero, or zero after rounding: tiny. The subnormal path has e = 0 and p[47] = 0.
      if (!subnormals && (packed_result[32] || packed_result[32:23] == 10'd0)) result = {sign, 31'd0};
      else if (packed_result[32:23] >= 10'd255) result = {sign, 8'hFF, 23'd0};
      else result = {sign, packed_result[30:0]};
      if (x[30:23] == 8'd0 && (!subnormals || x[22:0] == 23'd0)) result = {sign, 31'd0};
      if (y[30:23] == 8'd0 && (!subnormals || y[22:0] == 23'd0)) result = {sign, 31'd0};
      if (x[30:23] == 8'hFF || y[30:23] == 8'hFF) begin
        if ((x[30:23] == 8'hFF && x[22:0] != 23'd0) || (y[30:23] == 8'hFF && y[22:0] != 23'd0) ||
            (x[30:23] == 8'd0 && (!subnormals || x[22:0] == 23'd0)) ||
            (y[30:23] == 8'd0 && (!subnormals || y[22:0] == 23'd0)))
          result = QuietNan;
        else result = {sign, 8'hFF, 23'd0};
      end
      round_product = result;
    end
  endfunction

  // magnitude * 2^exponent (two's complement) in FP32, to nearest even or truncated. The result must
  // be zero or in the range of normal numbers.
  function automatic logic [31:0] from_integer(input logic negative, input logic [63:0] magnitude,
                                               input logic [9:0] exponent, input logic nearest);
    logic [63:0] m;
    logic [9:0]  e;
    logic        up;
    begin
      m = magnitude;
      e = exponent + 10'd190;  // bit 63 counts 2^(exponent + 63), bias 127
      if (m[63:32] == 32'd0) begin m = m << 32; e = e - 10'd32; end
      if (m[63:48] == 16'd0) begin m = m << 16; e = e - 10'd16; end
      if (m[63:56] == 8'd0) begin m = m << 8; e = e - 10'd8; end
      if (m[63:60] == 4'd0) begin m = m << 4; e = e - 10'd4; end
      if (m[63:62] == 2'd0) begin m = m << 2; e = e - 10'd2; end
      if (m[63] == 1'b0) begin m = m << 1; e = e - 10'd1; end
      up = nearest & m[39] & (m[40] | (m[38:0] != 39'd0));
      from_integer = {negative, e[7:0], m[62:40]} + {31'd0, up};
      if (m[63] == 1'b0) from_integer = 32'd0;
    end
  endfunction

  // Zeros above the leading one of a 27-bit significand; 27 or more for zero.
  function automatic logic [4:0] leading_zeros(input logic [26:0] m);
    logic [31:0] rest;
    logic [4:0]  n;
    begin
      rest = {m, 5'd0};
      n    = 5'd0;
      if (rest[31:16] == 16'd0) begin n = n | 5'd16; rest = rest << 16; end
      if (rest[31:24] == 8'd0) begin n = n | 5'd8; rest = rest << 8; end
      if (rest[31:28] == 4'd0) begin n = n | 5'd4; rest = rest << 4; end
      if (rest[31:30] == 2'd0) begin n = n | 5'd2; rest = rest << 2; end
      if (rest[31] == 1'b0) n = n | 5'd1;
      leading_zeros = n;
    end
  endfunction

endpackage
`default_nettype wire
