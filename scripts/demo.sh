#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what is missing, builds a release of the command, and evaluates the block formats on the shipped slice of a real
# transformer. Needs no GPU.
# usage: scripts/demo.sh [--full] [FILE...]    --full: with the simulated MAC units (Verilator; SystemC), and with GPU kernels where
#                                              the CUDA toolkit is found; takes some minutes more
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1-}" = --full ]; then
  shift
  scripts/install.sh mac
  options=(-DLOWBIT_WITH_GPU=ON -DLOWBIT_WITH_MAC=ON)
else
  scripts/install.sh build
  options=(-DLOWBIT_WITH_GPU=OFF -DLOWBIT_WITH_MAC=OFF)
fi
cmake --preset release "${options[@]}"
cmake --build --preset release --target lowbit
exec build/release/cli/lowbit eval "${@:-tests/data/minilm_sample.safetensors}"
