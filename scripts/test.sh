#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs, builds and runs the tests.
# usage: scripts/test.sh [--quick]
#   without an option  what CI runs: the format of the sources; the libraries and their tests under the
#                      address and undefined-behaviour sanitizers; then everything without them, the
#                      command, MAC units and GPU builds included
#   --quick            before a commit: the format of the sources, a build of what changed, and every
#                      test that is not labelled slow, without sanitizers
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1-} in
  '') echo "test.sh: takes about 25 minutes on two idle cores where nothing is built yet" ;;
  --quick) echo "test.sh: takes under 5 minutes on two idle cores where build/dev is built, and what has to be compiled again" ;;
  *) echo "usage: scripts/test.sh [--quick]" >&2; exit 2 ;;
esac
scripts/install.sh test
jobs=$(nproc)

# What another checkout of the same sources has compiled with ccache need not be compiled again.
if command -v ccache > /dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CMAKE_CUDA_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
fi

# Exit code 5: clang-format 14 is not there, as format.sh has said.
scripts/format.sh --check || [ $? = 5 ]

if [ "${1-}" = --quick ]; then
  cmake --preset dev
  cmake --build --preset dev -j "$jobs"
  ctest --preset dev -j "$jobs" -LE slow
  exit
fi

cmake --preset asan
cmake --build --preset asan -j "$jobs"
ctest --preset asan -j "$jobs" -LE slow

cmake --preset dev
cmake --build --preset dev -j "$jobs"
ctest --preset dev -j "$jobs"
