# SPDX-License-Identifier: MIT
"""Checkpoints that libraries wrote (tests/data/interop): what the package says of them is what the command says."""
import json
import shutil
import subprocess

import lowbit
import pytest
from conftest import DATA

INTEROP = DATA / "interop"
ORIGINAL = INTEROP / "original"
WRITTEN = sorted(p.parent for p in INTEROP.rglob("*.safetensors") if not {"expected", "original"} & set(p.relative_to(INTEROP).parts))
WRITTEN = list(dict.fromkeys(WRITTEN))
# The original of gpt-oss is not among the data.
SCORED = [folder for folder in WRITTEN if folder.name != "gpt_oss"]


def output(command, *arguments):
    """stdout, whatever the exit code."""
    return subprocess.run([command.path, *map(str, arguments)], capture_output=True, text=True, timeout=120).stdout


def test_there_are_checkpoints():
    assert len(WRITTEN) >= 5 and len(SCORED) >= 4


@pytest.mark.parametrize("folder", WRITTEN, ids=lambda p: str(p.relative_to(INTEROP)))
def test_lint_and_inspect(command, folder):
    for reference in (None, ORIGINAL):
        options = [] if reference is None else ["--reference", reference]
        wanted = json.loads(output(command, "lint", folder, *options, "--json", "-"))["findings"]
        found = lowbit.lint(folder, reference)
        assert [{key: f[key] for key in ("kind", "file", "tensor", "text")} for f in found] == wanted
        lines = output(command, "lint", folder, *options).splitlines()[:-1]
        assert [str(f) for f in found] == lines
    wanted, = json.loads(output(command, "inspect", folder, "--json"))
    found = lowbit.inspect(str(folder))
    # JSON writes every digit of the binary32 numbers.
    assert json.loads(json.dumps(found["quantized"])) == wanted["quantized"] and wanted["quantized"]
    others = [t for t in found["tensors"] if t["name"] in {w["name"] for w in wanted["tensors"]}]
    assert sorted(others, key=lambda t: t["name"]) == sorted(wanted["tensors"], key=lambda t: t["name"])
    assert found["faults"] == []


@pytest.mark.parametrize("folder", SCORED, ids=lambda p: str(p.relative_to(INTEROP)))
def test_evaluate_as_stored(command, folder):
    wanted = output(command, "eval", folder, "--reference", ORIGINAL, "--json", "-")
    table = lowbit.evaluate(folder, reference=ORIGINAL)
    assert table.to_json() == wanted and table.rows
    assert str(table) + "\n" == output(command, "eval", folder, "--reference", ORIGINAL, "--per-tensor")
    name = table.rows[-1]["tensor"]
    assert [row["tensor"] for row in lowbit.evaluate(folder, reference=ORIGINAL, include=f"^{name}$").rows] == [name]
    with pytest.raises(lowbit.UsageError, match="no formats"):
        lowbit.evaluate(folder, ["nvfp4"], reference=ORIGINAL)
    code, line = command.fails("eval", folder)
    with pytest.raises(lowbit.UsageError) as raised:
        lowbit.evaluate(folder, ["nvfp4"])
    assert (raised.value.exit_code, str(raised.value)) == (code, line)


def test_no_weight_of_the_original(command):
    code, line = command.fails("eval", INTEROP / "gpt_oss", "--reference", ORIGINAL)
    with pytest.raises(lowbit.UsageError) as raised:
        lowbit.evaluate(INTEROP / "gpt_oss", reference=ORIGINAL)
    assert (raised.value.exit_code, str(raised.value)) == (code, line)


def test_a_fault_is_found_and_refused(command, tmp_path):
    source = next(p for p in WRITTEN if "modelopt" in str(p))
    folder = shutil.copytree(source, tmp_path / "broken")
    for file in folder.glob("*.safetensors"):
        data = file.read_bytes()
        # A weight's second scale under another name is a missing scale.
        file.write_bytes(data.replace(b"weight_scale_2", b"weight_scale_3"))
    found = lowbit.lint(folder)
    assert found and [str(f) for f in found] == output(command, "lint", folder).splitlines()[:-1]
    assert lowbit.inspect(folder)["faults"]
    with pytest.raises(lowbit.InvalidInputError):
        lowbit.evaluate(folder, reference=ORIGINAL)
    for call in (lowbit.lint, lambda a, b: lowbit.evaluate(a, reference=b)):
        with pytest.raises(lowbit.InvalidInputError):
            call(source, folder)
    with pytest.raises(lowbit.InvalidInputError, match="nowhere"):
        lowbit.lint(tmp_path / "nowhere")
