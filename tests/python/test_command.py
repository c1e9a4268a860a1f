# SPDX-License-Identifier: MIT
"""Every function gives what the command gives, byte for byte, over all formats and rules."""
import json
import subprocess

import lowbit
import numpy as np
import pytest
from conftest import DATA, awkward, read, write

PAIRS = [(f["name"], rule) for f in lowbit.formats() for rule in f["rules"]]
# The rule that takes a number, for the formats that have scales to search.
SEARCHES = [(f["name"], "search:2") for f in lowbit.formats() if "optimal" in f["rules"]]
CODECS = [c["name"] for c in lowbit.codecs()]


def same_file(command, tmp_path, array, arguments, **options):
    """lowbit.quantize and save give the very file of `lowbit quantize`."""
    source = write(tmp_path / "in.safetensors", t=array)
    command("quantize", source, "-o", tmp_path / "command.safetensors", "--tensor", "t", *arguments)
    layout = options.pop("scale_layout", "linear")
    dtype = "BF16" if array.dtype == np.uint16 else None
    q = lowbit.quantize(array, dtype=dtype, **options)
    q.save(tmp_path / "python.safetensors", name="t", scale_layout=layout)
    assert (tmp_path / "python.safetensors").read_bytes() == (tmp_path / "command.safetensors").read_bytes()
    return q


@pytest.mark.parametrize("format,rule", PAIRS + SEARCHES)
def test_quantize_and_dequantize(command, tmp_path, x, format, rule):
    for name, array in {"f32": x, "f16": x.astype(np.float16), "bf16": (x.view(np.uint32) >> 16).astype(np.uint16)}.items():
        array = np.where(np.isfinite(array), array, array.dtype.type(0)) if name == "f16" else array
        q = same_file(command, tmp_path, array, ["--format", format, "--rule", rule], format=f"{format}:{rule}")
        command("dequantize", tmp_path / "command.safetensors", "-o", tmp_path / "back.safetensors")
        back = read(tmp_path / "back.safetensors")["t"]
        assert q.dequantize().tobytes() == back.tobytes()
        loaded = lowbit.load(tmp_path / "command.safetensors")
        assert loaded.values.tobytes() == q.values.tobytes() and loaded.scales.tobytes() == q.scales.tobytes()
        assert (loaded.format, loaded.rule, loaded.shape) == (format, rule, x.shape)


@pytest.mark.parametrize("dialect", lowbit.dialects(), ids=lambda record: record["name"])
def test_dialects(command, tmp_path, dialect):
    """Every format of every dialect by every rule that it has there; formats that it has not are refused by both."""
    x, name = awkward(4, 64, seed=3), dialect["name"]
    assert set(dialect["rules"]) == set(dialect["formats"]) and all(dialect["rules"].values())
    for format, rules in dialect["rules"].items():
        for rule in rules:
            rule = "search:2" if rule == "search" else rule
            arguments = ["--format", format, "--rule", rule, "--dialect", name]
            q = same_file(command, tmp_path, x, arguments, format=format, rule=rule, dialect=name)
        command("dequantize", tmp_path / "command.safetensors", "-o", tmp_path / "back.safetensors")
        assert q.dequantize().tobytes() == read(tmp_path / "back.safetensors")["t"].tobytes()
    # Others fall back to canonical arithmetic or are refused, by both.
    for format in {"nvfp4", "if4", "mxfp4", "if3"} - set(dialect["formats"]):
        arguments = ["--format", format, "--dialect", name]
        done = subprocess.run([command.path, "quantize", tmp_path / "in.safetensors", "-o", tmp_path / "try.safetensors", *arguments],
                              capture_output=True)
        if done.returncode == 0:
            same_file(command, tmp_path, x, arguments, format=format, dialect=name)
        else:
            assert done.returncode == lowbit.UsageError.exit_code
            with pytest.raises(lowbit.UsageError):
                lowbit.quantize(x, format, dialect=name)


OPTIONS = [
    (["--axis", "0"], {"axis": 0}),
    (["--transpose"], {"transpose": True}),
    (["--block-2d"], {"block_2d": True}),
    (["--rht"], {"hadamard": True}),
    (["--amax", "9000"], {"amax": 9000.0}),
    (["--scale-max", "256"], {"scale_max": 256.0}),
    (["--scale-layout", "swizzled"], {"scale_layout": "swizzled"}),
]


@pytest.mark.parametrize("arguments,options", OPTIONS, ids=lambda o: str(o))
def test_options(command, tmp_path, arguments, options):
    x = awkward(32, 96, seed=1)
    same_file(command, tmp_path, x, ["--format", "nvfp4", "--rule", "mse", *arguments], format="nvfp4", rule="mse", **options)


@pytest.mark.parametrize("rule", ["optimal", "search:3"])
def test_importance(command, tmp_path, x, rule):
    importance = np.random.default_rng(9).random(x.shape[1], dtype=np.float32)
    write(tmp_path / "importance.safetensors", **{"t.importance": importance})
    arguments = ["--format", "nvfp4", "--rule", rule, "--importance", tmp_path / "importance.safetensors"]
    q = same_file(command, tmp_path, x, arguments, format="nvfp4", rule=rule, importance=importance)
    assert q.values.tobytes() != lowbit.quantize(x, "nvfp4", rule=rule).values.tobytes()
    with pytest.raises(lowbit.UsageError):
        lowbit.quantize(x, "nvfp4:mse", importance=importance)


@pytest.mark.parametrize("policy", ["saturate", "propagate"])
def test_nonfinite(command, tmp_path, x, policy):
    x = x.copy()
    x[3, 5], x[4, 70], x[5, 1] = np.nan, np.inf, -np.inf
    same_file(command, tmp_path, x, ["--format", "nvfp4", "--nonfinite", policy], format="nvfp4", nonfinite=policy)


@pytest.mark.parametrize("rounding", ["stochastic", "stochastic_unbiased"])
def test_stochastic(command, tmp_path, x, rounding):
    random = np.random.default_rng(5).random((2, 6, 80), dtype=np.float32)
    write(tmp_path / "random.safetensors", rand0=random[0], rand1=random[1])
    same_file(command, tmp_path, x, ["--format", "nvfp4", f"--{rounding.replace('_', '-')}", "--random", tmp_path / "random.safetensors"],
              format="nvfp4", rounding=rounding, random0=random[0], random1=random[1])


@pytest.mark.parametrize("shape,axis", [((16,), 0), ((3, 5, 48), 1), ((2, 3, 4, 20), -1), ((40, 7), 0), ((1, 1), -1), ((0, 16), -1)])
def test_shapes(command, tmp_path, shape, axis):
    x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    q = same_file(command, tmp_path, x, ["--format", "nvfp4", "--axis", str(axis)], format="nvfp4", axis=axis)
    assert q.dequantize().shape == shape == q.shape


@pytest.mark.parametrize("layout,shape", [("hwio", (3, 2, 16, 5)), ("io", (32, 6)), ("oihw", (4, 8, 3, 2)), ("ohwi", (3, 2, 2, 16))])
@pytest.mark.parametrize("transposed", [[], ["--transpose"]])
def test_recorded_layouts_are_followed(command, tmp_path, layout, shape, transposed):
    """A file of `lowbit quantize` that records a weight layout: back to the tensor, and held to it."""
    x = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    source, dump = write(tmp_path / "in.safetensors", t=x), tmp_path / "q.safetensors"
    command("quantize", source, "-o", dump, "--tensor", "t", "--format", "nvfp4", "--weight-layout", layout, *transposed)
    command("dequantize", dump, "-o", tmp_path / "back.safetensors")
    back = read(tmp_path / "back.safetensors")["t"]
    q = lowbit.load(dump)
    assert back.shape == shape and q.dequantize().shape == shape and q.dequantize().tobytes() == back.tobytes()
    assert q.dequantize(as_quantized=True).shape == (q.rows, q.columns)
    assert lowbit.verify_quantize(x, dump)
    assert not lowbit.verify_quantize(x[::-1], dump)


def test_evaluate_prints_what_eval_prints(command):
    formats = [f"{format}:{rule}" for format, rule in PAIRS + SEARCHES] + CODECS + ["keep"]
    arguments = [word for format in formats for word in ("--format", format)]
    sample = DATA / "minilm_sample.safetensors"
    table = lowbit.evaluate(sample, formats, all=True)
    # Every float tensor, weight or not, and each of them printed.
    arguments.append("--all")
    assert str(table) + "\n" == command("eval", sample, *arguments, "--per-tensor")
    assert table.to_json() == command("eval", sample, *arguments, "--json", "-")
    assert table.to_csv() == command("eval", sample, *arguments, "--csv", "-")
    assert table.to_markdown() == command("eval", sample, *arguments, "--markdown", "-")
    report = json.loads(table.to_json())
    wanted = [result for tensor in report["tensors"] for result in tensor["results"]]
    assert len(wanted) == len(table.rows) > 0 and len(table.totals) == len(formats)
    for row, want in zip(table.rows + table.totals, wanted + report["total"]):
        assert want.pop("relative_rmse") == want["rel_l2"]  # the old name, which the binding never had
        for name, number in want.items():
            assert row[name] == number or (number is None and (row[name] is None or not np.isfinite(row[name])))
    assert table._repr_html_().count("<tr>") == 1 + len(table.rows)
    # A column for each metric that a row has.
    assert table._repr_html_().count("<th>") == 2 + sum(metric in row for metric in [m["name"] for m in lowbit.metrics()])
    assert table._repr_html_().count("<td>") == len(table.rows) * table._repr_html_().count("<th>")
    assert list(table.to_pandas().columns) == list(table.rows[0]) and len(table.to_pandas()) == len(table.rows)
    assert all(isinstance(row["shape"], tuple) for row in table.rows)


@pytest.mark.parametrize("options,arguments", [
    ({}, []),
    ({"include": "query"}, ["--include", "query"]),
    ({"include": ["query", "output"], "exclude": "bias"}, ["--include", "query", "--include", "output", "--exclude", "bias"]),
    ({"weight_layout": "io"}, ["--weight-layout", "io"]),
    ({"axis": 0}, ["--axis", "0"]),
    ({"dialect": "torchao"}, ["--dialect", "torchao"]),
], ids=str)
def test_evaluate_takes_the_tensors_of_eval(command, options, arguments):
    sample = DATA / "minilm_sample.safetensors"
    table = lowbit.evaluate(sample, ["NVFP4", "Q4_K"], **options)
    assert table.to_json() == command("eval", sample, "--format", "nvfp4", "--format", "q4_k", *arguments, "--json", "-")
    assert table.rows


def test_evaluate_skips_nan(command, tmp_path, x):
    bad = x.copy()
    bad[2, 3] = np.nan
    path = write(tmp_path / "in.safetensors", a=x, b=bad)
    with pytest.raises(lowbit.InvalidInputError, match='"b"'):
        lowbit.evaluate(path, ["nvfp4"], all=True)
    table = lowbit.evaluate(path, ["nvfp4"], all=True, nonfinite="skip")
    assert [row["tensor"] for row in table.rows] == ["a"] and table.skipped == [("b", "holds NaN or infinities")]
    assert table.to_json() == command("eval", path, "--format", "nvfp4", "--all", "--nonfinite", "skip", "--json", "-")
    with pytest.raises(lowbit.UsageError):
        lowbit.evaluate(path, ["nvfp4"], nonfinite="propagate")
    table = lowbit.evaluate(path, ["nvfp4", "q8_0"], all=True, nonfinite="saturate")
    assert table.to_json() == command("eval", path, "--format", "nvfp4", "--format", "q8_0", "--all", "--nonfinite", "saturate",
                                      "--json", "-")


def test_evaluate_says_what_it_took(command, tmp_path, x):
    """Notes: a file without weights is taken as a whole, and rows of 80 fill blocks of 32 with padding."""
    path = write(tmp_path / "in.safetensors", a=x, b=x[:3])
    table = lowbit.evaluate(path, ["nvfp4", "mxfp4"])
    assert table.to_json() == command("eval", path, "--format", "nvfp4", "--format", "mxfp4", "--json", "-")
    assert len(table.notes) == 3 and "padding" in table.notes[1]
    with pytest.raises(lowbit.UsageError, match="no float tensor"):
        lowbit.evaluate(path, ["nvfp4"], include="nothing")


def test_evaluate_of_an_array(command, tmp_path, x):
    write(tmp_path / "in.safetensors", x=x)
    for options, arguments in [({}, []), ({"axis": 0}, ["--axis", "0"]), ({"scale_max": 256.0}, ["--scale-max", "256"]),
                               ({"weight_layout": "io"}, ["--weight-layout", "io"])]:
        table = lowbit.evaluate(x, ["nvfp4", "mxfp4", "nf4"], **options)
        assert str(table) + "\n" == command("eval", tmp_path / "in.safetensors", "--format", "nvfp4", "--format", "mxfp4",
                                             "--format", "nf4", "--per-tensor", *arguments)


@pytest.mark.parametrize("call", [
    {}, {"formats": ["nvfp5"]}, {"formats": ["nvfp4"], "include": "a"}, {"formats": ["q4_k:mse"]}, {"formats": ["nvfp4:search"]},
    {"formats": ["nvfp4"], "weight_layout": "x"}, {"formats": ["nvfp4"], "reference": "x.safetensors"}, {"formats": ["recipe"]},
], ids=str)
def test_evaluations_without_meaning(x, call):
    with pytest.raises(lowbit.UsageError):
        lowbit.evaluate(x, **call)


@pytest.mark.parametrize("codec", CODECS)
def test_codecs(command, tmp_path, x, codec):
    """Bytes and back give the errors of eval; how the bytes lie is tested in C++ against the programs that define them."""
    data = lowbit.encode(x, codec.upper())
    back = lowbit.decode(data, codec, x.shape)
    row, = lowbit.evaluate(x, [codec]).rows
    assert data.dtype == np.uint8 and 8 * data.size == round(row["bits_per_element"] * x.size)
    difference = back.astype(np.float64) - x
    assert row["max_abs_error"] == abs(difference).max()
    assert np.isclose(row["mse"], (difference**2).mean(), rtol=1e-12)
    for wrong in [(data[:-1], x.shape), (data, (12, 80)), (data, (1 << 62, 4)), (data[:0], (1 << 62, 0)), (data, (7, 80))]:
        with pytest.raises(lowbit.UsageError):
            lowbit.decode(wrong[0], codec, wrong[1])
    with pytest.raises(lowbit.InvalidInputError):
        lowbit.encode(np.where(x == x[0, 1], np.nan, x), codec)
    with pytest.raises(lowbit.UsageError, match="nearest"):
        lowbit.encode(x, codec + "x")


@pytest.mark.parametrize("output", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("tensor_scale", ["exact", "fp32", "none"])
def test_exact_gemm(command, tmp_path, output, tensor_scale):
    rng = np.random.default_rng(4)
    a = lowbit.quantize(rng.standard_normal((9, 64)).astype(np.float32), "nvfp4:mse")
    b = lowbit.quantize(rng.standard_normal((5, 64)).astype(np.float32), "if4")
    a.save(tmp_path / "a.safetensors")
    b.save(tmp_path / "b.safetensors")
    command("gemm", "--a", tmp_path / "a.safetensors", "--b", tmp_path / "b.safetensors", "--model", "exact",
            "--tensor-scale", tensor_scale, "--output-type", output, "--out", tmp_path / "d.safetensors")
    d = lowbit.exact_gemm(a, b, output=output, tensor_scale=tensor_scale)
    assert d.shape == (9, 5) and d.tobytes() == read(tmp_path / "d.safetensors")["D"].tobytes()


INSTRUCTIONS = [
    "mma.Hopper.m64n8k16.f32.f16.f16.f32",
    "mma_block_scale.RTX_Blackwell.m16n8k64.block16.f32.e2m1.e2m1.f32.ue4m3",
]


def test_mma(command, tmp_path):
    rng = np.random.default_rng(6)
    tried = 0
    for name in lowbit.instructions():
        facts = lowbit._lowbit.instruction(name)
        wide = {"f16": np.float16, "bf16": np.uint16, "tf32": np.float32}
        k = 2 * facts["k"]

        def codes(element, bits, shape):
            if element in wide:
                values = rng.standard_normal(shape).astype(np.float32)
                if element == "bf16":
                    return (values.view(np.uint32) >> 16).astype(np.uint16)
                return values.astype(wide[element])
            if bits == 4:
                return rng.integers(0, 256, shape, np.uint8)
            return rng.integers(0, 1 << (6 if "3m2" in element or "2m3" in element else 7), shape, np.uint8)

        if facts["a_bits"] != facts["b_bits"]:
            continue
        items = k // 2 if facts["a_bits"] == 4 else k
        arrays = {"A": codes(facts["a"], facts["a_bits"], (5, items)), "B": codes(facts["b"], facts["b_bits"], (items, 3)),
                  "C": rng.standard_normal((5, 3)).astype(np.float32 if facts["c"] == "f32" else np.float16)}
        scales = {}
        if facts["scale"]:
            blocks = k // facts["block"]
            scales = {"scale_a": rng.integers(1, 120, (5, blocks), np.uint8), "scale_b": rng.integers(1, 120, (blocks, 3), np.uint8)}
            arrays |= {"scale_A": scales["scale_a"], "scale_B": scales["scale_b"]}
        write(tmp_path / "in.safetensors", **arrays)
        command("mma", name, "--in", tmp_path / "in.safetensors", "--out", tmp_path / "d.safetensors")
        d = lowbit.mma(name, arrays["A"], arrays["B"], arrays["C"], **scales)
        assert d.tobytes() == read(tmp_path / "d.safetensors")["D"].tobytes(), name
        tried += 1
    assert tried > 50


@pytest.mark.parametrize("arguments,call", [
    (["--format", "nvfp5"], {"format": "nvfp5"}),
    (["--format", "mxfp4", "--rule", "mse"], {"format": "mxfp4", "rule": "mse"}),
    (["--format", "nvfp4:mse", "--rule", "mae"], {"format": "nvfp4:mse", "rule": "mae"}),
    (["--format", "nvfp4", "--dialect", "canonicle"], {"format": "nvfp4", "dialect": "canonicle"}),
])
def test_errors_are_the_commands_line(command, tmp_path, x, arguments, call):
    source = write(tmp_path / "in.safetensors", x=x)
    code, line = command.fails("quantize", source, "-o", tmp_path / "out.safetensors", *arguments)
    with pytest.raises(lowbit.Error) as raised:
        lowbit.quantize(x, **call)
    assert (raised.value.exit_code, str(raised.value)) == (code, line)


def test_error_of_a_file(command, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    code, line = command.fails("dequantize", tmp_path / "bad.safetensors", "-o", tmp_path / "out.safetensors")
    with pytest.raises(lowbit.InvalidInputError) as raised:
        lowbit.load(tmp_path / "bad.safetensors")
    assert (raised.value.exit_code, str(raised.value)) == (code, line)
