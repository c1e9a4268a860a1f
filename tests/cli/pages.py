# SPDX-License-Identifier: MIT
"""Pages of eval and plan, the schema of eval's JSON, and remedies by the command."""
import html.parser
import json
import pathlib
import random

import tensors

SCHEMA = json.loads((pathlib.Path(__file__).resolve().parents[2] / "docs/eval.schema.json").read_text())
HOSTILE = "</td><script>alert(1)</script>\"'& .weight"


def problems(value, schema, where="$"):
    """What of the schema the value breaks; the keywords that docs/eval.schema.json uses."""
    if "$ref" in schema:
        found = SCHEMA
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        yield from problems(value, found, where)
    for part in schema.get("allOf", []):
        yield from problems(value, part, where)
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    kinds = {"object": isinstance(value, dict), "array": isinstance(value, list), "string": isinstance(value, str),
             "number": is_number, "integer": is_number and value == int(value), "null": value is None}
    if types and not any(kinds[t] for t in types):
        yield f"{where} is no {types}"
        return
    if "minimum" in schema and value < schema["minimum"] or "maximum" in schema and value > schema["maximum"]:
        yield f"{where}: {value} is out of range"
    if isinstance(value, dict):
        yield from (f"{where} lacks {key}" for key in schema.get("required", []) if key not in value)
        for key, part in value.items():
            inner = schema.get("properties", {}).get(key, schema.get("additionalProperties", True))
            if inner is False:
                yield f"{where}: {key} is not in the schema"
            elif inner is not True:
                yield from problems(part, inner, f"{where}.{key}")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{where} has {len(value)} items"
        for i, part in enumerate(value):
            yield from problems(part, schema.get("items", {}), f"{where}[{i}]")


class Page(html.parser.HTMLParser):
    """Tags, texts, and whether every tag is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.attributes, self.wrong = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in ("meta", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.texts.append(data)

    def sound(self):
        links = [v for k, v in self.attributes if k in ("href", "src") or k.startswith("on")]
        return not self.open and not self.wrong and "script" not in self.tags and not links


def model(folder):
    source = random.Random(5)

    def normal(count):
        return tensors.pack([source.gauss(0, 0.05) for _ in range(count)])

    tensors.write(folder / "m.safetensors", {"a.weight": ("F32", [48, 64], normal(48 * 64)),
                                             HOSTILE: ("F32", [32, 64], normal(32 * 64))})
    tensors.write(folder / "x.safetensors", {"a.input": ("F32", [20, 64], normal(20 * 64)),
                                             HOSTILE.removesuffix(".weight") + ".input": ("F32", [20, 64], normal(20 * 64))})


def pages(lowbit, folder, check):
    code, out, err = lowbit("eval", "m.safetensors", "--html", "e.html", "--json", "e.json", folder=folder)
    check(code == 0, f"eval --html: {err}")
    text = (folder / "e.html").read_text()
    page = Page(text)
    check(page.sound(), f"eval --html: open {page.open}, wrong {page.wrong[:3]}, or a script or a link")
    check(HOSTILE in "".join(page.texts), "eval --html: the hostile name is not a text of the page")
    found = json.loads((folder / "e.json").read_text())
    broken = list(problems(found, SCHEMA))
    check(not broken, f"eval --json and its schema: {broken[:3]}")
    check(list(problems({"lowbit": 1}, SCHEMA)) != [], "the schema refuses nothing")
    for result in found["tensors"][0]["results"]:
        check(f"{result['sqnr_db']:.2f}" in page.texts, "eval --html: an SQNR of the JSON is not on the page")
    details = found["details"]["formats"]
    check(len(details) == 8 and all(len(d["worst_blocks"]) == 2 for d in details), "eval --html: two worst blocks per format")
    for d in details:
        check(sum(d["magnitudes"]["counts"]) == 5120 == sum(d["errors"]["counts"]), f"{d['format']}: elements in histograms")
        worst = [b["times_mean"] for b in d["worst_blocks"]]
        check(worst == sorted(worst, reverse=True) and worst[0] > 1, f"{d['format']}: worst blocks {worst}")
    blocks = {c["block_size"]: sum(c["counts"]) for c in found["details"]["crest_factors"]}
    check(blocks == {16: 320, 32: 160}, f"eval --html: blocks by size {blocks}")
    code, plain, err = lowbit("eval", "m.safetensors", "--json", "-", folder=folder)
    check("details" not in json.loads(plain) and "transform" not in json.loads(plain), "eval --json without --html has no details")
    code, out, err = lowbit("eval", "m.safetensors", "--html", "-", "--json", "-", folder=folder)
    check(code == 2 and len(err.splitlines()) == 1, "two reports to stdout are refused")
    code, out, err = lowbit("plan", "m.safetensors", "--budget", "5", "--html", "p.html", folder=folder)
    page = Page((folder / "p.html").read_text())
    check(code == 0 and page.sound() and HOSTILE in "".join(page.texts), f"plan --html: {err}")
    check(page.tags.count("circle") >= 3, "plan --html draws the curve")


def remedies(lowbit, folder, check):
    def outputs(*arguments):
        code, out, err = lowbit("eval", "m.safetensors", "--activations", "x.safetensors", "--format", "nvfp4:mse", "--json",
                                "-", *arguments, folder=folder)
        check(code == 0, f"eval {arguments}: {err}")
        return json.loads(out)

    plain = outputs()
    for name in ("gptq", "awq", "svd:8", "smooth,svd:8,gptq:act", "hadamard:16,gptq", "arc"):
        found = outputs("--transform", name)
        broken = list(problems(found, SCHEMA))
        check(not broken, f"--transform {name} and the schema: {broken[:3]}")
        check(found["transform"] == name, f"--transform {name} is in the JSON")
        for before, after in zip(plain["tensors"], found["tensors"]):
            kind = "both" if name == "arc" else "weights_only"
            a, b = (t["results"][0]["output"][kind]["sqnr_db"] for t in (before, after))
            check(b > a, f"--transform {name}: {after['name']} has {b} dB of {a} before")
            cost = after["results"][0]["remedies"]
            more = after["results"][0]["bits_per_element"] - before["results"][0]["bits_per_element"]
            check(abs(more * after["rows"] * 64 - cost["bits"]) < 1, f"--transform {name}: bits {more}, {cost}")
    costs = {t["name"]: t["results"][0]["remedies"] for t in outputs("--transform", "svd:8")["tensors"]}
    check(costs["a.weight"] == {"bits": 16 * 8 * 112, "multiply_adds": 8 * 112}, f"the cost of a branch: {costs}")
    for arguments, part in ((("--transform", "smooth"), "--activations"), (("--transform", "gptq,smooth"), "come first"),
                            (("--transform", "nothing"), "none of"), (("--transform", "svd", "--format", "q4_k"), "no block format"),
                            (("--transform", "svd:999"), "rank 999")):
        code, out, err = lowbit("eval", "m.safetensors", *arguments, folder=folder)
        check(code == 2 and len(err.splitlines()) == 1 and part in err, f"eval {arguments}: {code}, {err}")


def run(lowbit, folder, check):
    folder = folder / "pages"
    folder.mkdir()
    model(folder)
    pages(lowbit, folder, check)
    remedies(lowbit, folder, check)
