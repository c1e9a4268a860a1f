# SPDX-License-Identifier: MIT
"""Requests without meaning are refused, and by what they lack; options that a call takes are used."""
import ctypes
import struct
import sys

import lowbit
import lowbit.testing
import numpy as np
import pytest
from conftest import awkward, write

ml_dtypes = pytest.importorskip("ml_dtypes")
BLOCK_SCALED = "mma_block_scale.RTX_Blackwell.m16n8k64.block16.f32.e2m1.e2m1.f32.ue4m3"


def plain_instruction(types):
    return next(name for name in lowbit.instructions() if name.startswith("mma.") and name.endswith(types))


def test_operands_of_mma():
    name = plain_instruction("f32.f16.f16.f32")
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((5, 32)).astype(np.float16), rng.standard_normal((32, 3)).astype(np.float16)
    c = rng.standard_normal((5, 3)).astype(np.float32)
    wanted = lowbit.mma(name, a, b, c)
    assert wanted.shape == (5, 3) and wanted.tobytes() != lowbit.mma(name, a, b).tobytes()
    # Whatever the order in memory, and the bits as integers.
    assert lowbit.mma(name, np.asfortranarray(a), np.asfortranarray(b), np.asfortranarray(c)).tobytes() == wanted.tobytes()
    assert lowbit.mma(name, a.view(np.uint16), b, c).tobytes() == wanted.tobytes()
    wide = np.zeros((10, 64), np.float16)
    wide[::-2, ::2] = a
    assert lowbit.mma(name, wide[::-2, ::2], b, c).tobytes() == wanted.tobytes()
    scale = np.zeros((5, 2), np.uint8)
    for arguments, text in [
        ((a[0], b), "1 dimensions"), ((a, b[:, 0]), "1 dimensions"), ((a[:, :16], b), "do not multiply"),
        ((a.astype(ml_dtypes.bfloat16), b), "takes float16"), ((a.astype(np.float32), b), "2 bytes"),
        ((a, b, c.astype(np.float64)), "takes float32"), ((a, b, c.astype(np.int32)), "takes float32"), ((a, b, c[:4]), "takes float32"),
    ]:
        with pytest.raises(lowbit.UsageError, match=text):
            lowbit.mma(name, *arguments)
    with pytest.raises(lowbit.UsageError, match="takes no scales"):
        lowbit.mma(name, a, b, scale_a=scale, scale_b=scale)
    with pytest.raises(lowbit.UsageError, match="nearest"):
        lowbit.mma(name + "x", a, b)


def test_scales_of_mma():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 256, (2, 4, 32), np.uint8)
    scale_a, scale_b = rng.integers(40, 70, (4, 4), np.uint8), rng.integers(40, 70, (4, 4), np.uint8)
    wanted = lowbit.mma(BLOCK_SCALED, a, b.T, scale_a=scale_a, scale_b=scale_b)
    assert lowbit.mma(BLOCK_SCALED, a, b.T, scale_a=np.asfortranarray(scale_a), scale_b=np.asfortranarray(scale_b)).tobytes() == wanted.tobytes()
    assert lowbit.mma(BLOCK_SCALED, a, b.T, scale_a=scale_b, scale_b=scale_a).tobytes() != wanted.tobytes()
    for scales in [{}, {"scale_a": scale_a}, {"scale_b": scale_b}]:
        with pytest.raises(lowbit.UsageError, match="needs scale_a and scale_b"):
            lowbit.mma(BLOCK_SCALED, a, b.T, **scales)
    with pytest.raises(lowbit.UsageError, match="bytes are needed"):
        lowbit.mma(BLOCK_SCALED, a, b.T, scale_a=scale_a.astype(np.uint16), scale_b=scale_b)


def test_nan_scales_of_exact_gemm(command, tmp_path):
    q = lowbit.quantize(np.random.default_rng(2).standard_normal((3, 32)).astype(np.float32), "nvfp4")
    scales = q.scales.copy()
    scales[1, 1] = 0x7F  # NaN of E4M3
    a = lowbit.quantized(q.values, scales, q.amax, format="nvfp4")
    with pytest.raises(lowbit.InvalidInputError):
        lowbit.exact_gemm(a, q)
    a.save(tmp_path / "a.safetensors")
    q.save(tmp_path / "b.safetensors")
    from conftest import read

    for nan_scale in ("nan", "448"):
        command("gemm", "--a", tmp_path / "a.safetensors", "--b", tmp_path / "b.safetensors", "--model", "exact", "--nan-scale", nan_scale,
                "--out", tmp_path / "d.safetensors")
        d = lowbit.exact_gemm(a, q, nan_scale=nan_scale)
        assert d.tobytes() == read(tmp_path / "d.safetensors")["D"].tobytes()
        assert np.isnan(d).any(axis=1).tolist() == [False, nan_scale == "nan", False]
    for options in [{"nan_scale": "448.0"}, {"tensor_scale": "float"}, {"output": "f64"}]:
        with pytest.raises(lowbit.UsageError):
            lowbit.exact_gemm(q, q, **options)


def test_operands_of_verify_gemm():
    a = lowbit.quantize(np.random.default_rng(3).standard_normal((4, 64)).astype(np.float32), "nvfp4")
    d = lowbit.exact_gemm(a, a, output="bf16")
    lowbit.testing.assert_gemm_equal(a, a, d.view(np.uint16))
    lowbit.testing.assert_gemm_equal(a, a, lowbit.exact_gemm(a, a, output="f16"))
    wide = np.zeros((8, 8), d.dtype)
    wide[::-2, ::2] = d
    lowbit.testing.assert_gemm_equal(a, a, wide[::-2, ::2])
    for wrong in (d[:3], d[:, :3], d.astype(np.float64), d.ravel()):
        with pytest.raises(lowbit.UsageError):
            lowbit.testing.assert_gemm_equal(a, a, wrong)
    with pytest.raises(lowbit.UsageError, match="same number"):
        lowbit.testing.assert_gemm_equal(a, lowbit.quantize(np.ones((4, 32), np.float32), "nvfp4"), d)
    with pytest.raises(lowbit.UsageError, match="block-quantized"):
        lowbit._lowbit.verify_gemm(np.ones((4, 64), np.uint8), a, np.zeros((4, 4), np.uint32), "f32", "exact", True, 0)
    # A scale read from the wrong row is a mistake that the diagnosis names; without it there is none.
    wrong = d.copy()
    wrong[0, 0] = 1e6
    texts = []
    for diagnosis in (True, False):
        with pytest.raises(lowbit.MismatchError) as raised:
            lowbit.testing.assert_gemm_equal(a, a, wrong, diagnosis=diagnosis)
        texts.append(str(raised.value))
    assert texts[0].startswith(texts[1]) and len(texts[0]) > len(texts[1])


@pytest.mark.parametrize("options", [
    {"columns": 75}, {"scale_max": 256.0}, {"block_2d": True}, {"nonfinite": "saturate"}, {"amax_given": True},
], ids=str)
def test_options_of_verify_quantize(options):
    x = awkward(32, 75 if "columns" in options else 64, seed=4)
    x[2] *= np.float32(100)
    how = {name: value for name, value in options.items() if name in ("scale_max", "block_2d", "nonfinite")}
    if "nonfinite" in options:
        x[3, 5] = np.nan
    if "amax_given" in options:
        how["amax"] = 9e5
    q = lowbit.quantize(x, "nvfp4", **how)
    # With the rule, since a search for it tries the other M too.
    parts = {"values": q.values, "scales": q.scales, "amax": q.amax, "format": "nvfp4:static_6"}
    assert lowbit.verify_quantize(x, **parts, **options)
    lowbit.testing.assert_quantized_equal(x, **parts, **options)
    without = {name: value for name, value in options.items() if name != "columns"}
    if "columns" in options:  # the assertion takes them from x; parts alone have whole blocks
        lowbit.testing.assert_quantized_equal(x, **parts, **without)
        with pytest.raises(lowbit.UsageError):
            lowbit.verify_quantize(x, **parts)
    elif "nonfinite" in options:
        with pytest.raises(lowbit.InvalidInputError):
            lowbit.verify_quantize(x, **parts)
        with pytest.raises(lowbit.InvalidInputError):
            lowbit.testing.assert_quantized_equal(x, **parts)
    else:
        assert not lowbit.verify_quantize(x, **parts)


def test_parts_of_verify_quantize(x):
    q = lowbit.quantize(x, "nvfp4")
    parts = {"values": q.values, "scales": q.scales, "format": "nvfp4"}
    for name in ["values", "scales"]:
        with pytest.raises(lowbit.UsageError, match="give dump, or values and scales"):
            lowbit.verify_quantize(x, **{key: value for key, value in parts.items() if key != name})
    with pytest.raises(lowbit.UsageError, match="not both"):
        lowbit.verify_quantize(x, **parts, amax=1.0, tensor_scale=1.0)
    with pytest.raises(lowbit.UsageError, match="no block format"):
        lowbit.quantize(x, "q4_k")
    # Bytes in any order in memory.
    turned = lowbit.quantized(np.asfortranarray(q.values), q.scales[:, ::-1].copy()[:, ::-1], q.amax, format="nvfp4")
    random = np.random.default_rng(7).random(x.shape, dtype=np.float32)
    drawn, again = (lowbit.quantize(x, "nvfp4", rounding="stochastic", random0=r) for r in (random, np.asfortranarray(random)))
    assert drawn.values.tobytes() == again.values.tobytes() != q.values.tobytes()
    assert turned.values.tobytes() == q.values.tobytes() and turned.scales.tobytes() == q.scales.tobytes()


def test_options_of_explain(command, tmp_path):
    x = awkward(32, 64, seed=5)
    x[3, 5] = np.nan
    source = write(tmp_path / "in.safetensors", t=x)
    arguments = ["--tensor", "t", "--block", "3,0", "--format", "nvfp4", "--nonfinite", "saturate"]
    text = lowbit.explain(x, block=(3, 0), format="nvfp4", nonfinite="saturate")
    assert text == command("explain", source, *arguments)
    given = lowbit.explain(x, block=(3, 0), format="nvfp4", nonfinite="saturate", amax=9e5)
    assert given == command("explain", source, *arguments, "--amax", "900000") != text
    with pytest.raises(lowbit.InvalidInputError):
        lowbit.explain(x, block=(3, 0), format="nvfp4")
    x = awkward(32, 64, seed=6)
    assert lowbit.explain(x, block=(5, 1), format="nvfp4", axis=0) == lowbit.explain(x.T, block=(5, 1), format="nvfp4")
    # FP16 elements, in a program that computes in its input's type.
    half = awkward(32, 64, seed=6).astype(np.float16)
    write(source, t=half)
    differ = 0
    for dialect in [record["name"] for record in lowbit.dialects() if "nvfp4" in record["formats"]]:
        options = {"block": (5, 1), "format": "nvfp4", "dialects": dialect}
        if lowbit.explain(half, **options) != lowbit.explain(half.astype(np.float32), **options):
            differ += 1
            assert lowbit.explain(half, **options) == command("explain", source, "--block", "5,1", "--format", "nvfp4", "--dialect", dialect)
    assert differ > 0
    assert lowbit.explain(x, block=(5, 1), format="nvfp4", dialects="canonical") == lowbit.explain(x, block=(5, 1), format="nvfp4")


def test_a_tensor_by_its_name(command, tmp_path, x):
    source = write(tmp_path / "in.safetensors", a=x, b=-x[:3])
    command("quantize", source, "-o", tmp_path / "q.safetensors", "--format", "nvfp4", "--all")
    assert sorted(lowbit.tensor_names(tmp_path / "q.safetensors")) == ["a", "b"]
    for name, wanted in {"a": x, "b": -x[:3]}.items():
        assert lowbit.load(tmp_path / "q.safetensors", name).values.tobytes() == lowbit.quantize(wanted, "nvfp4").values.tobytes()
    with pytest.raises(lowbit.UsageError):
        lowbit.load(tmp_path / "q.safetensors")
    with pytest.raises(lowbit.Error, match="c"):
        lowbit.load(tmp_path / "q.safetensors", "c")


def test_names_that_are_no_utf8(tmp_path):
    """GGUF, whose names are any bytes: one F32 tensor of 32 elements."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, 1, 0) + struct.pack("<Q2sIQIQ", 2, b"\xff\xfe", 1, 32, 0, 0)
    (tmp_path / "in.gguf").write_bytes(head + bytes(-len(head) % 32) + np.ones(32, np.float32).tobytes())
    assert lowbit.evaluate(tmp_path / "in.gguf", ["nvfp4"], all=True).rows[0]["tensor"] == "\ufffd\ufffd"
    assert lowbit.inspect(tmp_path / "in.gguf")["tensors"][0]["name"] == "\ufffd\ufffd"


def test_bfloat16_by_dlpack(x):
    """Another library's BF16 array, which NumPy cannot hold: a DLManagedTensor made by hand."""

    class Tensor(ctypes.Structure):
        _fields_ = [("data", ctypes.c_void_p), ("device", ctypes.c_int32 * 2), ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8),
                    ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
                    ("strides", ctypes.POINTER(ctypes.c_int64)), ("offset", ctypes.c_uint64), ("context", ctypes.c_void_p),
                    ("deleter", ctypes.c_void_p)]

    bits = (x.view(np.uint32) >> 16).astype(np.uint16)
    shape = (ctypes.c_int64 * 2)(*bits.shape)
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

    class Foreign:
        def __init__(self, lanes):
            self.tensor = Tensor(bits.ctypes.data, (ctypes.c_int32 * 2)(1, 0), 2, 4, 16, lanes, shape, None, 0, None, None)

        def __dlpack__(self, **options):
            return capsule(ctypes.addressof(self.tensor), b"dltensor", None)

        def __dlpack_device__(self):
            return (1, 0)

    q, wanted = lowbit.quantize(Foreign(1), "nvfp4:mse"), lowbit.quantize(bits, "nvfp4:mse", dtype="BF16")
    assert q.values.tobytes() == wanted.values.tobytes() and q.scales.tobytes() == wanted.scales.tobytes()
    with pytest.raises((lowbit.UsageError, TypeError)):
        lowbit.quantize(Foreign(2), "nvfp4")


def test_bfloat16_without_ml_dtypes(monkeypatch):
    q = lowbit.quantize(np.ones((2, 16), np.float32), "nvfp4")
    wanted = lowbit.exact_gemm(q, q, output="bf16")
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    words = lowbit.exact_gemm(q, q, output="bf16")
    assert words.dtype == np.uint16 and words.tobytes() == wanted.tobytes()


def test_bits_that_are_no_floats(x):
    for bits, dtype in [(np.uint8, "U8"), (np.uint16, "U16"), (np.uint32, "I32"), (np.uint8, "BOOL"), (np.uint8, "F4")]:
        with pytest.raises(lowbit.UsageError, match="is not one of F64, F32"):
            lowbit.quantize(np.zeros((2, 16), bits), "nvfp4", dtype=dtype)
    with pytest.raises(lowbit.UsageError, match="has 2 bytes an element, the array has 4"):
        lowbit.quantize(x, "nvfp4", dtype="F16")


def test_names_of_codecs(x):
    with pytest.raises(lowbit.UsageError) as raised:
        lowbit.encode(x, "q4")
    nearest = str(raised.value).partition("nearest: ")[2].split(", ")
    assert len(set(nearest)) == 3 and {"q4_0", "q4_k"} <= set(nearest) and set(nearest) <= {codec["name"] for codec in lowbit.codecs()}
