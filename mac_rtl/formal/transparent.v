// SPDX-License-Identifier: MIT
// scripts/formal.sh: yosys techmap that makes the registers of a feed-forward pipeline wires, so
// that what it computes can be compared as one combinational function. Enables count as on.
module \$dff (CLK, D, Q);
  parameter CLK_POLARITY = 1, WIDTH = 1;
  input CLK;
  input [WIDTH-1:0] D;
  output [WIDTH-1:0] Q;
  assign Q = D;
endmodule
module \$dffe (CLK, EN, D, Q);
  parameter CLK_POLARITY = 1, EN_POLARITY = 1, WIDTH = 1;
  input CLK, EN;
  input [WIDTH-1:0] D;
  output [WIDTH-1:0] Q;
  assign Q = D;
endmodule
module \$sdff (CLK, SRST, D, Q);
  parameter CLK_POLARITY = 1, SRST_POLARITY = 1, SRST_VALUE = 0, WIDTH = 1;
  input CLK, SRST;
  input [WIDTH-1:0] D;
  output [WIDTH-1:0] Q;
  assign Q = D;
endmodule
