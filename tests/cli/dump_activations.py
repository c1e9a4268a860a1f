#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""scripts/dump_activations.py with a model that stands in for PyTorch: what is recorded, and that
`lowbit eval --activations` reads it.

usage: dump_activations.py [--lowbit PATH]
"""
import argparse
import math
import pathlib
import subprocess
import sys
import tempfile

import tensors

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "scripts"))
import dump_activations  # noqa: E402

failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")


class Tensor:
    """As much of torch.Tensor as the recorder touches."""

    def __init__(self, shape, values):
        self.shape, self.values = shape, values

    def detach(self):
        return self

    float = cpu = detach

    def reshape(self, rows, columns):
        assert rows == -1
        return Tensor([len(self.values) // columns, columns], self.values)

    def tolist(self):
        n = self.shape[-1]
        return [self.values[i:i + n] for i in range(0, len(self.values), n)]


class Module:
    def __init__(self, weight):
        self.weight, self.hooks = weight, []

    def register_forward_pre_hook(self, hook):
        self.hooks.append(hook)
        outer = self

        class Handle:
            def remove(self):
                outer.hooks.remove(hook)
        return Handle()

    def __call__(self, x):
        for hook in self.hooks:
            hook(self, (x,))


class Embedding(Module):
    pass


class Model:
    def __init__(self):
        self.modules = {"": Module(None), "a": Module(Tensor([64, 32], [])), "b": Module(Tensor([8, 4], [])),
                        "norm": Module(Tensor([4], [])), "words": Embedding(Tensor([100, 4], [])),
                        "turned": Module(Tensor([4, 12], []))}

    def named_modules(self):
        return self.modules.items()


def values(count, seed):
    return [math.sin(seed + 0.37 * i) for i in range(count)]


def recording():
    model = Model()
    with dump_activations.Recorder(model, tokens=5, seed=3) as recorder:
        check(not model.modules["norm"].hooks and not model.modules["words"].hooks, "only layers of a matrix are hooked")
        for call in range(4):
            model.modules["a"](Tensor([1, 3, 32], values(96, call)))
            model.modules["b"](Tensor([1, 4], values(4, call)))
            model.modules["turned"](Tensor([2, 4], values(8, call)))
    check(not any(m.hooks for m in model.modules.values()), "the hooks are removed")
    model.modules["a"](Tensor([1, 3, 32], values(96, 9)))
    found = recorder.tensors(moments=True)
    check(sorted(found) == ["a.importance", "a.input", "b.importance", "b.input"], f"recorded: {sorted(found)}")
    every = [values(96, call)[32 * t:32 * t + 32] for call in range(4) for t in range(3)]
    shape, data = found["a.input"]
    rows = [data[i:i + 32] for i in range(0, len(data), 32)]
    check(shape == [5, 32] and all(row in every for row in rows) and len({tuple(r) for r in rows}) == 5, "five different tokens of twelve")
    check(any(row in every[5:] for row in rows), "later tokens are kept, too")
    check(found["b.input"] == ([4, 4], [v for call in range(4) for v in values(4, call)]), "fewer tokens than asked for: all of them")
    wanted = [sum(row[k] ** 2 for row in every) / 12 for k in range(32)]
    check(max(abs(g - w) for g, w in zip(found["a.importance"][1], wanted)) < 1e-12, "second moments are over every token")
    again = dump_activations.Recorder(Model(), tokens=5, seed=3)
    with again:
        for call in range(4):
            again.model.modules["a"](Tensor([1, 3, 32], values(96, call)))
    check(again.tensors()["a.input"] == found["a.input"], "the same seed gives the same tokens")
    # Every token has the same chance: 3 of 12 over many seeds.
    counts = [0] * 12
    for seed in range(400):
        layer = dump_activations.Layer(3, seed)
        layer.add([[float(t)] for t in range(12)])
        for row in layer.rows:
            counts[int(row[0])] += 1
    check(all(60 <= c <= 145 for c in counts), f"chances of tokens: {counts}")
    try:
        with dump_activations.Recorder(Model(), layers="nobody"):
            check(False, "a pattern without a match is refused")
    except ValueError:
        pass
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowbit")
    options = parser.parse_args()
    found = recording()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        dump_activations.write(folder / "x.safetensors", found, {"model": "stub"})
        back, metadata = tensors.read(folder / "x.safetensors")
        check(metadata == {"model": "stub"}, "metadata")
        for key, (shape, data) in found.items():
            check(back[key][:2] == ("F32", shape), f"{key}: {back[key][:2]}")
            check(max(abs(a - b) for a, b in zip(tensors.floats(back[key][2]), data)) < 1e-6, f"values of {key}")
        check([p.name for p in folder.iterdir()] == ["x.safetensors"], "no temporary file is left")
        try:
            dump_activations.write(folder / "y.safetensors", {"t": ([1], ["no number"])})
        except Exception:
            pass
        check([p.name for p in folder.iterdir()] == ["x.safetensors"], "a failed write leaves nothing behind")
        if options.lowbit:
            tensors.write(folder / "w.safetensors", {"a.weight": ("F32", [64, 32], tensors.pack(values(2048, 1)))})
            done = subprocess.run([options.lowbit, "eval", "w.safetensors", "--activations", "x.safetensors", "--format", "nvfp4",
                                   "--csv", "-"], cwd=folder, capture_output=True, text=True, timeout=300)
            check(done.returncode == 0 and "output_sqnr_db" in done.stdout, f"lowbit eval: {done.stderr}")
    if failures:
        raise SystemExit(f"{len(failures)} checks failed")
    print("dump_activations: all checks passed")


if __name__ == "__main__":
    main()
