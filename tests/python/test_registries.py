# SPDX-License-Identifier: MIT
"""The lists of formats, dialects, codecs, metrics and instructions are the command's."""
import json

import lowbit
import numpy as np
import pytest


@pytest.fixture(scope="module")
def listed(command):
    return json.loads(command("formats", "--json"))


def test_formats(listed):
    own = lowbit.formats()
    assert len(own) == len(listed["block_formats"]) > 20
    for record, wanted in zip(own, listed["block_formats"]):
        for name in ("name", "element", "scale", "block_size", "bits_per_element", "default_rule"):
            assert record[name] == wanted[name]
        assert record["integer"] == wanted["integer_element"]
        # `search` takes a number.
        assert record["rules"] == [rule for rule in wanted["rules"] if not rule.startswith("search")]


def test_dialects(listed, command):
    own = lowbit.dialects()
    assert [{name: record[name] for name in ("name", "summary")} for record in own] == listed["dialects"]
    everything = [record["name"] for record in lowbit.formats()]
    for record in own:
        assert record["formats"] and [name for name in everything if name in record["formats"]] == record["formats"]
    wanted = {record["name"]: record for record in json.loads(command("dialects", "--json"))}
    for record in own:
        assert {name: record[name] for name in ("formats", "rules")} == {
            name: wanted[record["name"]][name] for name in ("formats", "rules")}
    formats = {record["name"]: record["formats"] for record in own}
    rules = {record["name"]: record["rules"] for record in own}
    # Transformer Engine does not choose by the largest error; searches of a scale are no program's.
    assert rules["te_ge_2.14"]["nvfp4"] == ["static_6", "mse", "mae"] and "abs_max" in rules["canonical"]["nvfp4"]
    assert not any(rule in names for by_format in rules.values() for names in by_format.values()
                   for rule in ("search", "optimal"))
    assert formats["canonical"] == everything
    # Transformer Engine has no MXFP4, and a dialect of MX formats no NVFP4.
    assert "nvfp4" in formats["te_ge_2.14"] and "mxfp4" not in formats["te_ge_2.14"]
    assert any("mxfp4" in names and "nvfp4" not in names for names in formats.values())


def test_codecs_and_metrics(command):
    lines = [" ".join(line.split()) for line in command("eval", "--help").splitlines()]
    for codec in lowbit.codecs():
        assert f"{codec['name']} {codec['summary']}" in lines
    for metric in lowbit.metrics():
        assert f"{metric['name']} {metric['formula']}" in lines
    headings = lowbit.evaluate(np.ones((2, 16), np.float32), ["nvfp4"]).to_markdown()
    for metric in lowbit.metrics():
        # The errors of layer outputs have columns only where activations were given.
        assert metric["name"].startswith("output_") or f" {metric['heading']} ".replace("|", r"\|") in headings


def test_instructions(command):
    names = [line.split()[0] for line in command("mma", "--list").splitlines() if "mma" in line.split(" ")[0]]
    assert lowbit.instructions() == names and len(names) > 50
