// SPDX-License-Identifier: MIT
// scripts/formal.sh: the factors of integer blocks against a product, and the waiting carries
// against a sum, for IF4 with 16 lanes. Not part of a unit.
`default_nettype none
module factor_case #(
    parameter bit REFERENCE = 0
) (
    input  logic [19:0] v_i,
    input  logic        a_i,
    input  logic        w_i,
    output logic [25:0] p_o
);
  logic [7:0]  k;
  logic [25:0] p;
  lowbit_integer_scale i_unit (
      .clk_i(1'b0),
      .value_i(v_i),
      .a_integer_i(a_i),
      .w_integer_i(w_i),
      .value_o(p)
  );
  always_comb
    case ({a_i, w_i})
      2'b00:   k = 8'd49;
      2'b11:   k = 8'd144;
      default: k = 8'd84;
    endcase
  // Within the range that 16 lanes and the scales reach; beyond it the unit may drop top bits.
  assign p_o = v_i + 20'd259200 > 20'd518400 ? 26'd0 : REFERENCE ? {{6{v_i[19]}}, v_i} * {18'd0, k} : p;
endmodule

module resolve_case #(
    parameter bit REFERENCE = 0
) (
    input  logic [71:0] acc_i,
    input  logic [5:0]  waiting_i,
    output logic [71:0] acc_o
);
  logic [71:0] resolved;
  logic [71:0] waiting;
  lowbit_resolve #(.ACC_W(72), .SEGMENT(12)) i_unit (.acc_i, .waiting_i, .acc_o(resolved));
  for (genvar k = 0; k < 6; k++) begin : g_place
    assign waiting[12*k+:12] = {11'd0, waiting_i[k]};
  end
  assign acc_o = REFERENCE ? acc_i + waiting : resolved;
endmodule
`default_nettype wire
