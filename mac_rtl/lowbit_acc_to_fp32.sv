// SPDX-License-Identifier: MIT
// The epilogue of the exact unit: accumulator * 2^EXPONENT to FP32 by one rounding to nearest even.
// Two free-running stages (magnitude; normalise and round), with the accumulator and its flags
// alongside. The result is zero or a normal number: ACC_W + EXPONENT < 128, EXPONENT > -127.
`default_nettype none
module lowbit_acc_to_fp32 #(
    parameter int ACC_W    = 72,
    parameter int EXPONENT = -20
) (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic             valid_i,
    input  logic [ACC_W-1:0] acc_i,
    input  logic [1:0]       flags_i,
    output logic             valid_o,
    output logic [ACC_W-1:0] acc_o,
    output logic [31:0]      fp32_o,
    output logic [1:0]       flags_o
);
  localparam int STEPS = $clog2(ACC_W);

  function automatic logic [31:0] round(input logic negative, input logic [ACC_W-1:0] magnitude);
    logic [ACC_W-1:0] m;
    logic [9:0]       e;
    logic             up;
    begin
      m = magnitude;
      e = 10'(ACC_W - 1 + EXPONENT + 127);
      for (int i = STEPS - 1; i >= 0; i--) begin
        if ((m >> (ACC_W - (1 << i))) == '0) begin
          m = m << (1 << i);
          e = e - (10'd1 << i);
        end
      end
      up    = m[ACC_W-25] & (m[ACC_W-24] | (m[ACC_W-26:0] != '0));
      round = {negative, e[7:0], m[ACC_W-2-:23]} + {31'd0, up};
      if (!m[ACC_W-1]) round = 32'd0;
    end
  endfunction

  logic             valid_q;
  logic [ACC_W-1:0] acc_q;
  logic [ACC_W-1:0] magnitude_q;
  logic [1:0]       flags_q;
  always_ff @(posedge clk_i) begin
    valid_q <= valid_i & rst_ni;
    valid_o <= valid_q & rst_ni;
    if (valid_i) begin
      acc_q       <= acc_i;
      magnitude_q <= acc_i[ACC_W-1] ? -acc_i : acc_i;
      flags_q     <= flags_i;
    end
    if (valid_q) begin
      acc_o   <= acc_q;
      flags_o <= flags_q;
      fp32_o  <= round(acc_q[ACC_W-1], magnitude_q);
    end
  end
endmodule
`default_nettype wire
