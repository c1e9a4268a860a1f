#!/bin/sh
# SPDX-License-Identifier: MIT
# The tests of the Python package, its doctests, and its stubs. With sanitizers, what takes arbitrary inputs.
# usage: run.sh ENVIRONMENT SOURCE SANITIZE    (variables: LOWBIT, the command to compare with; CXX, the compiler)
set -eu
environment=$1 source=$2 sanitize=$3
cd "$source"
[ -x "$environment/bin/python" ] || { echo "skipped: there is no virtual environment; python_install says why"; exit 77; }
pytest="$environment/bin/python -m pytest -p no:cacheprovider"
if [ "$sanitize" = ON ]; then
  # Python itself leaks by design. Its own allocator would hide overruns of small objects from the sanitizer.
  LD_PRELOAD="$($CXX -print-file-name=libasan.so) $($CXX -print-file-name=libstdc++.so.6)" ASAN_OPTIONS=detect_leaks=0 \
    PYTHONMALLOC=malloc $pytest tests/python/test_any_input.py tests/python/test_arrays.py
  exit
fi
installed=$("$environment/bin/python" -c 'import lowbit, os; print(os.path.dirname(lowbit.__file__))')
case $installed in "$source"/python/*) echo "the package in the source folder was imported" >&2; exit 1 ;; esac
$pytest tests/python
$pytest --doctest-modules "$installed"
# The project that docs/ci.md describes, with nothing but the package.
(cd tests/consumers/kernel_ci && $pytest -c /dev/null -q .)
# The stub of the binding is what nanobind says of it now.
"$environment/bin/python" -m nanobind.stubgen -m lowbit._lowbit -o "$environment/_lowbit.pyi" -q
diff -u python/lowbit/_lowbit.pyi "$environment/_lowbit.pyi" ||
  { echo "python/lowbit/_lowbit.pyi is not what the binding is; copy $environment/_lowbit.pyi over it" >&2; exit 1; }
"$environment/bin/python" -m mypy --cache-dir "$environment/mypy" -p lowbit
