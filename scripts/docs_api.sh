#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the API reference (HTML) from the public headers. Any warning of Doxygen is an error, an undocumented member
# included. Exit code 77 where Doxygen is missing.
# usage: scripts/docs_api.sh [FOLDER]   (default build/api)
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-build/api}
if ! command -v doxygen > /dev/null; then
  echo "docs_api.sh: doxygen is not installed (Debian: doxygen); the API reference is skipped" >&2
  exit 77
fi
mkdir -p "$out"
{ cat docs/Doxyfile; printf 'OUTPUT_DIRECTORY = "%s"\n' "$out"; } | doxygen -
echo "API reference: $out/html/index.html"
