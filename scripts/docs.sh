#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the documentation site in build/docs/site and checks its links: the pages of docs/, the notebook with its results, example
# reports, and the API reference. Needs Python with venv; fetches MkDocs by pip once, the site itself needs no network.
# usage: scripts/docs.sh [LOWBIT [PYTHON]]    LOWBIT: the command (default build/dev/cli/lowbit); PYTHON: an interpreter that has the
#                                             package (default: that of `ctest --preset dev -L python`)
# exit 77: something that it needs is missing; 1 instead of it where the variable CI is set
set -euo pipefail
export NO_MKDOCS_2_WARNING=1
cd "$(dirname "$0")/.."
lowbit=${1:-build/dev/cli/lowbit}
python=${2:-build/dev/tests/python/venv/bin/python}
work=build/docs
pages=$work/pages

skip() {
  echo "docs.sh: $*" >&2
  [ -z "${CI:-}" ] || exit 1
  exit 77
}
"$lowbit" version > /dev/null 2>&1 || skip "there is no command $lowbit; build it or name another"
"$python" -c 'import lowbit' 2> /dev/null || skip "$python has no lowbit; run ctest --preset dev -L python, or name another"
command -v doxygen > /dev/null || skip "doxygen is not installed (scripts/install.sh)"
[ -x "$work/env/bin/python" ] || /usr/bin/env python3 -m venv "$work/env" || skip "no virtual environment (Debian: python3-venv)"
"$work/env/bin/python" -c 'import material, nbconvert' 2> /dev/null ||
  "$work/env/bin/python" -m pip -q --disable-pip-version-check install --retries 1 'mkdocs-material>=9.5,<10' nbconvert ||
  skip "pip cannot get mkdocs-material and nbconvert (no network?)"
"$python" -c 'import ipykernel, nbclient' 2> /dev/null ||
  "$python" -m pip -q --disable-pip-version-check install --retries 1 ipykernel nbclient ||
  skip "pip cannot get ipykernel and nbclient (no network?)"

rm -rf "$pages" "$work/site"
mkdir -p "$pages"
cp -r docs/. "$pages"

# The notebook, run here, and as a page. Its links are written for that page's place.
"$python" scripts/run_notebook.py docs/notebooks/first_ten_minutes.ipynb "$work/notebook.ipynb"
"$work/env/bin/python" -m nbconvert --log-level WARN --to markdown --output-dir "$pages" --output notebook "$work/notebook.ipynb"
rm -r "$pages/notebooks"
sed -i 's,notebooks/first_ten_minutes\.ipynb,notebook.md,' "$pages"/*.md

{
  printf '# Notes\n\nHow the parts were designed, what was tried, and full counts of campaigns.\n\n'
  for note in docs/notes/*.md; do
    printf -- '- [%s](%s)\n' "$(sed -n '1s/^# //p' "$note")" "$(basename "$note")"
  done
} > "$pages/notes/README.md"

# Example reports: what the commands print on the shipped sample.
sample=tests/data/minilm_sample.safetensors
example() {  # example TITLE ARGUMENT...: a heading, the command, and its output, which is Markdown
  printf '\n## %s\n\n    lowbit %s\n\n' "$1" "${*:2}"
  "$lowbit" "${@:2}"
}
example_text() {  # the same for plain text
  printf '\n## %s\n\n    lowbit %s\n\n```\n' "$1" "${*:2}"
  "$lowbit" "${@:2}"
  printf '```\n'
}
{
  printf '# Example reports\n\nThe commands made these reports from the shipped sample when this site was built.\n'
  example 'Formats side by side' eval "$sample" --markdown -
  example_text 'One format for each layer under 5 bits' plan "$sample" --budget 5
} > "$pages/examples.md"

scripts/docs_api.sh "$work/api" > /dev/null
cp -r "$work/api/html" "$pages/api"
"$work/env/bin/python" -m mkdocs build --strict --quiet
rm "$work/site/404.html"  # it names its files from a server's root, which only a server has
"$work/env/bin/python" scripts/docs_links.py "$work/site"
if grep -rlE '>[a-z_/]+\.md</a>' "$work/site" --include='*.html' --exclude-dir=api; then
  echo "docs.sh: these pages show a file's name where scripts/docs_labels.py gives the page's" >&2
  exit 1
fi
echo "site: $work/site; to read and search it: python3 -m http.server -d $work/site"
