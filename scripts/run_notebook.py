#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a notebook in the folder that it lies in, and writes it with its results. A cell that raises is an error.
usage: run_notebook.py NOTEBOOK RESULT"""
import pathlib
import sys

import nbclient
import nbformat

source, result = map(pathlib.Path, sys.argv[1:])
notebook = nbformat.read(source, as_version=4)
nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": source.parent}}).execute()
nbformat.write(notebook, result)
