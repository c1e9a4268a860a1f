#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `lowbit mac report` runs: units x formats x recipes, several at a time, each from the cache,
from stored.json or measured. Takes one JSON file, written by the command, and removes it."""
import concurrent.futures
import json
import multiprocessing
import os
import queue
import sys

import measure
import render
import stored
import sweep
import synth
import units
from cache import atomically
from liberty import LibertyError
from library import Library
from progress import Progress


def simulator(path):
    """Version of what counts the toggles; lowbit_gate_sim's is the hash of its source."""
    if path == "icarus":
        return synth.tool("iverilog", "-V")
    if not os.path.exists(path):
        raise synth.FlowError(f"{path}: not found; build the target lowbit_gate_sim, or use --simulator icarus", 5)
    return synth.tool(path, "--version")


def judge(row, clock_mhz):
    """Adds whether the design reaches the clock; a line for standard error where it does not."""
    row["clock_mhz"], row["meets_timing"] = clock_mhz, row["fmax_mhz"] >= clock_mhz
    if row["meets_timing"]:
        return None
    return (f"{row['unit']} {row['format']} {row['recipe']}: does not meet timing at {clock_mhz:g} MHz: "
            f"it reaches {row['fmax_mhz']:.1f} MHz, slack {1000 / clock_mhz - 1000 / row['fmax_mhz']:.2f} ns")


def warn(line):
    print("lowbit mac report: warning: " + line, file=sys.stderr)


def designs(spec):
    """(unit, format, point) of every row, those that take longest first: the last to end should be short."""
    recipes = [r for r in spec["recipes"].split(",") if r]
    for r in recipes:
        name, _, target = r.partition("@")
        if name not in synth.RECIPES or ("@" in r and not (target.isdigit() and 1 <= int(target) <= 1000000)):
            raise synth.FlowError(f"--recipes: no recipe {r}; there are {', '.join(sorted(synth.RECIPES))}, each also as NAME@PICOSECONDS", 2)
    if spec["sweep"] and (spec["lanes"] or spec["acc_width"] or spec["pipeline"] is not None):
        raise synth.FlowError("--sweep has its own points: leave --lanes, --acc-width and --pipeline out", 2)
    if recipes and spec["sweep"]:
        raise synth.FlowError("--sweep has its own recipes: leave --recipes out", 2)
    out = [(u, f, p) for u in spec["units"] for f in spec["formats"] if units.has(u, f)
           for p in (sweep.points(u) if spec["sweep"] else units.points(u, f, recipes, spec["lanes"], spec["acc_width"], spec["pipeline"]))]
    if not out:
        raise synth.FlowError("no unit has any of these formats", 2)
    return out


# Of a worker process: set before it starts, by fork.
_shared = {}


def _work(index, unit, fmt, point):
    def stage(text):
        _shared["stages"].put((index, text))

    return measure.row(_shared["spec"], unit, fmt, point, _shared["library"], _shared["tools"], stage)


def measured(spec, todo, library, tools):
    """{index: row} of (index, unit, format, point), spec["jobs"] at a time."""
    context = multiprocessing.get_context("fork")
    stages = context.Queue()
    _shared.update(spec=spec, library=library, tools=tools, stages=stages)
    progress = Progress(spec["progress"], len(todo))
    names = {i: f"{u} {f['name']} {units.name(p)}" for i, u, f, p in todo}
    running, rows = {}, {}
    # Large units first, so that the last to end is a short one.
    order = sorted(todo, key=lambda t: list(units.UNITS).index(t[1]), reverse=True)
    with concurrent.futures.ProcessPoolExecutor(min(spec["jobs"], len(todo)), context) as pool:
        futures = {pool.submit(_work, *task): task[0] for task in order}
        try:
            waiting = set(futures)
            while waiting:
                done, waiting = concurrent.futures.wait(waiting, timeout=0.5, return_when=concurrent.futures.FIRST_COMPLETED)
                while True:
                    try:
                        index, text = stages.get_nowait()
                    except queue.Empty:
                        break
                    running[index] = text
                for future in done:
                    rows[futures[future]] = future.result()
                progress.show(len(rows), [f"{names[i]}: {t}" for i, t in running.items() if i not in rows])
        except BaseException:
            # What has not begun is not begun; what runs ends (its result stays in the cache). Without the
            # wait, the inputs of what runs are deleted, and Python's exit may write to a pipe that the
            # pool's thread has closed: a traceback under the line of the error.
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        finally:
            progress.clear()
    return rows


def refuse_same_file(spec, library):
    """An output that is the Liberty file, also the default one; the command looks at the other inputs."""
    for form, path in spec["outputs"].items():
        for file in library.files:
            if path != "-" and os.path.exists(path) and os.path.samefile(path, file):
                raise synth.FlowError(f"--{form} {path}: is the same file as the input {file}; name another file to write", 2)


def made_from(spec, unit, fmt, point, library):
    """What another report needs to know in order to take the row instead of measuring (--rows)."""
    if spec["lef"] or spec["models"]:
        return {}
    return dict({"key": stored.key(unit, fmt, point, library)}, **({"wire_ff": spec["wire_ff"], "period_ns": spec["period_ns"]} if spec["energy"] else {}))


def rows_of(spec, todo, library):
    """The rows of these designs: stored, of an earlier report, cached or measured."""
    rows, missing = {}, []
    for i, (unit, fmt, point) in enumerate(todo):
        rows[i], reason = stored.row(spec, unit, fmt, point, library) if spec["stored"] else (None, None)
        if reason:
            warn(f"{unit} {fmt['name']} {units.name(point)}: {reason}; it is measured instead, which takes minutes")
        if rows[i] is None:
            missing.append((i, unit, fmt, point))
    if missing:
        tools = dict(synth.versions(), **({"simulator": simulator(spec["simulator"])} if spec["energy"] else {}))
        for line in synth.version_warnings(tools):
            warn(line)
        for i, row in measured(spec, missing, library, tools).items():
            rows[i] = dict(row, stored=False, **made_from(spec, *todo[i], library))
    rows = [rows[i] for i in range(len(todo))]
    for row, (unit, fmt, _) in zip(rows, todo):
        row["sqnr_db"], row["input_sqnr_db"] = round(fmt["sqnr_db"], 3), round(fmt["input_sqnr_db"], 3)
        row["accumulator_rel_rmse"] = fmt["accumulator_rel_rmse"][unit]
    return rows


def report(spec):
    library = Library(spec["liberty"] or synth.DEFAULT_LIBERTY, spec["dont_use"], os.path.join(spec["cache"], "libraries"))
    refuse_same_file(spec, library)
    spec["rows"] = [r for path in spec["rows"] for r in stored.read_rows(path)]
    todo = designs(spec)
    rows = rows_of(spec, todo, library)
    for _ in range(sweep.ROUNDS if spec["sweep"] else 0):
        more = sweep.closer(todo, rows, spec["clock_mhz"])
        if not more:
            break
        todo, rows = todo + more, rows + rows_of(spec, more, library)
    late = [judge(row, spec["clock_mhz"]) for row in rows] if spec["clock_mhz"] else []
    for unit, recipe, name, area, _ in render.ratios(rows):
        base = next(r for r in rows if (r["unit"], r["format"], r["recipe"]) == (unit, "if4", recipe))
        base["nand2_over_" + name.split("/")[1]] = round(area, 4)
    if spec["sweep"]:
        late = sweep.mark(rows, spec["clock_mhz"])
    write(rows, spec)
    late = [line for line in late if line]
    for line in late:
        print("lowbit mac report: " + line, file=sys.stderr)
    return 1 if late else 0


def write(rows, spec):
    if spec["plots"]:
        os.makedirs(spec["plots"], exist_ok=True)
        for file, _, svg in render.plots(rows):
            atomically(os.path.join(os.path.abspath(spec["plots"]), file), svg)
    for form, path in spec["outputs"].items():
        if path == "-":
            sys.stdout.write(render.render(form, rows, spec, spec["plots"]))
            continue
        path = os.path.abspath(path)
        figures = os.path.relpath(spec["plots"], os.path.dirname(path)) if spec["plots"] else ""
        atomically(path, render.render(form, rows, spec, figures))


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        spec = json.load(f)
    try:
        return report(spec)
    except (LibertyError, synth.FlowError) as e:
        print(f"lowbit mac report: {e}", file=sys.stderr)
        return getattr(e, "code", 3)
    except OSError as e:
        print(f"lowbit mac report: {e.filename}: {e.strerror}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130
    finally:
        for path in [sys.argv[1]] + [path for f in spec["formats"] for k, path in f.items() if k.startswith("beats")]:
            if os.path.exists(path):
                os.unlink(path)


if __name__ == "__main__":
    sys.exit(main())
