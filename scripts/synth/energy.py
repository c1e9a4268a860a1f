#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Energy of a mapped netlist on an operand stream: a simulation counts the toggles of every net, and
the Liberty file's tables give the energy of each. The simulator is lowbit_gate_sim where it is named
(events.py), else Icarus with the library's Verilog models. Prints one JSON object.

Zero delay counts what the logic must do; --sdf takes cell delays from OpenSTA, so that glitches
count too. The split: switching (0.5 C V^2 of the input pins on a net and the load of an output),
internal (tables at that load and the library's slew), clock (the flip-flops' clock pins: net and
internal), leakage. The sum has no wires; wire_pj_per_mac beside it is what --wire-ff of every input pin
on a net adds to the switching of data nets.

Beats: a text file, one line each: first last a_scale w_scale a_codes w_codes, all hexadecimal.
"""
import argparse
import bisect
import json
import os
import re
import subprocess
import sys

import events
import models
from liberty import LibertyError, numbers
from library import Library
from netlist import Netlist
from sequential import clock_pin
from synth import DEFAULT_LIBERTY, FlowError, time_netlist


def testbench(netlist, beats, period, sdf, path, count, dump):
    ports = {n: len(b) for n, (_, b) in netlist.ports.items()}
    lines = ["`timescale 1ns/10ps", "module tb;"]
    for name, (direction, bits) in netlist.ports.items():
        lines.append(f"  {'reg' if direction == 'input' else 'wire'} [{len(bits) - 1}:0] {name};")
    lines.append(f"  {netlist.top} dut({', '.join(f'.{n}({n})' for n in ports)});")
    code_w, scale_w = ports["a_codes_i"], ports["a_scale_i"]
    word = 2 + 2 * scale_w + 2 * code_w
    lines += [f"  reg [{word - 1}:0] beat [0:{count - 1}];", "  integer i;", "  initial begin"]
    if sdf:
        lines.append(f'    $sdf_annotate("{sdf}", dut);')
    lines += [f'    $readmemb("{beats}", beat);', "    clk_i = 0; rst_ni = 0; valid_i = 0;",
              "    {first_i, last_i, a_scale_i, w_scale_i, a_codes_i, w_codes_i} = beat[0];",
              f"    for (i = 0; i < 12; i = i + 1) begin #{period / 2} clk_i = 1; #{period / 2} clk_i = 0; end",
              "    rst_ni = 1; valid_i = 1;",
              # Fills the pipeline before counting starts.
              f"    for (i = 0; i < {count}; i = i + 1) begin",
              "      {first_i, last_i, a_scale_i, w_scale_i, a_codes_i, w_codes_i} = beat[i];",
              f"      if (i == 16) begin $dumpfile(\"{dump}\"); $dumpvars(1, dut); end",
              f"      #{period / 2} clk_i = 1; #{period / 2} clk_i = 0;",
              "    end", "    $finish;", "  end", "endmodule"]
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


def binary_beats(source, target, netlist, limit):
    code_w = len(netlist.ports["a_codes_i"][1])
    scale_w = len(netlist.ports["a_scale_i"][1])
    count = 0
    with open(source, encoding="utf-8") as f, open(target, "w", encoding="utf-8") as out:
        for number, line in enumerate(f, 1):
            fields = line.split()
            if len(fields) != 6:
                raise FlowError(f"{source}:{number}: six fields wanted, {len(fields)} found", 3)
            widths = (1, 1, scale_w, scale_w, code_w, code_w)
            try:
                values = [int(x, 16) for x in fields]
            except ValueError:
                raise FlowError(f"{source}:{number}: not hexadecimal", 3) from None
            if any(v >> w for v, w in zip(values, widths)):
                raise FlowError(f"{source}:{number}: a field is wider than its port", 3)
            out.write("".join(format(v, f"0{w}b") for v, w in zip(values, widths)) + "\n")
            count += 1
            if count == limit:
                break
    if count < 64:
        raise FlowError(f"{source}: at least 64 beats wanted, {count} found", 3)
    return count


def toggles(stream):
    """Toggle count by net name. Changes to and from x are not counted."""
    names, count, last = {}, {}, {}
    header = True
    for line in stream:
        if header:
            m = re.match(r"\$var\s+\w+\s+(\d+)\s+(\S+)\s+(\S+)\s*(\[(\d+):(\d+)\]|\[\d+\])?\s*\$end", line.strip())
            if m:
                name = m.group(3).lstrip("\\")
                if int(m.group(1)) > 1:
                    high, low = int(m.group(5)), int(m.group(6))
                    nets = [f"{name}[{i}]" for i in range(high, low - 1, -1)]
                else:
                    nets = [name + (m.group(4) or "")]
                names.setdefault(m.group(2), []).append(nets)
            elif line.startswith("$enddefinitions"):
                header = False
            continue
        c = line[0]
        if c in "01xz":
            key = line[1:].strip()
            old = last.get(key)
            if old is not None and old != c and old in "01" and c in "01":
                count[key] = count.get(key, 0) + 1
            last[key] = c
        elif c == "b":
            value, key = line[1:].split()
            width = len(names[key][0][0:]) if key in names else len(value)
            value = value.rjust(width, value[0] if value[0] in "xz" else "0")
            old = last.get(key)
            if old is not None:
                for i, (a, b) in enumerate(zip(old, value)):
                    if a != b and a in "01" and b in "01":
                        count[(key, i)] = count.get((key, i), 0) + 1
            last[key] = value
    result = {}
    for key, groups in names.items():
        for nets in groups:
            for i, net in enumerate(nets):
                n = count.get(key, 0) if len(nets) == 1 else count.get((key, i), 0)
                result[net] = n
    return result


def table(group, template, x, y):
    """Bilinear value of a Liberty table at load x and slew y. Its indices are its own or its template's; index_1 is the
    load where the template says so."""
    one, two = (numbers(group.get(i, template.get(i) if template else None)) for i in ("index_1", "index_2"))
    x_first = template is None or "capacitance" in str(template.get("variable_1", ""))
    rows = [numbers(r) for r in group.get("values", [])]
    if not rows:
        return 0.0
    if not two:
        flat = [v for r in rows for v in r]
        return _line(one, flat, x if x_first else y) if one else flat[0]
    i, j = (x, y) if x_first else (y, x)
    if len(rows) != len(one):
        flat = [v for r in rows for v in r]
        rows = [flat[k * len(two):(k + 1) * len(two)] for k in range(len(one))]
    return _line(one, [_line(two, r, j) for r in rows], i)


def _line(xs, ys, x):
    if len(xs) < 2:
        return ys[0]
    x = min(max(x, xs[0]), xs[-1])
    k = min(max(bisect.bisect_right(xs, x) - 1, 0), len(xs) - 2)
    return ys[k] + (ys[k + 1] - ys[k]) * (x - xs[k]) / (xs[k + 1] - xs[k])


class Model:
    """What the energy needs of each cell type, in pF and pJ. Energies of tables are in capacitance times squared volts."""

    def __init__(self, library):
        g = library.group
        self.voltage = library.corner["voltage"] or 1.8
        self.cap, self.load = library.cap_pf, library.load_pf
        self.slew = library.slew_ns / library.time_ns
        self.templates = library.templates
        self.default_leakage = g.number("default_cell_leakage_power")
        self.cells = {}
        for name, cell in library.cells.items():
            pins = {p.args[0]: p for p in cell.all("pin")}
            self.cells[name] = (pins, clock_pin(cell), self.leakage(cell) * library.leakage_pw)

    def leakage(self, cell):
        """cell_leakage_power, else the mean over the states that the cell lists."""
        states = [p.number("value") for p in cell.all("leakage_power") if p.get("related_pg_pin") in (None, "VDD", "VPWR")]
        return cell.number("cell_leakage_power", sum(states) / len(states) if states else self.default_leakage)

    def pin_cap(self, kind, pin):
        p = self.cells[kind][0].get(pin)
        return p.number("capacitance") * self.cap if p else 0.0

    def internal(self, kind, pin, load):
        """Mean energy of a toggle of this pin, pJ: mean over its related pins of (rise + fall) / 2, summed over the supplies."""
        p = self.cells[kind][0].get(pin)
        if not p:
            return 0.0
        supplies = {}
        for power in p.all("internal_power"):
            pair = []
            for t in power.groups:
                if t.kind in ("rise_power", "fall_power"):
                    pair.append(table(t, self.templates.get(t.args[0] if t.args else ""), load / self.cap, self.slew))
            if pair:
                supplies.setdefault(power.get("related_pg_pin"), []).append(sum(pair) / len(pair))
        return self.cap * sum(sum(v) / len(v) for v in supplies.values())


def energy(netlist, model, counts, cycles, period, wire_pf=0.0):
    """pJ by part; "wire" is what wire_pf at every input pin adds, and no part of the sum."""
    loads, readers = {}, {}
    for name, (kind, pins) in netlist.cells.items():
        for pin, net in pins.items():
            p = model.cells[kind][0].get(pin)
            if p is not None and p.get("direction") == "input":
                net = netlist.resolve(net)
                loads[net] = loads.get(net, 0.0) + model.pin_cap(kind, pin)
                readers.setdefault(net, []).append((kind, pin))
    for port, (direction, bits) in netlist.ports.items():
        if direction == "output":
            for bit in bits:
                net = netlist.resolve(bit)
                loads[net] = loads.get(net, 0.0) + model.load
    half = 0.5 * model.voltage ** 2
    total = {"switching": 0.0, "internal": 0.0, "clock": 0.0, "leakage": 0.0, "wire": 0.0}

    def count(net):
        net = net.lstrip("\\")
        if net not in counts and net not in ("", "0", "1"):
            raise FlowError(f"net {net} is not in the simulation's trace", 4)
        return counts.get(net, 0)

    for net, load in loads.items():
        clock = any(model.cells[k][1] == pin for k, pin in readers.get(net, []))
        if clock:
            total["clock"] += 2 * cycles * half * load
        else:
            total["switching"] += count(net) * half * load
            total["wire"] += count(net) * half * wire_pf * len(readers.get(net, []))
    for kind, pins in netlist.cells.values():
        cell_pins, clock, leakage = model.cells[kind]
        total["leakage"] += leakage * 1e-12 * cycles * period * 1e-9 * 1e12
        for pin, net in pins.items():
            p = cell_pins.get(pin)
            if p is None:
                continue
            net = netlist.resolve(net)
            if pin == clock:
                total["clock"] += 2 * cycles * model.internal(kind, pin, 0.0)
            elif p.get("direction") == "output":
                total["internal"] += count(net) * model.internal(kind, pin, loads.get(net, 0.0))
            elif p.all("internal_power"):
                total["internal"] += count(net) * model.internal(kind, pin, 0.0)
    return total


def fix_sdf(source, target):
    """OpenSTA leaves the typical value of a triplet empty, which makes Icarus annotate nothing."""
    with open(source, encoding="utf-8") as f, open(target, "w", encoding="utf-8") as out:
        for line in f:
            if "INTERCONNECT" in line:
                continue
            out.write(re.sub(r"\(([-\d.]+)::([-\d.]+)\)", r"(\2:\2:\2)", line))


def verilog_models(files):
    """The library's own Verilog models, where they lie beside its only file, else None."""
    if len(files) != 1:
        return None
    name = re.sub(r"\.lib(\.gz)?$", "", files[0]) + ".v"
    return name if os.path.exists(name) else None


def by_icarus(args, netlist, library, sdf, count):
    """Toggle counts by Icarus, whose changes come through a pipe: gigabytes, without a file between."""
    cells = args.models or verilog_models(library.files)
    if cells is None:
        cells = os.path.join(args.work, "cells.v")
        models.write(library, {kind for kind, _ in netlist.cells.values()}, cells)
    bench = os.path.join(args.work, "bench_sdf.v" if sdf else "bench.v")
    if sdf:
        fix_sdf(sdf, os.path.join(args.work, "annotate.sdf"))
        sdf = os.path.join(args.work, "annotate.sdf")
    read_end, write_end = os.pipe()
    # Under a name with a suffix, since Icarus appends one where it is missing.
    changes = bench + ".vcd"
    if os.path.lexists(changes):
        os.unlink(changes)
    os.symlink(f"/dev/fd/{write_end}", changes)
    with open(read_end, encoding="utf-8") as stream, open(write_end, "wb") as dump:
        testbench(netlist, os.path.join(args.work, "beats.bin"), args.period, sdf, bench, count, changes)
        return simulated(args, bench, cells, bool(sdf), stream, dump)


def simulated(args, bench, cells, delays, stream, dump):
    """Toggle counts of the bench, whose changes come through the pipe."""
    vvp = bench + "vp"
    command = ["iverilog", "-g2012", "-gspecify" if delays else "-gno-specify", "-Ttyp", "-s", "tb", "-o", vvp, bench,
               os.path.join(args.work, "netlist.v"), cells]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise FlowError("iverilog: " + (done.stderr.strip().splitlines() or ["failed"])[0], 3)
        simulation = subprocess.Popen(["vvp", "-n", vvp], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=[dump.fileno()])
    except FileNotFoundError as e:
        raise FlowError(f"{e.filename} not found: install it (Debian package iverilog)", 5) from None
    # The simulator's end is the last one: the stream ends with it, also where it fails.
    dump.close()
    counts = toggles(stream)
    if simulation.wait() != 0:
        raise FlowError("vvp failed on the netlist", 3)
    return counts


def measure(args, library):
    work = args.work
    netlist = Netlist(os.path.join(work, "netlist.v"))
    bits = os.path.join(work, "beats.bin")
    count = binary_beats(args.beats, bits, netlist, args.limit)
    sdf = None
    if args.sdf:
        time_netlist(netlist.top, library, work, args.period, sdf=True)
        sdf = os.path.join(work, "netlist.sdf")
    if args.simulator == "icarus":
        counts = by_icarus(args, netlist, library, sdf, count)
    else:
        counts = events.toggles(args.simulator, netlist, library, sdf, bits, args.period, 16, os.path.join(work, "events.txt"))
    cycles = count - 16
    # vvp ends orderly on a signal: a trace that stops early would pass for a frugal unit.
    if counts.get("clk_i", 0) < 2 * cycles - 1:
        raise FlowError(f"the simulation ended after {counts.get('clk_i', 0) // 2} of {cycles} cycles", 3)
    total = energy(netlist, Model(library), counts, cycles, args.period, args.wire_ff * 1e-3)
    macs = cycles * args.lanes
    digits = 4 if library.time_ns >= 0.1 else 6
    result = {f"{k}_pj_per_mac": round(v / macs, digits) for k, v in total.items()}
    del total["wire"]
    result.update(pj_per_mac=round(sum(total.values()) / macs, digits), glitches=bool(sdf), beats=cycles, period_ns=args.period,
                  toggles_per_cycle=round(sum(counts.values()) / cycles, 1))
    power = re.search(r"^Total\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)", open(os.path.join(work, "sta.log"), encoding="utf-8").read(), re.M)
    if power:
        result["opensta_pj_per_mac"] = round(float(power.group(4)) * args.period * 1e-9 / args.lanes * 1e12, digits)
    return result


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("work", help="folder that synth.py wrote")
    p.add_argument("--beats", required=True)
    p.add_argument("--limit", type=int, default=1040, help="use at most so many beats (the first 16 fill the pipeline)")
    p.add_argument("--lanes", type=int, default=16)
    p.add_argument("--liberty", action="append", help="as synth.py was given them")
    p.add_argument("--dont-use", action="append", default=[], metavar="PATTERN")
    p.add_argument("--models", help="Verilog models of the cells for Icarus; default those beside the Liberty file, else made from it")
    p.add_argument("--wire-ff", type=float, default=0.0, help="fF of wire at every input pin, for wire_pj_per_mac")
    p.add_argument("--simulator", default="icarus", help="icarus, or the path of lowbit_gate_sim, built beside lowbit: the same counts, faster")
    p.add_argument("--period", type=float, default=20.0)
    p.add_argument("--sdf", action="store_true", help="with cell delays, so that glitches count")
    args = p.parse_args()
    args.work = os.path.abspath(args.work)
    args.beats = os.path.abspath(args.beats)
    try:
        print(json.dumps(measure(args, Library(args.liberty or DEFAULT_LIBERTY, args.dont_use, args.work)), indent=1))
    except (LibertyError, FlowError) as e:
        print(f"energy.py: {e}", file=sys.stderr)
        return getattr(e, "code", 3)
    return 0


if __name__ == "__main__":
    sys.exit(main())
