#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what is missing, builds a release of the command alone, and evaluates the block formats on
# the shipped slice of a real transformer. Needs no GPU. usage: scripts/demo.sh [FILE...]
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh build
cmake --preset release -DLOWBIT_WITH_GPU=OFF -DLOWBIT_WITH_MAC=OFF
cmake --build --preset release --target lowbit
exec build/release/cli/lowbit eval "${@:-tests/data/minilm_sample.safetensors}"
