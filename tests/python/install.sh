#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes a virtual environment with the package, built against an installed lowbit, and what its tests need.
# usage: install.sh PYTHON ENVIRONMENT PREFIX SOURCE SANITIZE    SANITIZE: ON or OFF, as PREFIX was built
# exit 77: pip cannot get what is needed; 1 instead of it where the variable CI is set
set -eu
python=$1 environment=$2 prefix=$3 source=$4 sanitize=$5
skip() {
  echo "skipped: $*"
  [ -z "${CI:-}" ] || { echo "CI is set, so the tests of the Python package must run" >&2; exit 1; }
  exit 77
}
"$python" -m venv --help > /dev/null 2>&1 || skip "$python has no venv (Debian: apt install python3-venv)"
[ -x "$environment/bin/python" ] || "$python" -m venv "$environment" || skip "no virtual environment by $python"
pip="$environment/bin/python -m pip --disable-pip-version-check -q --retries 1 --timeout 20"
packages='nanobind>=2.4 scikit-build-core>=0.10 numpy pytest hypothesis ml_dtypes'
modules='nanobind, scikit_build_core, pytest, hypothesis, ml_dtypes'
if [ "$sanitize" != ON ]; then
  packages="$packages pandas mypy ipykernel nbclient"
  modules="$modules, pandas, mypy, ipykernel, nbclient"
fi
"$environment/bin/python" -c "import $modules" 2> /dev/null || $pip install $packages ||
  skip "pip cannot get the packages that the tests need (no network?)"
$pip install --no-build-isolation --no-deps --force-reinstall "$source" --config-settings build-dir="$environment/build" \
  --config-settings cmake.define.LOWBIT_PYTHON_OF_INSTALLED=ON --config-settings cmake.define.lowbit_ROOT="$prefix" \
  --config-settings cmake.define.LOWBIT_SANITIZE="$sanitize"
