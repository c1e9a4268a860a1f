#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Captures what published programs make of a few rows: tests/data/codec_vectors.safetensors.

usage: make_codec_vectors.py GGML BITSANDBYTES HIFLOAT4 ALTO OUT.safetensors
The first four are source trees; their own functions are run.
- ggml d99724f2, compiled here without multiply-adds: quantize_row_*_ref and dequantize_row_* of src/ggml-quants.c
- bitsandbytes 95f9af3, compiled likewise: dQuantizeNF4 and dQuantizeFP4 of csrc/kernels.cu with the loop around them
  (absmax of 64 elements, times its reciprocal) and the tables of csrc/cpu_ops.cpp
- HiFloat4 6d937b6: To_HiFX of hif4_gpu/HiF4_NVFP4_v14f16.py, in binary64
- ALTO 74e251d7: convert_to_nvfp4_pytorch and its opposite of tests/unittest/nvfp4/utils.py with scale_format="ue5m3"
  and the tensor scale of compute_dynamic_outer_scale, on the CPU
Needs gcc, g++, numpy and PyTorch.
"""
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

import numpy as np

SAMPLE = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "minilm_sample.safetensors"

GGML_MAIN = r"""
#define GGML_COMMON_DECL_C
#include "ggml-common.h"
#include "ggml-quants.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
size_t ggml_row_size(enum ggml_type t, int64_t n) { (void)t; (void)n; abort(); }
const char *ggml_type_name(enum ggml_type t) { (void)t; return ""; }
size_t ggml_type_size(enum ggml_type t) { (void)t; abort(); }
void ggml_abort(const char *f, int l, const char *m, ...) { (void)f; (void)l; (void)m; abort(); }
static void put(const char *name, const void *p, size_t n) {
  FILE *f = fopen(name, "wb"); fwrite(p, 1, n, f); fclose(f);
}
int main(int argc, char **argv) {
  size_t n = strtoul(argv[1], NULL, 10);
  float *x = malloc(4 * n), *y = malloc(4 * n);
  FILE *f = fopen("input", "rb"); if (fread(x, 4, n, f) != n) return 1; fclose(f);
#define RUN(NAME, TYPE, BLOCK) { size_t s = n / BLOCK * sizeof(TYPE); TYPE *b = malloc(s); \
  quantize_row_##NAME##_ref(x, b, n); put(#NAME, b, s); dequantize_row_##NAME(b, y, n); put(#NAME ".values", y, 4 * n); }
  RUN(q4_0, block_q4_0, 32) RUN(q8_0, block_q8_0, 32) RUN(q4_K, block_q4_K, 256)
  return argc != 2;
}
"""

BNB_MAIN = r"""
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>
#define __device__
%s
%s
static void put(const char *name, const void *p, size_t n) {
  FILE *f = fopen(name, "wb"); fwrite(p, 1, n, f); fclose(f);
}
template <typename F> void run(const std::vector<float> &x, F code, const float *table, const char *codes, const char *values) {
  std::vector<unsigned char> q(x.size() / 2);
  std::vector<float> absmax(x.size() / 64), y(x.size());
  for (size_t b = 0; b < absmax.size(); ++b) {
    float top = 0;
    for (int i = 0; i < 64; ++i) top = std::fmax(top, std::fabs(x[64 * b + i]));
    absmax[b] = top;
    const float r = 1.0f / top;
    for (int i = 0; i < 32; ++i) {
      q[32 * b + i] = code(x[64 * b + 2 * i] * r) << 4 | code(x[64 * b + 2 * i + 1] * r);
      y[64 * b + 2 * i] = table[q[32 * b + i] >> 4] * top;
      y[64 * b + 2 * i + 1] = table[q[32 * b + i] & 15] * top;
    }
  }
  std::vector<unsigned char> all(4 * absmax.size() + q.size());
  __builtin_memcpy(all.data(), absmax.data(), 4 * absmax.size());
  __builtin_memcpy(all.data() + 4 * absmax.size(), q.data(), q.size());
  put(codes, all.data(), all.size());
  put(values, y.data(), 4 * y.size());
}
int main(int, char **argv) {
  std::vector<float> x(strtoul(argv[1], nullptr, 10));
  FILE *f = fopen("input", "rb"); if (fread(x.data(), 4, x.size(), f) != x.size()) return 1; fclose(f);
  run(x, dQuantizeNF4, nf4_lut, "nf4", "nf4.values");
  run(x, dQuantizeFP4, fp4_lut, "fp4_bnb", "fp4_bnb.values");
}
"""


def rows():
    """24 rows of 256: real weights, normal values, long tails, and blocks that decide boundaries."""
    raw = SAMPLE.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    entry = json.loads(raw[8:8 + size])["encoder.layer.3.attention.self.query.weight"]
    begin, end = entry["data_offsets"]
    weights = np.frombuffer(raw[8 + size + begin:8 + size + end], np.float32)[:8 * 256].reshape(8, 256)
    rng = np.random.default_rng(2024)
    normal = rng.standard_normal((6, 256)).astype(np.float32)
    tails = rng.standard_t(2, (4, 256)).astype(np.float32)
    special = np.zeros((6, 256), np.float32)
    special[0, ::2] = -1.0                                     # half zeros, one sign
    special[1] = np.linspace(-1, 1, 256, dtype=np.float32)     # every threshold is crossed
    special[2] = (np.arange(256) % 17 - 8) / np.float32(16.0)  # ties at half steps
    special[3] = np.float32(0.25)                              # equal values
    special[4] = np.where(np.arange(256) < 32, rng.standard_normal(256) * 1e-30, rng.standard_normal(256))
    special[5, :64] = rng.standard_normal(64) * 1e5            # an FP16 scale near its largest number
    special[5, 64:] = rng.standard_normal(192) * 1e-7          # and subnormal ones
    return np.concatenate([weights, normal, tails, special]).astype("<f4")


def function(source, name):
    return re.search(r"__device__ unsigned char " + name + r"\(float x\) \{.*?\n\}\n", source, re.S).group(0)


def hif4(tree, x):
    """The values of x, 64 columns of a row to a group."""
    source = (pathlib.Path(tree) / "hif4_gpu" / "HiF4_NVFP4_v14f16.py").read_text(encoding="utf-8")
    names = {}
    exec(re.sub(r"^import (pandas|matplotlib).*$", "", source, flags=re.M), names)
    return names["To_HiFX"](x.reshape(-1, 64).T.astype(np.float64)).T.reshape(x.shape).astype("<f4")


def amdfp4(tree, x):
    """The tensor scale, the blocks' scales and the codes of x as bytes, and its values."""
    import torch
    tree = pathlib.Path(tree)
    # The functions in PyTorch are cut out: the modules around them need Triton.
    scales = (tree / "alto/kernels/fp4/fp4_common/ue5m3_ops.py").read_text(encoding="utf-8")
    names = {}
    exec(re.sub(r"^import triton.*$", "", scales[:scales.index("# Triton ``@triton.jit`` factories")], flags=re.M), names)
    names.update(Tensor=torch.Tensor, BLOCK_SIZE_DEFAULT=16, OUTER_BLOCK_SIZE_DEFAULT=128, OUTER_SCALE_EPS=1e-30,
                 SUPPORTED_SCALE_FORMATS=("ue5m3",), _check_scale_format=lambda name: None,
                 _SCALE_FORMAT_TABLE={"ue5m3": (names["UE5M3_EPS"], names["UE5M3_MAX"])})
    blocks = (tree / "tests/unittest/nvfp4/utils.py").read_text(encoding="utf-8")
    exec(blocks[blocks.index("F4_E2M1_MAX = 6.0"):], names)
    kernels = (tree / "alto/kernels/fp4/nvfp4/nvfp_quantization.py").read_text(encoding="utf-8")
    exec(re.search(r"^def compute_dynamic_outer_scale.*?\n\n\n", kernels, re.S | re.M).group(0), names)
    names["_OUTER_SCALE_DIVZERO_FLOOR"] = float(re.search(r"^_OUTER_SCALE_DIVZERO_FLOOR = (\S+)", kernels, re.M).group(1))
    values = torch.from_numpy(x)
    outer = names["compute_dynamic_outer_scale"](values, "ue5m3")
    codes, inner = names["convert_to_nvfp4_pytorch"](values, outer_scale=outer, scale_format="ue5m3")
    back = names["convert_from_nvfp4_pytorch"](codes, inner, outer_scale=outer, scale_format="ue5m3")
    stored = (outer.numpy().astype("<f4"), names["f32_to_ue5m3_uint8"](inner).numpy(), codes.numpy())
    return b"".join(part.tobytes() for part in stored), back.numpy().astype("<f4")


def main(ggml, bnb, hifloat4, alto, target):
    x = rows()
    ggml, bnb = pathlib.Path(ggml), pathlib.Path(bnb)
    tensors = {"input": ("F32", list(x.shape), x.tobytes())}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "input").write_bytes(x.tobytes())
        (folder / "g.c").write_text(GGML_MAIN)
        run = lambda *args: subprocess.run(args, cwd=folder, check=True)
        run("gcc", "-O2", "-ffp-contract=off", "-D_GNU_SOURCE", f"-I{ggml.resolve()}/include", f"-I{ggml.resolve()}/src", "g.c",
            f"{ggml.resolve()}/src/ggml-quants.c", "-lm", "-o", "g")
        run("./g", str(x.size))
        kernels = (bnb / "csrc" / "kernels.cu").read_text()
        tables = re.findall(r"static constexpr float (?:fp4|nf4)_lut\[16\] = \{.*?\};", (bnb / "csrc" / "cpu_ops.cpp").read_text(), re.S)
        (folder / "b.cpp").write_text(BNB_MAIN % (function(kernels, "dQuantizeFP4") + function(kernels, "dQuantizeNF4"), "\n".join(tables)))
        run("g++", "-O2", "-ffp-contract=off", "b.cpp", "-o", "b")
        run("./b", str(x.size))
        for name in ("q4_0", "q8_0", "q4_K", "nf4", "fp4_bnb"):
            data = (folder / name).read_bytes()
            tensors[name.lower()] = ("U8", [len(data)], data)
            tensors[name.lower() + ".values"] = ("F32", list(x.shape), (folder / (name + ".values")).read_bytes())
    tensors["hif4.values"] = ("F32", list(x.shape), hif4(hifloat4, x).tobytes())
    data, values = amdfp4(alto, x)
    tensors["amdfp4"] = ("U8", [len(data)], data)
    tensors["amdfp4.values"] = ("F32", list(x.shape), values.tobytes())
    write(target, tensors)


def write(target, tensors):
    header = {"__metadata__": {"source": "ggml d99724f2, bitsandbytes 95f9af3, HiFloat4 6d937b6 and ALTO 74e251d7, "
                                         "run by scripts/make_codec_vectors.py"}}
    offset = 0
    for name, (dtype, shape, data) in sorted(tensors.items(), key=lambda t: t[1][0] != "F32"):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(data for _, (dtype, _, data) in sorted(tensors.items(), key=lambda t: t[1][0] != "F32"))
    pathlib.Path(target).write_bytes(struct.pack("<Q", len(text)) + text + body)


if __name__ == "__main__":
    if len(sys.argv) != 6:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
