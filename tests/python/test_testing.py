# SPDX-License-Identifier: MIT
"""Assertions, reports and explanations: each fault that is planted is found where it is."""
import lowbit
import lowbit.testing
import numpy as np
import re

import pytest
from conftest import awkward, write


def parts(x, format, **options):
    q = lowbit.quantize(x, format, **options)
    return q.values.copy(), q.scales.copy(), q.amax


@pytest.mark.parametrize("format", [f["name"] for f in lowbit.formats()])
def test_equal_and_one_bit_off(x, format):
    values, scales, amax = parts(x, format)
    lowbit.testing.assert_quantized_equal(x, values, scales, amax, format=format)
    values[4, 3] ^= 1
    with pytest.raises(lowbit.MismatchError, match="row 4, block 0") as raised:
        lowbit.testing.assert_quantized_equal(x, values, scales, amax, format=format)
    assert isinstance(raised.value, AssertionError) and "1 of" in str(raised.value)
    values[4, 3] ^= 1
    scales[5, -1] ^= 1
    with pytest.raises(lowbit.MismatchError, match=f"row 5, block {scales.shape[1] - 1}"):
        lowbit.testing.assert_quantized_equal(x, values, scales, amax, format=format)


def test_amax_is_compared_bit_for_bit(x):
    values, scales, amax = parts(x, "nvfp4")
    with pytest.raises(lowbit.MismatchError, match="amax"):
        lowbit.testing.assert_quantized_equal(x, values, scales, np.nextafter(np.float32(amax), np.float32(0)), format="nvfp4")
    stale = float(np.float32(2 * amax))
    values, scales, _ = parts(x, "nvfp4", amax=stale)
    lowbit.testing.assert_quantized_equal(x, values, scales, stale, format="nvfp4", amax_given=True)
    with pytest.raises(lowbit.MismatchError):
        lowbit.testing.assert_quantized_equal(x, values, scales, stale, format="nvfp4")


def test_text_is_that_of_verify_quantize(command, tmp_path, x):
    source = write(tmp_path / "in.safetensors", t=x)
    values, scales, amax = parts(x, "nvfp4:mse")
    values[2, 9] ^= 0x30
    dump = lowbit.quantized(values, scales, amax, format="nvfp4:mse", scale_max=256.0)
    dump.save(tmp_path / "dump.safetensors", name="t")
    code, _ = command.fails("verify", "quantize", source, tmp_path / "dump.safetensors")
    assert code == 1
    import subprocess

    out = subprocess.run([command.path, "verify", "quantize", source, tmp_path / "dump.safetensors"], capture_output=True, text=True).stdout
    report = lowbit.verify_quantize(x, tmp_path / "dump.safetensors")
    assert not report and report.text.split(": ", 1)[1] == out.split(": ", 1)[1] and "cause " in out
    assert report.causes and f"cause {report.causes[0][0]}: {report.causes[0][1]}" in out
    assert (report.different, report.codes, report.scales, report.first) == (1, 1, 0, (2, 1))


@pytest.mark.parametrize("record", lowbit.dialects(), ids=lambda record: record["name"])
def test_auto_names_the_dialect(record):
    dialect = record["name"]
    format = "nvfp4:mse" if "nvfp4" in record["formats"] else record["formats"][0]
    x = awkward(64, 256, seed=11)
    q = lowbit.quantize(x, format, dialect=dialect)
    report = lowbit.verify_quantize(x, values=q.values, scales=q.scales, amax=q.amax, format=f"{q.format}:{q.rule}", dialect="auto")
    assert report and dialect in report.agreeing
    assert q.first_values(16).tobytes() == q.dequantize()[0, :16].tobytes()
    how = {"amax": q.amax, "format": f"{q.format}:{q.rule}"}
    lowbit.testing.assert_quantized_equal(x, q.values, q.scales, dialect=dialect, **how)
    if "canonical" not in report.agreeing:  # the assertion holds to the dialect that it is given, and searches for no other
        with pytest.raises(lowbit.MismatchError):
            lowbit.testing.assert_quantized_equal(x, q.values, q.scales, **how)


@pytest.mark.parametrize("dialect", ["auto", "", "te_4over6"])
def test_rules_are_searched_where_none_is_named(dialect):
    x = awkward(64, 256, seed=12)
    q = lowbit.quantize(x, "nvfp4:mse", dialect=dialect if dialect.startswith("te") else "canonical")
    parts = {"values": q.values, "scales": q.scales, "amax": q.amax, "dialect": dialect}
    report = lowbit.verify_quantize(x, format="nvfp4", **parts)
    assert report and report.rule == "mse" and report.dialect in ("canonical", "te_ge_2.14")
    assert "agrees nvfp4 mse" in str(report)
    wrong = lowbit.verify_quantize(x, format="nvfp4", rule="static_6", **parts)
    assert not wrong and wrong.rule == "static_6" and wrong.different > 0
    assert not lowbit.verify_quantize(x, format="nvfp4:mae", **parts)


@pytest.mark.parametrize("format", [record["name"] for record in lowbit.formats()])
def test_formats_are_searched_where_none_is_named(format):
    x = awkward(8, 64, seed=13)
    q = lowbit.quantize(x, format)
    parts = {"scales": q.scales, "amax": q.amax, "dialect": "auto"}
    if format.startswith(("mx", "hif")):  # no number beside the blocks
        del parts["amax"]
    report = lowbit.verify_quantize(x, values=q.values, **parts)
    assert report and (report.format, report.rule) == (format, q.rule) and "canonical" in report.agreeing
    values = q.values.copy()
    values[3, 2] ^= 1
    report = lowbit.verify_quantize(x, values=values, **{**parts, "dialect": "canonical"})
    assert not report and report.different == 1 and report.format == format


def test_what_is_wrong_where_no_format_is_named(x):
    values, scales, amax = parts(x, "nvfp4")
    for wrong, text in [
        ({"rule": "mse", "amax": amax}, "rule needs format"),
        ({"amax": amax, "tensor_scale": 1.0}, "not both"),
        ({"amax": amax, "dialect": "torchoa"}, "nearest: torchao"),
        ({"tensor_scale": 1.0, "tensor_scale_kind": "factor"}, "tensor_scale_kind"),
        ({"amax": amax, "scales": scales[:, :1]}, "the sizes of no block format"),
        ({"amax": amax, "scales": None}, "values and scales"),
    ]:
        with pytest.raises(lowbit.UsageError, match=text):
            lowbit.verify_quantize(x, values=values, **{"scales": scales, **wrong})


@pytest.mark.parametrize("format", ["nvfp4", "nvfp4:mse", "if4"])
def test_tensor_scale(format):
    """amax / C and C / amax of many tensors. In about one of seven, C times the float32 quotient is a neighbour of amax."""
    rounded = 0
    for seed in range(40):
        x = awkward(4, 32, seed)
        q = lowbit.quantize(x, format)
        amax, constant = np.float32(q.amax), np.float32(q.encode_constant)
        scale, inverse = amax / constant, constant / amax
        rounded += scale * constant != amax
        for number, kind in [(scale, "multiplier"), (inverse, "divisor")]:
            parts = {"values": q.values, "scales": q.scales, "format": format, "tensor_scale_kind": kind}
            assert lowbit.verify_quantize(x, tensor_scale=number, **parts)
            # A dialect's own chain may end one unit away from the quotient; four units are wrong in all.
            wrong = lowbit.verify_quantize(x, tensor_scale=(number.view(np.uint32) + np.uint32(4)).view(np.float32), **parts)
            assert not wrong and wrong.amax_differs and wrong.different == 0
            with pytest.raises(lowbit.UsageError, match="amax_given"):
                lowbit.verify_quantize(x, tensor_scale=number, amax_given=True, **parts)
            other = lowbit.quantized(q.values, q.scales, tensor_scale=number, tensor_scale_kind=kind, format=format)
            assert np.allclose(other.dequantize(), q.dequantize(), rtol=2e-7, atol=0)
    assert rounded > 2
    for call in [{"tensor_scale": 1.0, "amax": 1.0}, {"tensor_scale": 1.0, "tensor_scale_kind": "factor"}]:
        with pytest.raises(lowbit.UsageError):
            lowbit.quantized(q.values, q.scales, format=format, **call)


def test_mx_has_no_tensor_scale(x):
    q = lowbit.quantize(x, "mxfp4")
    with pytest.raises(lowbit.UsageError, match="no tensor scale"):
        lowbit.verify_quantize(x, values=q.values, scales=q.scales, tensor_scale=1.0, format="mxfp4")


@pytest.mark.parametrize("format", ["nvfp4:search:2", "if4:optimal", "mxfp4:optimal"])
def test_searches_are_verified(x, format):
    q = lowbit.quantize(x, format)
    lowbit.testing.assert_quantized_equal(x, q.values, q.scales, q.amax, format=format)
    values = q.values.copy()
    values[4, 3] ^= 1
    with pytest.raises(lowbit.MismatchError, match="row 4"):
        lowbit.testing.assert_quantized_equal(x, values, q.scales, q.amax, format=format)


def test_explain(command, tmp_path, x):
    text = lowbit.explain(x, block=(0, 0), format="nvfp4:mse", dialects=("canonical", "fos_pytorch"))
    q = lowbit.quantize(x, "nvfp4:mse")
    assert text.splitlines()[0] == "row 0, block 0: nvfp4 mse canonical | nvfp4 mse fos_pytorch"
    assert re.search(rf"^  scale byte +0x{q.scales[0, 0]:02x} ", text, re.MULTILINE) and "candidate 6: error" in text
    source = write(tmp_path / "in.safetensors", t=x)
    options = ["--tensor", "t", "--block", "0,0", "--format", "nvfp4:mse", "--dialect", "canonical", "--dialect", "fos_pytorch"]
    assert command("explain", source, *options) == text
    with pytest.raises(lowbit.UsageError):
        lowbit.explain(x, block=(0, 0), format="nvfp4", dialects=("canonical", "fos_pytorch", "modelopt"))
    for block in [(6, 0), (0, 5), (-1, 0)]:
        with pytest.raises(lowbit.UsageError):
            lowbit.explain(x, block=block, format="nvfp4")


def test_gemm(command, tmp_path):
    rng = np.random.default_rng(0)
    a = lowbit.quantize(rng.standard_normal((8, 128)).astype(np.float32), "nvfp4")
    b = lowbit.quantize(rng.standard_normal((4, 128)).astype(np.float32), "nvfp4")
    d = lowbit.exact_gemm(a, b)
    lowbit.testing.assert_gemm_equal(a, b, d)
    lowbit.testing.assert_gemm_equal(a, b, lowbit.exact_gemm(a, b, output="bf16"))
    wrong = d.copy()
    wrong[3, 2] = np.nextafter(wrong[3, 2], np.float32(9e9))
    with pytest.raises(lowbit.MismatchError) as raised:
        lowbit.testing.assert_gemm_equal(a, b, wrong)
    text = str(raised.value)
    assert text.startswith("mismatches    1 ") and "first         (3, 2)" in text and "largest 1 ulp" in text
    a.save(tmp_path / "a.safetensors")
    b.save(tmp_path / "b.safetensors")
    write(tmp_path / "d.safetensors", D=wrong)
    import subprocess

    out = subprocess.run([command.path, "verify", "gemm", "--a", tmp_path / "a.safetensors", "--b", tmp_path / "b.safetensors",
                          "--output", tmp_path / "d.safetensors", "--model", "exact"], capture_output=True, text=True)
    assert out.returncode == 1 and text in out.stdout
    with pytest.raises(lowbit.UsageError):
        lowbit.testing.assert_gemm_equal(a, b, d[:, :3])
    with pytest.raises(lowbit.UsageError):
        lowbit.testing.assert_gemm_equal(np.zeros((8, 128), np.float32), b, d)


def test_gemm_of_an_instruction():
    rng = np.random.default_rng(1)
    name = next(n for n in lowbit.instructions() if "f32.f16.f16.f32" in n)
    a, b = rng.standard_normal((2, 8, 64)).astype(np.float16)
    d = lowbit.mma(name, a, b.T)
    lowbit.testing.assert_gemm_equal(a, b, d, model=name)
    d[0, 0] += 1
    with pytest.raises(lowbit.MismatchError, match=r"first         \(0, 0\)"):
        lowbit.testing.assert_gemm_equal(a, b, d, model=name, diagnosis=False)
