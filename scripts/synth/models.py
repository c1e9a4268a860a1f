# SPDX-License-Identifier: MIT
"""Verilog models of cells from their Liberty functions, for Icarus: what a library ships beside its Liberty file,
where it does not ship any. Combinational cells are assigns, flip-flops an always block; module paths take SDF delays."""
import itertools

from boolean import truth_table
from sequential import FlipFlop


def terms(table, pins):
    """A truth table as a sum of minterms, or a constant."""
    on = [i for i, bit in enumerate(table) if bit]
    if len(on) in (0, len(table)):
        return "1'b1" if on else "1'b0"
    return " | ".join("(" + " & ".join(("" if i >> k & 1 else "~") + p for k, p in enumerate(pins)) + ")" for i in on)


def module(library, kind):
    import synth
    cell = library.cells[kind]
    inputs, outputs = library.functions(kind)
    lines, paths = [], []
    flop = FlipFlop(cell) if cell.all("ff") else None
    if flop and flop.why:
        raise synth.FlowError(f"{kind}: no model can be made of it: {flop.why}; give Verilog models by --models", 3)
    for output, function in outputs.items():
        if function is None:
            continue
        if flop:
            table = flop.table(function)
            if table is not None:
                lines += [f"  reg r_{output};", f"  assign {output} = r_{output};",
                          f"  always @(posedge {flop.clock}) r_{output} <= {terms(table, flop.data)};"]
                paths.append(f"    (posedge {flop.clock} => ({output} +: 1'b0)) = (0, 0);")
        else:
            table = truth_table(function, inputs)
            lines.append(f"  assign {output} = {terms(table, inputs) if table is not None else None};")
            paths += [f"    ({i} => {output}) = (0, 0);" for i in inputs]
        if table is None:
            raise synth.FlowError(f"{kind}.{output}: function {function} cannot be read; give Verilog models by --models", 3)
    ports = list(itertools.chain(inputs, outputs))
    head = [f"module {kind} ({', '.join(ports)});", f"  input {', '.join(inputs)};" if inputs else "", f"  output {', '.join(outputs)};"]
    return "\n".join(h for h in head + lines + (["  specify"] + paths + ["  endspecify"] if paths else []) + ["endmodule"] if h) + "\n"


def write(library, kinds, path):
    """Models of these cell types."""
    with open(path, "w", encoding="utf-8") as f:
        f.write("`timescale 1ns/10ps\n" + "".join(module(library, k) for k in sorted(kinds)))
