# SPDX-License-Identifier: MIT
"""The lines of Python on README and docs/python.md run, with the shipped files in the places of the reader's."""
import re

import lowbit
import numpy as np
from conftest import DATA

ROOT = DATA.parent.parent
FILES = {
    "model.safetensors": DATA / "minilm_sample.safetensors", "quantized_folder": DATA / "interop/torchao",
    "original_folder": DATA / "interop/original",
}


def run(page, names):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    for block in blocks:
        for name, path in FILES.items():
            block = block.replace(f'"{name}"', repr(str(path)))
        exec(compile(block, page, "exec"), names)
    return len(blocks)


def test_readme(capsys):
    assert run("README.md", {}) == 1
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[-4:]] == ["nvfp4:static_6", "nvfp4:mse", "if4:mse", "mxfp4:floor"]


def test_python_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the page writes q.safetensors
    x = np.random.default_rng(0).standard_normal((64, 256), dtype="float32")
    q = lowbit.quantize(x, "nvfp4:mse")
    half = x.astype(np.float16)
    names = {
        "x": x, "qa": q, "qb": q, "a": half[:, :32], "b": half[:32], "c": np.zeros((64, 256), np.float32), "my_gemm": lowbit.exact_gemm,
        "values": q.values, "scales": q.scales, "amax": q.amax, "my_kernel": lambda _: (q.values, q.scales, q.amax),
    }
    assert run("docs/python.md", names) >= 5
    names["test_kernel"]()
    names["my_kernel"] = lambda _: (q.values ^ 1, q.scales, q.amax)
    try:
        names["test_kernel"]()
    except lowbit.MismatchError:
        return
    raise AssertionError("a wrong kernel passes the page's test")
