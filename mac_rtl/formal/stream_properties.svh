// SPDX-License-Identifier: MIT
// Spliced into lowbit_stream before its `endmodule` by scripts/formal.sh, to see its registers.
// The core is assumed to have a fixed latency and to answer every `last` with that beat's operands
// (proved of the cores, as to when, by core_control.sv). Sources, sinks and resets are free, so
// every stall and every reset is covered. Proved by induction: beats reach the core unchanged and in
// order, and a result chosen at any time leaves as it was, after those that were under way before
// it and no others. With the counts of what is under way that is: nothing is lost, duplicated or
// reordered.
  localparam int LATENCY = `LATENCY;
  localparam int P = PTR_W + 1;

  // The core: valid bits are reset, data is not. Stage 0 is what this module hands out.
  logic [LATENCY:1] valid_q;
  logic [RESULT_W*(LATENCY+1)-1:RESULT_W] data_q;
  logic [LATENCY:0] valid;
  logic [RESULT_W*(LATENCY+1)-1:0] data;
  assign valid = {valid_q, core_valid_o & core_last_o};
  assign data  = {data_q, core_operands_o};
  always_ff @(posedge clk_i) begin
    valid_q <= rst_ni ? valid[LATENCY-1:0] : '0;
    data_q  <= data[RESULT_W*LATENCY-1:0];
  end
  always_comb begin
    assume (result_valid_i == valid[LATENCY]);
    assume (result_i == data[RESULT_W*LATENCY+:RESULT_W]);
  end

  // What is in the pipeline and in the FIFO.
  logic [P-1:0] waiting;
  logic [P-1:0] flying;
  assign waiting = write_q - read_q;
  always_comb begin
    flying = '0;
    for (int i = 0; i <= LATENCY; i++) flying = flying + P'(valid[i]);
  end

  // The beat before, to be seen at the core now; and whether a segment was open.
  logic         taken_q;
  logic         first_q;
  logic         last_q;
  logic [RESULT_W-1:0] operands_q;
  logic         segment_q;

  // Follow the segment that ends now, if none is followed: the solver's choice.
  logic choose;
  assign choose = $anyseq;

  // The followed result: its data, how many leave before it, and where it is: a stage of the
  // pipeline while `stage_q` <= LATENCY, then a place of the FIFO.
  logic         following_q;
  logic [RESULT_W-1:0] word_q;
  logic [P-1:0] ahead_q;
  logic [P-1:0] place_q;
  logic [4:0]   stage_q;
  logic         started_q;
  initial started_q = 1'b0;

  always_ff @(posedge clk_i) begin
    started_q  <= 1'b1;
    taken_q    <= taken & rst_ni;
    first_q    <= in_first_i | ~segment_q;
    last_q     <= in_last_i;
    operands_q <= in_operands_i;
    segment_q  <= rst_ni & (taken ? ~in_last_i : segment_q);
    if (!rst_ni) begin
      following_q <= 1'b0;
    end else if (!following_q) begin
      if (ended & choose) begin
        following_q <= 1'b1;
        word_q      <= in_operands_i;
        ahead_q     <= waiting + flying - P'(given);
        stage_q     <= 5'd0;
      end
    end else begin
      if (given) begin
        ahead_q     <= ahead_q - 1'b1;
        following_q <= ahead_q != '0;
      end
      if (stage_q <= 5'(LATENCY)) begin
        stage_q <= stage_q + 1'b1;
        if (stage_q == 5'(LATENCY)) place_q <= write_q;
      end
    end
  end

  // Older results in the pipeline: those in later stages.
  logic [P-1:0] older;
  logic [RESULT_W-1:0] word_here;
  always_comb begin
    older = '0;
    word_here = '0;
    for (int i = 0; i <= LATENCY; i++) begin
      if (5'(i) > stage_q) older = older + P'(valid[i]);
      if (5'(i) == stage_q) word_here = data[RESULT_W*i+:RESULT_W];
    end
  end

  // Operation begins with a reset.
  always_comb begin
    if (!started_q) assume (!rst_ni);
    if (started_q) begin
      // What the module promises.
      assert (core_valid_o == taken_q);
      if (taken_q) begin
        assert (core_first_o == first_q);
        assert (core_last_o == last_q);
        assert (core_operands_o == operands_q);
      end
      if (following_q && given && ahead_q == '0) assert (out_result_o == word_q);
      // Every result is under way or waiting, and has room: none is lost, none invented.
      assert (pending_q == waiting + flying);
      assert (pending_q <= P'(DEPTH));
      assert (waiting <= P'(DEPTH));
      assert (out_valid_o == (waiting != '0));
      assert (in_ready_o == (pending_q != P'(DEPTH)));
      // What the induction needs besides: where the followed result is.
      assert (open_q == segment_q);
      if (following_q) begin
        if (stage_q <= 5'(LATENCY)) begin
          assert (valid[stage_q]);
          assert (word_here == word_q);
          assert (ahead_q == waiting + older);
        end else begin
          assert (stage_q == 5'(LATENCY + 1));
          assert (P'(write_q - place_q) != '0);
          assert (P'(write_q - place_q) <= waiting);
          assert (ahead_q == P'(place_q - read_q));
          assert (fifo_q[place_q[P-2:0]] == word_q);
        end
      end
    end
  end
