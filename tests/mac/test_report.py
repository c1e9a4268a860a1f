#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parts of `lowbit mac report` that need no tool: ratios, the timing verdict, stored results,
version warnings, the Pareto front, and the permissions of what it writes."""
import json
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.normpath(os.path.join(HERE, "..", "..", "scripts", "synth")))
sys.dont_write_bytecode = True
import pareto  # noqa: E402
import report  # noqa: E402
import synth  # noqa: E402


def check(condition, message):
    if not condition:
        print("FAILED:", message)
        sys.exit(1)
    print("ok:", message)


class FakeLibrary:
    name = "stdcells"

    def __init__(self, path):
        self.path = path


def row(unit, fmt, nand2, energy=None, fmax=100.0):
    return {"unit": unit, "format": fmt, "recipe": "area", "nand2": nand2, "pj_per_mac": energy, "fmax_mhz": fmax}


def main():
    rows = [row("exact", "if4", 6000, 12.0), row("exact", "nvfp4", 4000, 8.0), row("exact", "nvint4", 5000), row("gst", "nvfp4", 1)]
    check(report.ratios(rows) == [("exact", "area", "if4/nvfp4", 1.5, 1.5), ("exact", "area", "if4/nvint4", 1.2, None)],
          "IF4 over NVFP4 and NVINT4, energy only where both have it")

    slow, fast = row("exact", "if4", 1, fmax=100.0), row("exact", "if4", 1, fmax=125.0)
    line = report.judge(slow, 125.0)
    check("does not meet timing at 125 MHz" in line and "-2.00 ns" in line and slow["meets_timing"] is False, "a late design is named")
    check(report.judge(fast, 125.0) is None and fast["meets_timing"] is True, "a design at the clock meets it")

    check(synth.version_warnings({"yosys": "Yosys 0.23 (git sha1 7ce5011c24b)", "opensta": "2.0.17"}) == [], "tested versions are silent")
    lines = synth.version_warnings({"yosys": "Yosys 0.33 (git)", "opensta": "unknown"})
    check(len(lines) == 2 and "yosys 0.33" in lines[0] and "unknown" in lines[1], "another version is named")

    check(pareto.front([(10, 100), (12, 100), (12, 150), (9, 90)]) == [True, False, True, True], "dominated points are off the front")

    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "out.json")
        old = os.umask(0o022)
        report.atomically(path, "x")
        check(os.stat(path).st_mode & 0o777 == 0o644, "mode 0644 under umask 022")
        os.umask(0o077)
        report.atomically(path, "x")
        os.umask(old)
        check(os.stat(path).st_mode & 0o777 == 0o600, "mode 0600 under umask 077")

        liberty = os.path.join(work, "stdcells.lib")
        with open(liberty, "w", encoding="utf-8") as f:
            f.write("library (stdcells) {}")
        library = FakeLibrary(liberty)
        fmt = {"name": "if4", "id": 13, "integers": True}
        report.STORED = os.path.join(work, "stored.json")
        with open(report.STORED, "w", encoding="utf-8") as f:
            json.dump({"tools": {"yosys": "1"}, "results": [dict(row("published", "if4", 7), library="stdcells",
                                                                  key=report.stored_key("published", fmt, "area", library))]}, f)
        found = report.stored_row("published", fmt, "area", library)
        check(found["stored"] and found["stored_matches"] and found["tools"] == {"yosys": "1"}, "a stored result is labelled")
        check(report.stored_row("published", fmt, "speed", library) is None, "no stored result of another recipe")
        with open(liberty, "a", encoding="utf-8") as f:
            f.write("\n")
        check(not report.stored_row("published", fmt, "area", library)["stored_matches"], "another library does not match")
    with open(os.path.join(HERE, "..", "..", "scripts", "synth", "stored.json"), encoding="utf-8") as f:
        stored = json.load(f)
    check(all({"unit", "format", "recipe", "library", "nand2", "fmax_mhz", "command", "key"} <= set(r) for r in stored["results"]),
          "every shipped stored result names its command")
    return 0


if __name__ == "__main__":
    sys.exit(main())
