#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The instruction gate (gate.py) on faults: a program in place of valgrind gives every kernel the same count.

usage: check_gate.py
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import gate  # noqa: E402

COUNT = 100_000
failures = []


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)

        def valgrind(text):
            tools = work / "tools"
            tools.mkdir(exist_ok=True)
            (tools / "valgrind").write_text(f"#!/bin/sh\n{text}\n")
            (tools / "valgrind").chmod(0o755)
            return tools

        counting = f"echo '==1== Collected : {COUNT * 10}' >&2"

        def check(what, stored, code, words, tools=counting, compiler="GNU 1 -O2", path=True):
            file = work / "counts.json"
            file.unlink(missing_ok=True)
            if stored is not None:
                file.write_text(stored if isinstance(stored, str) else json.dumps(stored))
            places = [str(valgrind(tools))] if path else []
            done = subprocess.run([sys.executable, gate.__file__, "--program", "kernels", "--compiler", compiler, "--stored", file],
                                  capture_output=True, text=True, env={**os.environ, "PATH": os.pathsep.join(places)})
            text = done.stdout + done.stderr
            if done.returncode != code or words not in text or "Traceback" in text:
                failures.append(what)
                print(f"FAILED: {what}: exit {done.returncode}, {code} expected: {text[-400:]}")

        def stored(**changed):
            counts = dict.fromkeys(gate.NAMES, COUNT)
            counts.update(changed)
            return {"compiler": "GNU 1 -O2", "counts": counts}

        last = gate.NAMES[-1]
        check("the stored counts", stored(), 0, last)
        check("a count that grew by 5.3 %", stored(**{last: round(COUNT / 1.053)}), 1, f"{last}: {COUNT} instructions")
        check("the same: words", stored(**{last: round(COUNT / 1.053)}), 1, "GREW by more than 5 %")
        check("a count that grew by 4.9 %", stored(**{last: round(COUNT / 1.049)}), 0, last)
        check("a count that became less", stored(**{last: COUNT * 2}), 0, last)
        check("another compiler", stored(), gate.SKIPPED, "skipped: counts are of GNU 1 -O2, this is GNU 2", compiler="GNU 2")
        check("no valgrind", stored(), gate.SKIPPED, "skipped: no valgrind", path=False)
        check("no file", None, 1, "no stored counts")
        check("no JSON", "{", 1, "no stored counts")
        check("no counts", {"compiler": "GNU 1 -O2"}, 1, "no stored counts")
        check("empty rows", {"compiler": "GNU 1 -O2", "counts": {}}, 1, "has no stored count")
        less = stored()
        del less["counts"][last]
        check("one row less", less, 1, f"{last}: {COUNT} instructions per 4,096 elements, - stored")
        check("a row that nothing measures", stored(**{"quantize x y AVX2": 1}), 1, "is stored and not a kernel")
        check("a kernel that counts nothing", stored(), 1, gate.NAMES[0], tools="echo '==1== Collected : 0' >&2")
        check("a kernel that dies", stored(), 1, "exit 4", tools=f"{counting}; exit 4")
        check("an instruction set that is not there", stored(), gate.SKIPPED, "skipped: this machine has no scalar",
              tools=f"exit {gate.SKIPPED}")
    if failures:
        return 1
    print("gate: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
