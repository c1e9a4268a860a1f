#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the weights that the other scripts quantize: the reference of `lowbit eval --reference`.
usage: write_original.py OUT_FOLDER"""
import pathlib
import sys

from safetensors.torch import save_file

import small_model

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
save_file({name + ".weight": weight for name, weight in small_model.weights().items()}, folder / "model.safetensors")
