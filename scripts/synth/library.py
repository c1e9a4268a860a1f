# SPDX-License-Identifier: MIT
"""A cell library: one or several Liberty files, its units, and the cells that the flow asks for by function.

A library that cannot be used (no timing, no flip-flop, no NAND2, the same cell twice, files of different units or
corners) raises LibertyError with one line that says what is missing or what differs.
"""
import fnmatch
import os
import re

from boolean import truth_table
from cache import atomically, digest
from liberty import LibertyError, parse_text, read

_SCALE = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
# What decides the meaning of every figure: these must be equal in all files of a library.
_COMMON = ("time_unit", "voltage_unit", "current_unit", "leakage_power_unit", "capacitive_load_unit", "nom_process", "nom_voltage", "nom_temperature",
           "slew_lower_threshold_pct_rise", "slew_upper_threshold_pct_rise", "input_threshold_pct_rise", "output_threshold_pct_rise")


def _quantity(text, unit, default):
    """"10ps" as a number of `unit` without prefix: 1e-11."""
    match = re.fullmatch(r"\s*([\d.]+)\s*([munpf]?)" + unit + r"\s*", str(text or "").strip('"'), re.I)
    return float(match.group(1)) * _SCALE[match.group(2).lower()] if match else default


class Library:
    """Cells by name. path: one Liberty file that yosys, abc and OpenSTA can read: the file itself, or (several files,
    .gz, cells not to use) a file that is written into `folder`."""

    def __init__(self, files, dont_use=(), folder=None):
        self.files = [files] if isinstance(files, str) else list(files)
        self.dont_use = list(dont_use)
        texts = [read(f) for f in self.files]
        groups = [parse_text(t, f) for t, f in zip(texts, self.files)]
        self.group = groups[0]
        # All cells, also those not to use: the unit of area is the library's smallest NAND2.
        self.cells, home = {}, {}
        for file, group in zip(self.files, groups):
            for cell in group.all("cell"):
                if not cell.args:
                    continue
                if cell.args[0] in self.cells:
                    raise LibertyError(f"{file}:{cell.line}: cell {cell.args[0]} is already in {home[cell.args[0]]}; leave one of the files out")
                self.cells[cell.args[0]], home[cell.args[0]] = cell, file
        self._same_units(groups)
        self.templates = {t.args[0]: t for g in groups for t in g.groups if t.kind in ("power_lut_template", "lu_table_template") and t.args}
        self.name = self._name(groups)
        where = ", ".join(self.files)
        if not self.cells:
            raise LibertyError(f"{where}: no cells")
        self.nand2 = self._smallest(["A", "B"], [[1, 1, 1, 0]])
        self.unused = {c for c in self.cells if any(fnmatch.fnmatchcase(c, p) for p in self.dont_use)}
        for pattern in self.dont_use:
            if not any(fnmatch.fnmatchcase(c, pattern) for c in self.cells):
                raise LibertyError(f"{where}: no cell is named {pattern}, the pattern of cells not to use")
        if not any(t.groups for c in self.cells.values() for p in c.all("pin") for t in p.all("timing")):
            raise LibertyError(f"{where}: no cell has timing tables; a timing library is needed")
        if not any(c.all("ff") for n, c in self.cells.items() if n not in self.unused):
            raise LibertyError(f"{where}: no flip-flop (ff group) in any cell")
        if self.nand2 is None:
            raise LibertyError(f"{where}: no two-input NAND, the unit of area")
        self._units()
        self.full_adder = self._adder()
        self.buffer = self._buffer()
        self.path = self.files[0]
        if len(self.files) > 1 or self.unused or self.path.endswith(".gz"):
            self.path = self._write(texts, groups, folder)

    def _same_units(self, groups):
        for file, group in zip(self.files[1:], groups[1:]):
            for key in _COMMON:
                if group.get(key) != self.group.get(key):
                    raise LibertyError(f"{file}: {key} is {group.get(key)}, in {self.files[0]} {self.group.get(key)}: name files of one corner")

    @staticmethod
    def _name(groups):
        names = [g.args[0] if g.args else "unnamed" for g in groups]
        common = os.path.commonprefix(names).rstrip("_- ")
        return common or names[0]

    def _units(self):
        g = self.group
        load = g.get("capacitive_load_unit") or ["1", "pf"]
        self.cap_pf = round((_quantity("".join(load), "f", 1e-12) if len(load) > 1 else 1e-12) * 1e12, 9)
        self.time_ns = round(_quantity(g.get("time_unit"), "s", 1e-9) * 1e9, 9)
        self.leakage_pw = round(_quantity(g.get("leakage_power_unit"), "W", 1e-9) * 1e12, 9)
        # Load of an output and of abc: four NAND2 inputs, to one digit (50 fF in the OSU libraries).
        caps = [p.number("capacitance") for p in self.cells[self.nand2].all("pin") if p.get("direction") == "input"]
        self.load_pf = float(f"{4 * self.cap_pf * sum(caps) / len(caps):.0e}") if caps else 0.05
        # Transition at inputs and of power tables.
        self.slew_ns = 0.2 if self.time_ns >= 0.1 else 0.02

    @property
    def corner(self):
        """{voltage V, temperature C, process} of the file, and where slews are measured."""
        g = self.group
        conditions = {c.args[0]: c for c in g.all("operating_conditions") if c.args}
        default = conditions.get(str(g.get("default_operating_conditions", "")).strip('"')) or next(iter(conditions.values()), g)
        low, high = g.get("slew_lower_threshold_pct_rise"), g.get("slew_upper_threshold_pct_rise")
        return {"voltage": g.number("nom_voltage", default.number("voltage")), "temperature": g.number("nom_temperature", default.number("temperature")),
                "slew_thresholds_pct": [float(low), float(high)] if low and high else None,
                "delay_threshold_pct": g.number("input_threshold_pct_rise", 50.0)}

    def _write(self, texts, groups, folder):
        """The cells to use of all files in one: the first file without the others' cells, then what the others have beside it."""
        if folder is None:
            raise LibertyError(f"{', '.join(self.files)}: several files, .gz and cells not to use need a folder for the joined library")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"library_{digest(*self.files, *self.dont_use)}.lib")
        if os.path.exists(path):
            return path
        parts, at = [], self.group.begin
        for g in self.group.all("cell"):
            if g.args and g.args[0] in self.unused:
                parts.append(texts[0][at:g.begin])
                at = g.end
        parts.append(texts[0][at:self.group.end - 1])
        have = {(g.kind, *g.args) for g in self.group.groups}
        for text, group in zip(texts[1:], groups[1:]):
            for g in group.groups:
                if g.kind == "cell":
                    if g.args and g.args[0] not in self.unused:
                        parts.append(text[g.begin:g.end])
                elif "template" in g.kind and (g.kind, *g.args) not in have:
                    have.add((g.kind, *g.args))
                    parts.append(text[g.begin:g.end])
        atomically(path, "\n".join(parts) + "\n}\n")
        return path

    def area(self, cell):
        return self.cells[cell].number("area")

    def pins(self, cell, direction):
        return [p.args[0] for p in self.cells[cell].all("pin") if p.get("direction") == direction]

    def functions(self, cell):
        """(input pins, {output pin: function or None})."""
        outputs = {p.args[0]: p.get("function") for p in self.cells[cell].all("pin") if p.get("direction") == "output"}
        return self.pins(cell, "input"), outputs

    def _candidates(self, input_count, output_count):
        found = []
        for name, cell in self.cells.items():
            if name in getattr(self, "unused", ()) or cell.get("dont_use") == "true" or cell.all("ff") or cell.all("latch") or cell.number("area") <= 0:
                continue
            inputs, outputs = self.functions(name)
            if len(inputs) == input_count and len(outputs) == output_count and all(outputs.values()):
                found.append((cell.number("area"), name, inputs, outputs))
        return sorted(found)

    def _smallest(self, pins, tables):
        for _, name, inputs, outputs in self._candidates(len(pins), len(tables)):
            if [truth_table(f, inputs) for f in outputs.values()] == tables:
                return name
        return None

    def _adder(self):
        """(cell, inputs, (sum pin, inverted), (carry pin, inverted)) of the smallest full adder, or None. ASAP7's has both outputs inverted."""
        ones = [bin(v).count("1") for v in range(8)]
        wanted = {"sum": [n & 1 for n in ones], "carry": [n >> 1 for n in ones]}
        for _, name, inputs, outputs in self._candidates(3, 2):
            found = {}
            for pin, function in outputs.items():
                table = truth_table(function, inputs)
                for what, right in wanted.items():
                    if table in (right, [1 - b for b in right]):
                        found[what] = pin, table != right
            if len(found) == 2:
                return name, inputs, found["sum"], found["carry"]
        return None

    def _buffer(self):
        """A buffer to drive the inputs with, no clock buffer: the second smallest (BUFX4 in the OSU libraries)."""
        found = [c for c in self._candidates(1, 1) if truth_table(next(iter(c[3].values())), c[2]) == [0, 1]]
        found = [c for c in found if not re.search("clk|dly|delay", c[1], re.I)] or found
        return found[min(1, len(found) - 1)][1] if found else None
