# SPDX-License-Identifier: MIT
"""Toggle counts of a mapped netlist by lowbit_gate_sim (sim/src/mac/gate_sim.cpp), with the delays of an SDF file
or without: what Icarus counts, in seconds where Icarus takes minutes."""
import math
import re
import subprocess

from boolean import truth_table
from sequential import FlipFlop
from synth import FlowError


def units_per_ns(library):
    """10 ps, the precision of the OSU libraries' models, to which Icarus rounds too; 0.1 ps for libraries in ps."""
    return 100 if library.time_ns >= 0.1 else 10000


def delays(sdf, units):
    """{(instance, from pin, to pin): (rise, fall)} in units, of which a nanosecond has `units`, from OpenSTA's SDF."""
    out, instance = {}, ""
    path = re.compile(r"\(IOPATH (?:\((?:pos|neg)edge )?(\S+?)\)? (\S+) \((\S*?):(\S*?):(\S*?)\) \((\S*?):(\S*?):(\S*?)\)\)")
    with open(sdf, encoding="utf-8") as f:
        for line in f:
            scale = re.search(r"\(TIMESCALE\s+([\d.]+)\s*([pn])s\)", line)
            if scale:
                units = units * float(scale.group(1)) * {"n": 1.0, "p": 1e-3}[scale.group(2)]
                continue
            if "(INSTANCE" in line:
                instance = line.split("(INSTANCE", 1)[1].strip().rstrip(")").strip().replace("\\", "")
                continue
            m = path.search(line)
            if m:
                # The longest of the triplet, as fix_sdf gives it to Icarus.
                rise, fall = (max(0, math.floor(float(m.group(i)) * units + 0.5)) for i in (5, 8))
                out[instance, m.group(1), m.group(2)] = rise, fall
    return out


class Model:
    """The simulator's input: nets as numbers, each output of a cell as a gate."""

    def __init__(self, netlist, library, sdf):
        self.units = units_per_ns(library)
        self.netlist, self.library, self.delays = netlist, library, delays(sdf, self.units) if sdf else {}
        self.numbers, self.gates = {"0": 0, "1": 1}, []
        self.shapes = {}
        for name, (kind, pins) in netlist.cells.items():
            for output, shape in self.shape(kind):
                if output in pins:
                    self.gates += self.gate(name, pins, output, *shape)

    def shape(self, kind):
        """[(output pin, (input pins, table, flip-flop or None))] of a cell; a flip-flop's are those of its next state."""
        if kind not in self.shapes:
            cell = self.library.cells[kind]
            inputs, outputs = self.library.functions(kind)
            flop, out = FlipFlop(cell) if cell.all("ff") else None, []
            if flop and flop.why:
                raise FlowError(f"{kind}: {flop.why}; Icarus with the library's models can simulate it (--simulator icarus --models FILE)", 3)
            for output, function in outputs.items():
                function = str(function or "").strip('" ')
                table = flop.table(function) if flop else truth_table(function, inputs)
                if table is None:
                    raise FlowError(f"{kind}.{output}: function {function} cannot be read; Icarus with the library's models needs none "
                                    "(--simulator icarus --models FILE)", 3)
                out.append((output, (flop.data if flop else inputs, table, flop)))
            self.shapes[kind] = out
        return self.shapes[kind]

    def number(self, net):
        return self.numbers.setdefault(self.netlist.resolve(net), len(self.numbers))

    def gate(self, name, pins, output, inputs, table, flop):
        """The lines of one output of a cell."""
        plain = name.replace("\\", "")

        def path(pin):
            return self.delays.get((plain, pin, output), (0, 0))

        ins = [self.number(pins[p]) for p in inputs]
        if flop:
            for pin, quiet in flop.quiet.items():
                if self.netlist.resolve(pins[pin]) != str(quiet):
                    raise FlowError(f"instance {plain}: its {pin} is used, and only flip-flops without reset are simulated; Icarus takes others "
                                    "(--simulator icarus --models FILE)", 3)
            rise, fall = path(flop.clock)
            if table == [0, 1]:
                return [f"f {self.number(pins[output])} {ins[0]} {rise} {fall}"]
            # The next state by a gate without delay, on a net of its own.
            data = self.numbers.setdefault(("next state", name, output), len(self.numbers))
            return [f"c {data} {len(ins)} {' '.join(map(str, ins))} {''.join(map(str, table))}{' 0 0' * len(ins)}",
                    f"f {self.number(pins[output])} {data} {rise} {fall}"]
        text = " ".join(f"{r} {f}" for r, f in map(path, inputs))
        return [f"c {self.number(pins[output])} {len(ins)} {' '.join(map(str, ins))} {''.join(map(str, table))} {text}"]

    def text(self, beats, period, skip):
        ports = self.netlist.ports
        fields = ("first_i", "last_i", "a_scale_i", "w_scale_i", "a_codes_i", "w_codes_i")
        inputs = [self.number(bit) for f in fields for bit in ports[f][1]]
        one = [self.number(ports[p][1][0]) for p in ("clk_i", "rst_ni", "valid_i")]
        # The constant 1 is an inverter of the constant 0.
        gates = self.gates + ["c 1 1 0 10 0 0"]
        head = (f"nets {len(self.numbers)} clock {one[0]} reset {one[1]} valid {one[2]} half {round(period / 2 * self.units)} idle 12 skip {skip}\n"
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
    return {net.lstrip("\\"): counts[i] for net, i in model.numbers.items() if isinstance(net, str)}
