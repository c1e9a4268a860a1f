#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What takes too long for every change. Each part is a function; with names, only those run.
# usage: scripts/nightly.sh [PART...]    parts: python_from_source, python_asan
set -euo pipefail
cd "$(dirname "$0")/.."
work=build/nightly
mkdir -p "$work"

python_environment() {  # a virtual environment with what the Python tests need, once
  [ -x "$work/env/bin/pytest" ] && return
  /usr/bin/python3 -m venv "$work/env"
  "$work/env/bin/pip" -q install 'nanobind>=2.4' 'scikit-build-core>=0.10' numpy pytest hypothesis ml_dtypes pandas mypy auditwheel
}

# `pip install .` as a user does it, README's lines, and a wheel with its tag and size.
python_from_source() {
  rm -rf "$work/user" "$work/wheels"
  /usr/bin/python3 -m venv "$work/user"
  "$work/user/bin/pip" -q install .
  sed -n '/^```python$/,/^```$/{/^```/d;p}' README.md > "$work/readme.py"
  (cd "$work" && user/bin/python readme.py)
  python_environment
  "$work/env/bin/pip" -q wheel . --no-deps -w "$work/wheels"
  "$work/env/bin/auditwheel" show "$work"/wheels/lowbit-*.whl
  [ "$(stat -c %s "$work"/wheels/lowbit-*.whl)" -lt 15000000 ] || { echo "the wheel is over 15 MB" >&2; exit 1; }
}

# The binding under the address and undefined-behaviour sanitizers, on more inputs than the test of every change takes.
python_asan() {
  cmake --preset asan
  cmake --build --preset asan --target lowbit_formats lowbit_sim
  LOWBIT_EXAMPLES=2000 ctest --preset asan -L python
}

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(python_from_source python_asan)
for part in "${parts[@]}"; do
  echo "== $part"
  "$part"
done
