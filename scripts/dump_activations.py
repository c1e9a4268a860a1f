#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records the inputs of a PyTorch model's linear layers for `lowbit eval --activations`.

usage: dump_activations.py --model NAME_OR_FOLDER --text FILE -o OUT.safetensors
                           [--tokens N] [--layers REGEX] [--batch N] [--max-length N] [--seed N]
                           [--moments]

--model is what transformers' AutoModel and AutoTokenizer load; --text has one text per line. Each
layer whose name matches REGEX gives up to N token vectors, chosen evenly over everything it saw by
reservoir sampling with the seed: entry NAME.input [tokens, K] for the weight NAME.weight, F32.
--moments adds NAME.importance [K], the mean of x^2 over every token, for --importance.

From Python, for any torch.nn.Module:

    from dump_activations import Recorder, write
    with Recorder(model, tokens=512) as recorder:
        model(inputs)
    write("inputs.safetensors", recorder.tensors())

Needs torch, and transformers for --model; the file is written without further packages.
"""
import argparse
import json
import os
import pathlib
import random
import re
import struct
import sys
import tempfile


class Layer:
    """Up to `tokens` rows of one layer's inputs, and the sums of squares of all of them."""

    def __init__(self, tokens, seed):
        self.tokens, self.random = tokens, random.Random(seed)
        self.seen, self.rows, self.squares = 0, [], None

    def add(self, rows):
        """rows: lists of floats, one per token. Each token seen so far is kept with the same chance."""
        for row in rows:
            row = [float(v) for v in row]
            if self.squares is None:
                self.squares = [0.0] * len(row)
            if len(row) != len(self.squares):
                raise ValueError(f"inputs of {len(row)} columns after inputs of {len(self.squares)}")
            for k, v in enumerate(row):
                self.squares[k] += v * v
            self.seen += 1
            if len(self.rows) < self.tokens:
                self.rows.append(row)
            else:
                place = self.random.randrange(self.seen)
                if place < self.tokens:
                    self.rows[place] = row


class Recorder:
    """Hooks on every layer of a model that has a 2D weight [outputs, K] and is called with one tensor
    whose last dimension is K. A context manager: the hooks are removed at the end."""

    def __init__(self, model, tokens=512, layers="", seed=0):
        self.model, self.tokens, self.seed = model, tokens, seed
        self.pattern = re.compile(layers)
        self.layers, self.handles = {}, []

    def __enter__(self):
        for name, module in self.model.named_modules():
            weight = getattr(module, "weight", None)
            if weight is None or len(weight.shape) != 2 or type(module).__name__ == "Embedding":
                continue
            if self.pattern.search(name):
                self.handles.append(module.register_forward_pre_hook(self.hook(name, int(weight.shape[1]))))
        if not self.handles:
            raise ValueError("no layer with a 2D weight has a name that matches")
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()

    def hook(self, name, columns):
        def record(_, inputs):
            x = inputs[0]
            if int(x.shape[-1]) != columns:
                return  # transposed weights, as of Conv1D of GPT-2: not [outputs, K]
            rows = x.detach().reshape(-1, columns).float().cpu().tolist()
            self.layers.setdefault(name, Layer(self.tokens, f"{self.seed} {name}")).add(rows)
        return record

    def tensors(self, moments=False):
        """Entries for write(): name -> (shape, floats)."""
        out = {}
        for name, layer in self.layers.items():
            out[name + ".input"] = ([len(layer.rows), len(layer.squares)], [v for row in layer.rows for v in row])
            if moments:
                out[name + ".importance"] = ([len(layer.squares)], [s / layer.seen for s in layer.squares])
        return out


def write(path, tensors, metadata=None):
    """A safetensors file of F32 tensors, whole or not at all."""
    header, offset = {"__metadata__": metadata or {}}, 0
    for name, (shape, values) in sorted(tensors.items()):
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + 4 * len(values)]}
        offset += 4 * len(values)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = pathlib.Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            for _, (_, values) in sorted(tensors.items()):
                out.write(struct.pack(f"<{len(values)}f", *values))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def run(options):
    try:
        import torch
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        print(f"dump_activations.py: {error.name} is missing: pip install torch transformers", file=sys.stderr)
        return 5
    try:
        lines = [line.strip() for line in pathlib.Path(options.text).read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        print(f"dump_activations.py: {options.text}: cannot be read as text: {error}", file=sys.stderr)
        return 3
    if not lines:
        print(f"dump_activations.py: {options.text}: no lines to run", file=sys.stderr)
        return 3
    tokenizer, model = AutoTokenizer.from_pretrained(options.model), AutoModel.from_pretrained(options.model).eval()
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    with torch.no_grad(), Recorder(model, options.tokens, options.layers, options.seed) as recorder:
        # Lines of one length need no padding, whose vectors must not be recorded.
        groups = {}
        for line in lines:
            ids = tokenizer(line, truncation=True, max_length=options.max_length)["input_ids"]
            groups.setdefault(len(ids), []).append(ids)
        for group in groups.values():
            for first in range(0, len(group), options.batch):
                model(input_ids=torch.tensor(group[first:first + options.batch]))
    write(options.output, recorder.tensors(options.moments), {"model": options.model, "lines": str(len(lines))})
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--layers", default="")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--moments", action="store_true")
    sys.exit(run(parser.parse_args()))
