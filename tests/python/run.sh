#!/bin/sh
# SPDX-License-Identifier: MIT
# The tests of the Python package, its doctests, and its stubs.
# usage: run.sh ENVIRONMENT SOURCE    (LOWBIT: the command to compare with)
set -eu
environment=$1 source=$2
cd "$source"
[ -x "$environment/bin/python" ] || { echo "skipped: there is no virtual environment; python_install says why"; exit 77; }
installed=$("$environment/bin/python" -c 'import lowbit, os; print(os.path.dirname(lowbit.__file__))')
case $installed in "$source"/python/*) echo "the package in the source folder was imported" >&2; exit 1 ;; esac
"$environment/bin/python" -m pytest -p no:cacheprovider tests/python
"$environment/bin/python" -m pytest -p no:cacheprovider --doctest-modules "$installed"
# The project that docs/ci.md describes, with nothing but the package.
(cd tests/consumers/kernel_ci && "$environment/bin/python" -m pytest -p no:cacheprovider -c /dev/null -q .)
# The stub of the binding is what nanobind says of it now.
"$environment/bin/python" -m nanobind.stubgen -m lowbit._lowbit -o "$environment/_lowbit.pyi" -q
diff -u python/lowbit/_lowbit.pyi "$environment/_lowbit.pyi" ||
  { echo "python/lowbit/_lowbit.pyi is not what the binding is; copy $environment/_lowbit.pyi over it" >&2; exit 1; }
"$environment/bin/python" -m mypy --cache-dir "$environment/mypy" -p lowbit
