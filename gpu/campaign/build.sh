#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds mma_campaign without CMake: one program that needs only the driver, so that it can be
# carried to a machine with a Hopper GPU. usage: gpu/campaign/build.sh OUTPUT
set -euo pipefail
out=$(realpath -m "$1")
cd "$(dirname "$0")/../.."
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
include=(-Iformats/include -Isim/include -Isim/src -Igpu/campaign)
for source in sim/src/tensor_core/instruction.cpp sim/src/tensor_core/mma.cpp sim/src/tensor_core/lanes.cpp formats/src/element_format.cpp; do
  g++ -std=c++20 -O3 -ffp-contract=off -DFMT_HEADER_ONLY "${include[@]}" -c "$source" -o "$objects/$(basename "$source").o"
done
nvcc -gencode=arch=compute_90a,code=sm_90a -O3 -std=c++20 --expt-relaxed-constexpr -fmad=false "${include[@]}" \
  -c gpu/campaign/mma_campaign.cu -o "$objects/campaign.o"
nvcc -cudart static -Xcompiler -static-libstdc++,-static-libgcc "$objects"/*.o -o "$out"
