# SPDX-License-Identifier: MIT
"""Toggle counts of a mapped netlist by lowbit_gate_sim (sim/src/mac/gate_sim.cpp), with the delays of an SDF file
or without: what Icarus counts, in seconds where Icarus takes minutes."""
import math
import re
import subprocess

from liberty import truth_table
from synth import FlowError

UNITS_PER_NS = 100  # Icarus rounds to 10 ps too, the precision of the library's models


def delays(sdf):
    """{(instance, from pin, to pin): (rise, fall)} in units, from OpenSTA's SDF."""
    out, instance = {}, ""
    path = re.compile(r"\(IOPATH (?:\((?:pos|neg)edge )?(\S+?)\)? (\S+) \((\S*?):(\S*?):(\S*?)\) \((\S*?):(\S*?):(\S*?)\)\)")
    with open(sdf, encoding="utf-8") as f:
        for line in f:
            if "(INSTANCE" in line:
                instance = line.split("(INSTANCE", 1)[1].strip().rstrip(")").strip().replace("\\", "")
                continue
            m = path.search(line)
            if m:
                # The longest of the triplet, as fix_sdf gives it to Icarus.
                rise, fall = (max(0, math.floor(float(m.group(i)) * UNITS_PER_NS + 0.5)) for i in (5, 8))
                out[instance, m.group(1), m.group(2)] = rise, fall
    return out


class Model:
    """The simulator's input: nets as numbers, each output of a cell as a gate."""

    def __init__(self, netlist, library, sdf):
        self.netlist, self.library, self.delays = netlist, library, delays(sdf) if sdf else {}
        self.numbers, self.gates = {"0": 0, "1": 1}, []
        self.shapes = {}
        for name, (kind, pins) in netlist.cells.items():
            for output, shape in self.shape(kind):
                if output in pins:
                    self.gates.append(self.gate(name, pins, output, *shape))

    def shape(self, kind):
        """[(output pin, (input pins, table or None for a flip-flop))] of a cell."""
        if kind not in self.shapes:
            cell = self.library.cells[kind]
            ff, out = cell.all("ff"), []
            for pin in cell.all("pin"):
                if pin.get("direction") != "output":
                    continue
                function = str(pin.get("function", "")).strip('" ')
                if ff:
                    plain = str(ff[0].get("clocked_on", "")).strip('"() '), str(ff[0].get("next_state", "")).strip('"() ')
                    if function != ff[0].args[0] or not all(re.fullmatch(r"\w+", p) for p in plain) or ff[0].get("clear") or ff[0].get("preset"):
                        raise FlowError(f"{kind}: only flip-flops of a clock edge and a data pin are simulated; Icarus takes others (--simulator icarus)", 3)
                    out.append((pin.args[0], (plain, None)))
                    continue
                inputs = self.library.pins(kind, "input")
                table = truth_table(function, inputs)
                if table is None:
                    raise FlowError(f"{kind}.{pin.args[0]}: function {function} cannot be read; Icarus needs none (--simulator icarus)", 3)
                out.append((pin.args[0], (inputs, table)))
            self.shapes[kind] = out
        return self.shapes[kind]

    def number(self, net):
        return self.numbers.setdefault(self.netlist.resolve(net), len(self.numbers))

    def gate(self, name, pins, output, inputs, table):
        plain = name.replace("\\", "")

        def path(pin):
            return self.delays.get((plain, pin, output), (0, 0))

        if table is None:
            clock, data = inputs
            return f"f {self.number(pins[output])} {self.number(pins[data])} {path(clock)[0]} {path(clock)[1]}"
        text = " ".join(f"{r} {f}" for r, f in map(path, inputs))
        return f"c {self.number(pins[output])} {len(inputs)} {' '.join(str(self.number(pins[p])) for p in inputs)} {''.join(map(str, table))} {text}"

    def text(self, beats, period, skip):
        ports = self.netlist.ports
        fields = ("first_i", "last_i", "a_scale_i", "w_scale_i", "a_codes_i", "w_codes_i")
        inputs = [self.number(bit) for f in fields for bit in ports[f][1]]
        one = [self.number(ports[p][1][0]) for p in ("clk_i", "rst_ni", "valid_i")]
        # The constant 1 is an inverter of the constant 0.
        gates = self.gates + ["c 1 1 0 10 0 0"]
        head = (f"nets {len(self.numbers)} clock {one[0]} reset {one[1]} valid {one[2]} half {round(period / 2 * UNITS_PER_NS)} idle 12 skip {skip}\n"
                f"gates {len(gates)}\n")
        return head + "\n".join(gates) + f"\ninputs {len(inputs)} {' '.join(map(str, inputs))}\nbeats {len(beats)}\n" + "\n".join(beats) + "\n"


def toggles(simulator, netlist, library, sdf, beats, period, skip, path):
    """Changes by net name after the first `skip` beats; beats: lines of binary digits as the bench has them."""
    model = Model(netlist, library, sdf)
    with open(beats, encoding="utf-8") as f:
        text = model.text(f.read().split(), period, skip)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    try:
        done = subprocess.run([simulator, path], capture_output=True, text=True, check=False)
    except OSError:
        raise FlowError(f"{simulator}: not found; build the target lowbit_gate_sim, or simulate with Icarus", 5) from None
    if done.returncode != 0:
        raise FlowError(done.stderr.strip() or "lowbit_gate_sim failed", 3)
    counts = [int(n) for n in done.stdout.split()]
    return {net.lstrip("\\"): counts[i] for net, i in model.numbers.items()}
