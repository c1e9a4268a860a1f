# SPDX-License-Identifier: MIT
"""hif4 in Python: the bytes of the NumPy model of tests/oracle, files, parts, and what refuses it."""
import pathlib
import sys

import lowbit
import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "oracle"))
import hif4_model  # noqa: E402


def test_bytes_and_values(x):
    q = lowbit.quantize(x, "hif4")
    values, scales = hif4_model.quantize(x)
    assert np.array_equal(q.values, values) and np.array_equal(q.scales, scales)
    assert (q.values.shape, q.scales.shape) == ((6, 70), (6, 2))
    assert (q.block_size, q.level_bytes, q.code_bits, q.amax, q.encode_constant) == (64, 3, 4, 1.0, 1.0)
    assert lowbit.quantize(x, "nvfp4").level_bytes == 0
    blocks = values.reshape(6, 2, 35).astype(int)
    levels = (blocks[..., 0] | blocks[..., 1] << 8 | blocks[..., 2] << 16)[..., None]
    i = np.arange(64)
    codes = np.stack([blocks[..., 3:] & 15, blocks[..., 3:] >> 4], -1).reshape(6, 2, 64)
    doublings = (levels >> i // 8 & 1) + (levels >> 8 + i // 4 & 1)
    scale = 2.0 ** (scales.astype(int) // 4 - 48) * (1 + scales % 4 / 4)
    wanted = np.where(codes & 8, -1.0, 1.0) * (codes & 7) / 4 * scale[..., None] * 2.0**doublings
    assert q.dequantize().tobytes() == wanted.reshape(6, 128)[:, :80].astype(np.float32).tobytes()
    assert q.first_values(5).tobytes() == q.dequantize()[0, :5].tobytes() and q.first_values(99).size == 64
    text = repr(q).splitlines()
    assert f"scale 0x{scales[0, 0]:02x}" in text[1] and text[2].split()[1:] == [f"{c:x}" for c in codes[0, 0]]


def test_files_parts_and_verification(x, tmp_path):
    q = lowbit.quantize(x, "hif4")
    q.save(tmp_path / "q.safetensors")
    back = lowbit.load(tmp_path / "q.safetensors")
    assert back.format == "hif4" and np.array_equal(back.values, q.values) and np.array_equal(back.scales, q.scales)
    assert back.dequantize().tobytes() == q.dequantize().tobytes()
    parts = lowbit.quantized(q.values, q.scales, format="hif4", columns=80)
    assert parts.dequantize().tobytes() == q.dequantize().tobytes()
    assert lowbit.quantized(q.values, q.scales, format="hif4").columns == 128
    with pytest.raises(lowbit.UsageError, match="values"):
        lowbit.quantized(q.values[:, :69], q.scales, format="hif4")
    assert lowbit.verify_quantize(x, q).equal
    faulty = q.values.copy()
    faulty[2, 36] ^= 1
    found = lowbit.verify_quantize(x, values=faulty, scales=q.scales, format="hif4", columns=80)
    assert not found.equal and found.different == 1 and found.first == (2, 1)


def test_evaluate_and_refusals(x):
    report = lowbit.evaluate(x, ["hif4"])
    error = x.astype(np.float64) - lowbit.quantize(x, "hif4").dequantize()
    wanted = 10 * np.log10((x.astype(np.float64) ** 2).sum() / (error**2).sum())
    assert f"{wanted:.3f}" in report.to_markdown()
    for options in ({"block_2d": True}, {"dialect": "torchao"}, {"scale_max": 448.0}):
        with pytest.raises(lowbit.UsageError):
            lowbit.quantize(x, "hif4", **options)
    with pytest.raises(lowbit.UsageError, match="rule of hif4"):
        lowbit.quantize(x, "hif4:mse")
