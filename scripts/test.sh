#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs, builds and runs every test: first under the address and undefined-behaviour sanitizers
# (the libraries and their tests), then everything, the command, MAC units and GPU builds included, without them.
# usage: scripts/test.sh
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh test

jobs=$(nproc)
cmake --preset asan
cmake --build --preset asan -j "$jobs"
ctest --preset asan -j "$jobs" -LE slow

cmake --preset dev
cmake --build --preset dev -j "$jobs"
ctest --preset dev -j "$jobs"
