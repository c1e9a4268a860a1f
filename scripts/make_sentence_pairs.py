#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/data/sentence_pairs.tsv from WordNet 3.0.

usage: make_sentence_pairs.py WORDNET_FOLDER OUT.tsv

WORDNET_FOLDER holds data.noun and data.verb, as in /usr/share/wordnet of Debian's package wordnet-base. Each
line of OUT is KIND <tab> SENTENCE <tab> SENTENCE:

  example    two examples of one verb (400 pairs)
  hypernym   the gloss of a noun and the gloss of its first hypernym (350 pairs)
  unrelated  examples of two verbs (250 pairs)
  calibrate  one sentence, half of them examples and half glosses (256 lines)

No sentence occurs twice. Sentences are ASCII, of 5 to 24 words. random.Random(16) chooses and pairs them,
from the synsets in the order of the files.
"""
import pathlib
import random
import re
import sys

COUNTS = {"example": 400, "hypernym": 350, "unrelated": 250, "calibrate": 256}


def synsets(path):
    """(offset, offset of the first hypernym or None, definition, examples) in the order of the file."""
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("  "):
            continue
        data, gloss = line.split(" | ", 1)
        fields = data.split()
        words = int(fields[3], 16)
        pointers = fields[5 + 2 * words:]
        parents = [pointers[i + 1] for i in range(len(pointers) - 3) if pointers[i] == "@"]
        examples = re.findall(r'"([^"]*)"', gloss)
        definition = gloss.split('; "')[0].strip().rstrip(";")
        yield fields[0], parents[0] if parents else None, definition, examples


def usable(text):
    return text.isascii() and 5 <= len(text.split()) <= 24 and not re.search(r"[\t\"|_]", text)


def main():
    folder, out = pathlib.Path(sys.argv[1]), sys.argv[2]
    chance = random.Random(16)
    verbs = [[e for e in examples if usable(e)] for _, _, _, examples in synsets(folder / "data.verb")]
    nouns = list(synsets(folder / "data.noun"))
    glosses = {offset: definition for offset, _, definition, _ in nouns}
    candidates = {
        "example": [tuple(e[:2]) for e in verbs if len(e) >= 2],
        "hypernym": [(d, glosses[p]) for _, p, d, _ in nouns if p in glosses and usable(d) and usable(glosses[p])],
        "unrelated": [(e[0],) for e in verbs if len(e) == 1],
        "calibrate": [(e[0],) for e in verbs if len(e) == 1],
    }
    for pairs in candidates.values():
        chance.shuffle(pairs)
    # Half of the calibration text is glosses.
    candidates["calibrate"] = [c for both in zip(candidates["calibrate"], [(d,) for d, _ in
                               reversed(candidates["hypernym"])]) for c in both]
    used, lines = set(), []

    def take(kind, sentences):
        if len(set(sentences)) != len(sentences) or used & set(sentences):
            return False
        used.update(sentences)
        lines.append((kind, *sentences))
        return True

    for kind, wanted in COUNTS.items():
        pool = iter(candidates[kind])
        while wanted:
            sentences = next(pool)
            if kind == "unrelated":
                sentences += next(pool)
            wanted -= take(kind, sentences)
    pathlib.Path(out).write_text("".join("\t".join(line) + "\n" for line in lines), encoding="ascii")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main()
