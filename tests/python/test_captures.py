# SPDX-License-Identifier: MIT
"""What other programs returned, held to their dialects by lowbit.testing: the subset in tests/data/captures, or the whole set
where the environment variable LOWBIT_GOLDEN_DIR names its folder. `lowbit verify captures` compares the same files in C++."""
import hashlib
import os
import pathlib

import lowbit
import lowbit.testing
import numpy as np
import pytest
from conftest import DATA, metadata, read

GOLDEN = os.environ.get("LOWBIT_GOLDEN_DIR")
FOLDER = pathlib.Path(GOLDEN) / "dialects" if GOLDEN else DATA / "captures"
PLAIN = [c for c in lowbit._lowbit.captured_configurations() if c["plain"] and c["shape"] in ("rows", "square", "row_scaled")]
RUNS = [(c, cuda) for c in PLAIN for cuda in (False, True) if c["cuda_dialect" if cuda else "dialect"]]


def fields(tensors, name, configuration, cuda):
    """Captured fields of a run; of one on CUDA or with a cast, those that it shares with the run that has them."""
    names = [configuration, configuration.removesuffix("_f32")]
    found = {}
    for key in dict.fromkeys([key for each in names for key in ([each + "@cuda", each] if cuda else [each])]):
        for field in ("values", "scales", "tensor_scale", "dequant"):
            if any(f"{field}{form}" in found for form in ("", "_bf16", "_sha256")):
                continue
            for form in ("", "_bf16", "_sha256"):
                if f"{name}.{key}.{field}{form}" in tensors:
                    found[field + form] = tensors[f"{name}.{key}.{field}{form}"]
    return found


def assert_same_numbers(own, captured):
    """Bit for bit, but for the sign and payload of NaN."""
    if "dequant_sha256" in captured:
        digests = set()
        for nan in (0x7FC00000, 0xFFC00000, 0x7FF00000, 0xFFF00000, 0x7FFFFFFF):
            digests.add(hashlib.sha256(np.where(np.isnan(own), np.uint32(nan), own.view(np.uint32)).tobytes()).digest())
        assert captured["dequant_sha256"].tobytes() in digests
        return
    wanted = captured.get("dequant")
    if wanted is None:
        wanted = (captured["dequant_bf16"].astype(np.uint32) << 16).view(np.float32)
    own, wanted = own.ravel(), wanted.ravel().astype(np.float32)
    assert ((own.view(np.uint32) == wanted.view(np.uint32)) | (np.isnan(own) & np.isnan(wanted))).all()


@pytest.fixture(scope="module")
def opened():
    cache = {}

    def get(path):
        if path not in cache:
            cache[path] = (read(path), metadata(path))
        return cache[path]

    return get


@pytest.mark.parametrize("run,cuda", RUNS, ids=lambda v: v["file"] + "-" + v["configuration"] if isinstance(v, dict) else None)
def test_captured_output(opened, run, cuda):
    tensors, about = opened(FOLDER / f"{run['file']}.safetensors")
    ran_on_cuda = f",{about.get('ran_on_cuda_too')},{about.get('cuda_only')},"
    if cuda and f",{run['configuration']}," not in ran_on_cuda:
        pytest.skip("did not run on CUDA")
    inputs, _ = opened(FOLDER / "inputs.safetensors")
    how = {"format": run["format"], "dialect": run["cuda_dialect" if cuda else "dialect"], "scale_max": run["scale_max"],
           "block_2d": run["shape"] == "square", "nonfinite": "propagate"}
    compared = 0
    for name, x in inputs.items():
        captured = fields(tensors, name, run["configuration"], cuda)
        if not captured:
            continue
        dtype = "BF16" if x.dtype == np.uint16 else None
        floats = (x.astype(np.uint32) << 16).view(np.float32) if dtype else x
        if not np.isfinite(floats).all():
            # A tensor without an amax: only `lowbit verify captures` compares what programs make of it.
            continue
        if run["casts_input"] and dtype:
            x, dtype = floats, None
        elif run["casts_input"]:
            x = x.astype(np.float32)
        rows = [slice(r, r + 1) for r in range(len(x))] if run["shape"] == "row_scaled" else [slice(None)]
        parts = [lowbit.quantize(x[r], dtype=dtype, **how) for r in rows]
        values, scales = (np.concatenate([getattr(q, what) for q in parts]) for what in ("values", "scales"))

        def given(field, own):
            """The captured bytes; where only their digest was captured, the bytes that have it."""
            if field in captured:
                return captured[field].reshape(own.shape)
            if f"{field}_sha256" in captured:
                assert hashlib.sha256(own.tobytes()).digest() == captured[f"{field}_sha256"].tobytes(), (name, field)
            return own

        values, scales = given("values", values), given("scales", scales)
        for r, q in zip(rows, parts):
            # Captured as amax, as what elements are multiplied by (decode), or divided by (encode).
            number = {"amax": q.amax}
            if "tensor_scale" in captured and run["scale"] != "none":
                stored = captured["tensor_scale"].ravel()[r][0]
                kind = {"decode": "multiplier", "encode": "divisor"}.get(run["scale"])
                number = {"tensor_scale": stored, "tensor_scale_kind": kind} if kind else {"amax": stored}
            lowbit.testing.assert_quantized_equal(x[r], values[r], scales[r], dtype=dtype, columns=x.shape[1], **number, **how)
        if not any(key.startswith(("values", "scales")) for key in captured):  # a program that gives numbers instead of bytes
            assert_same_numbers(np.concatenate([q.dequantize() for q in parts]), captured)
        compared += 1
    assert compared > 0


def test_a_wrong_dialect_is_found(opened):
    """The comparison can fail: one program's output is not another's arithmetic."""
    tensors, _ = opened(FOLDER / "te_reference.safetensors")
    inputs, _ = opened(FOLDER / "inputs.safetensors")
    name = "bf16_ties_03"
    captured = fields(tensors, name, "nvfp4_46_mae_m256_1d", False)
    with pytest.raises(lowbit.MismatchError):
        lowbit.testing.assert_quantized_equal(inputs[name], captured["values"], captured["scales"], captured["tensor_scale"][0], dtype="BF16",
                                              format="nvfp4:mse", scale_max=256.0, dialect="canonical")
