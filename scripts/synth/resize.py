# SPDX-License-Identifier: MIT
"""Exchanges cells for others of the same function: first for speed, then for area.

Speed: of the cells of OpenSTA's worst path, the exchange (next sizes up or down) that gains most is kept, until the goal
is met or no exchange makes the path shorter. Area: every cell becomes the smallest of its kind with which the worst path
stays within the goal. abc sizes without the delays and loads of flip-flops; OpenSTA has them, so flip-flops are exchanged
too."""
import collections
import os
import re
import subprocess

from boolean import truth_table
from netlist import cell_types, exchange


class Sta:
    """OpenSTA as a process that answers commands."""

    def __init__(self, commands, work):
        import synth
        try:
            self.process = subprocess.Popen(["sta", "-no_splash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                            cwd=work, text=True)
        except OSError:
            raise synth.FlowError("sta not found: install it (Debian package opensta)", 5) from None
        self.ask(commands)

    def ask(self, commands):
        """What the commands print. OpenSTA echoes its input: the mark below reads otherwise there."""
        self.process.stdin.write('puts [string repeat = 7]begin\n' + commands + '\nputs [string repeat = 7]end\n')
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.strip().endswith("=======begin"):
                lines = []
            elif line.strip().endswith("=======end"):
                return "".join(l for l in lines if not l.startswith("OpenSTA> "))
            else:
                lines.append(line)
        import synth
        raise synth.FlowError(f"OpenSTA ended: {lines[-1].strip() if lines else 'no message'}", 3)

    def slack(self):
        return float(self.ask("puts [worst_slack -max]").split()[-1])

    def close(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()


def families(library):
    """{cell: cells that can take its place, smallest first}: the same pins, functions and flip-flop."""
    groups = collections.defaultdict(list)
    for name, cell in library.cells.items():
        if name in library.unused or cell.all("latch") or cell.all("statetable") or cell.get("dont_use") == "true":
            continue
        inputs, outputs = library.functions(name)
        inputs = sorted(inputs)
        ff = cell.all("ff")
        tables = tuple((pin, f if ff else tuple(truth_table(f, inputs) or ())) for pin, f in sorted(outputs.items()) if f)
        if not tables or not all(t for _, t in tables) or re.search("clk|dly", name, re.I):
            continue
        state = tuple(sorted((k, str(v)) for k, v in ff[0].attributes.items()) + list(ff[0].args)) if ff else ()
        groups[tuple(inputs), tables, state].append(name)
    out = {}
    for names in groups.values():
        names.sort(key=lambda n: (library.area(n), drive(library, n)))
        for n in names:
            out[n] = names
    return out


def drive(library, name):
    return max((p.number("max_capacitance") for p in library.cells[name].all("pin") if p.get("direction") == "output"), default=0.0)


def path_cells(report):
    """Instances of a path report in its order."""
    found = []
    for line in report.splitlines():
        m = re.search(r"[\^v]\s+(\S+)/\S+ \((\S+)\)", line)
        if m and m.group(1) not in found:
            found.append(m.group(1))
    return found


def faster(sta, types, alike, goal, least):
    """Exchanges until the worst slack is `goal` or no exchange gains `least`. Returns the worst slack."""
    best = sta.slack()
    while best < goal:
        gain, choice = 0.0, None
        for name in path_cells(sta.ask("report_checks -path_delay max")):
            kind = types[name]
            names = alike.get(kind, [kind])
            at = names.index(kind)
            for other in names[max(0, at - 1):at + 3]:
                if other != kind:
                    slack = exchanged(sta, name, other)
                    if slack - best > gain:
                        gain, choice = slack - best, (name, other)
            sta.ask(f"replace_cell {{{name}}} {kind}")
        if choice is None or gain < least:
            break
        types[choice[0]] = choice[1]
        best = exchanged(sta, *choice)
    return best


def exchanged(sta, name, kind):
    return float(sta.ask(f"replace_cell {{{name}}} {kind}\nputs [worst_slack -max]").split()[-1])


def smaller(sta, types, alike, area, goal):
    """Smaller cells wherever the worst slack stays `goal` or above: many at a time, half as many where that fails."""
    def attempt(batch):
        slack = float(sta.ask("\n".join(f"replace_cell {{{n}}} {k}" for n, k in batch) + "\nputs [worst_slack -max]").split()[-1])
        if slack >= goal:
            types.update(batch)
            return
        sta.ask("\n".join(f"replace_cell {{{n}}} {types[n]}" for n, _ in batch))
        if len(batch) > 1:
            attempt(batch[:len(batch) // 2])
            attempt(batch[len(batch) // 2:])

    for _ in range(3):
        todo = []
        for name, kind in types.items():
            names = alike.get(kind, [kind])
            below = [n for n in names if area(n) < area(kind)]
            if below:
                todo.append((area(kind) - area(below[-1]), name, below[-1]))
        if not todo:
            break
        todo.sort(reverse=True)
        before = dict(types)
        for at in range(0, len(todo), 32):
            attempt([(n, k) for _, n, k in todo[at:at + 32]])
        if before == types:
            break


def resize(top, library, work, period, goal_ns):
    """Rewrites netlist.v in `work` for a worst path of at most goal_ns, or as short as it gets. Returns {cell type: number}."""
    import synth
    path = os.path.join(work, "netlist.v")
    types = cell_types(path)
    before = dict(types)
    alike = families(library)
    sta = Sta(synth.constraints(top, library, work, period), work)
    try:
        goal = (period - goal_ns) / library.time_ns
        slack = faster(sta, types, alike, goal, 1e-4 / library.time_ns)
        smaller(sta, types, alike, library.area, min(slack, goal))
    finally:
        sta.close()
    exchange(path, {n: k for n, k in types.items() if before[n] != k})
    return collections.Counter(types.values())
