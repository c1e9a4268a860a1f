# SPDX-License-Identifier: MIT
"""The model that the other scripts of this folder quantize: a Llama of one layer whose linear weights are cut out of
tests/data/minilm_sample.safetensors, in BF16, so that errors are those of real weights."""
import pathlib

import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HIDDEN, INNER = 64, 96
SHAPES = {
    "model.layers.0.self_attn.q_proj": (HIDDEN, HIDDEN), "model.layers.0.self_attn.k_proj": (HIDDEN, HIDDEN),
    "model.layers.0.self_attn.v_proj": (HIDDEN, HIDDEN), "model.layers.0.self_attn.o_proj": (HIDDEN, HIDDEN),
    "model.layers.0.mlp.gate_proj": (INNER, HIDDEN), "model.layers.0.mlp.up_proj": (INNER, HIDDEN),
    "model.layers.0.mlp.down_proj": (HIDDEN, INNER),
}


def weights():
    """Name of the module -> BF16 weight, each from another place of the sample's matrices."""
    sample = [t for _, t in sorted(load_file(ROOT / "tests/data/minilm_sample.safetensors").items())
              if t.ndim == 2 and min(t.shape) >= INNER and t.dtype.is_floating_point]
    cut = {}
    for i, (name, (rows, columns)) in enumerate(SHAPES.items()):
        whole = sample[i % len(sample)]
        top, left = i * 8 % (whole.shape[0] - rows + 1), i * 16 % (whole.shape[1] - columns + 1)
        cut[name] = whole[top:top + rows, left:left + columns].to(torch.bfloat16).contiguous()
    return cut


def model():
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=32, hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=1,
                         num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=64,
                         tie_word_embeddings=False)
    config.architectures = ["LlamaForCausalLM"]
    made = LlamaForCausalLM(config).to(torch.bfloat16).eval()
    state = made.state_dict()
    for name, weight in weights().items():
        state[name + ".weight"].copy_(weight)
    made.load_state_dict(state)
    return made


def tokens():
    return torch.arange(64).reshape(4, 16) % 32


def write_record(folder, packages, expected):
    """record.json (versions and SHA-256), and beside the folder expected/NAME.safetensors: what the library itself makes of
    three of its weights."""
    import hashlib
    import importlib.metadata
    import json
    import platform

    from safetensors.torch import save_file
    kept = {name: value.contiguous() for name, value in expected.items()
            if name.rsplit(".", 2)[-2] in ("q_proj", "gate_proj", "down_proj")}
    assert len(kept) == 3, sorted(expected)
    (folder.parent / "expected").mkdir(exist_ok=True)
    save_file(kept, folder.parent / "expected" / f"{folder.name}.safetensors")
    for path in folder.iterdir():
        if path.name not in ("model.safetensors", "config.json", "hf_quant_config.json"):
            path.unlink()
    versions = {name: importlib.metadata.version(name) for name in packages}
    record = {"packages": versions, "python": platform.python_version(),
              "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}}
    (folder / "record.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{folder}: {sum(path.stat().st_size for path in folder.iterdir())} bytes, {versions}")
