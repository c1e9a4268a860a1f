#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Formats every C++ and CUDA file that git tracks, or checks that it is formatted. Other versions of
# clang-format break lines elsewhere, so only version 14 counts.
# usage: scripts/format.sh [--check]
#   exit 1 where --check finds a file, 5 where clang-format 14 is not found
set -euo pipefail
cd "$(dirname "$0")/.."

version=14
found=
for name in "clang-format-$version" clang-format; do
  if "$name" --version 2>/dev/null | grep -q "version $version\."; then found=$name; break; fi
done
if [ -z "$found" ]; then
  echo "format.sh: skipped: clang-format $version not found; install the Debian 12 package" \
    "clang-format-$version, or: pip install clang-format==14.0.6" >&2
  exit 5
fi

mapfile -d '' -t files < <(git ls-files -z '*.cpp' '*.hpp' '*.cu' '*.cuh')
case ${1-} in
  '') "$found" -i "${files[@]}" ;;
  --check)
    if ! report=$("$found" --dry-run --Werror "${files[@]}" 2>&1); then
      sed -n 's/:[0-9]*:[0-9]*: error: .*//p' <<< "$report" | sort -u
      echo "format.sh: clang-format $version would change the files above; run scripts/format.sh" >&2
      exit 1
    fi ;;
  *) echo "usage: scripts/format.sh [--check]" >&2; exit 2 ;;
esac
