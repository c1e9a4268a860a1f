# SPDX-License-Identifier: MIT
"""The notebook of the first ten minutes runs, and its results are what its words say."""
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")


def test_first_ten_minutes(tmp_path):
    source = ROOT / "docs/notebooks/first_ten_minutes.ipynb"
    assert not any(cell.get("outputs") for cell in nbformat.read(source, as_version=4).cells), "commit the notebook without results"
    subprocess.run([sys.executable, ROOT / "scripts/run_notebook.py", source, tmp_path / "run.ipynb"], check=True, timeout=300,
                   env=os.environ | {"JUPYTER_RUNTIME_DIR": str(tmp_path), "IPYTHONDIR": str(tmp_path)})
    cells = nbformat.read(tmp_path / "run.ipynb", as_version=4).cells
    outputs = ["".join(str(o.get("text") or o["data"]["text/plain"]) for o in cell.get("outputs", [])) for cell in cells]
    report = next(text for cell, text in zip(cells, outputs) if "print(report)" in cell.source)
    assert "cause scale_rounding: " in report and "row 3, block 2: " in report and "1 scale bytes, 0 codes" in report
    difference = next(text for cell, text in zip(cells, outputs) if "except AssertionError" in cell.source)
    assert "first         (2, 1)" in difference
