#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what lowbit needs from the distribution's packages (tried on Debian 12 and 13), as root or
# with sudo. Packages that are there already are left alone, so that it needs no network then.
# usage: scripts/install.sh [build|mac|python|test]    build: to build the command; mac: with its simulated MAC units; python: for
#                                                      `pip install .`; test (default): everything
set -euo pipefail

build=(g++ cmake ninja-build pkg-config git
  libcli11-dev libfmt-dev nlohmann-json3-dev libzip-dev libboost-dev libeigen3-dev libtbb-dev libhwy-dev)
mac=(verilator libsystemc-dev)
python=(python3-dev python3-venv)
test=(catch2 python3 python3-numpy make "${python[@]}")
# Without these the rest still builds and the command says what is missing.
optional=(clang-format-14 doxygen "${mac[@]}" iverilog yosys berkeley-abc opensta valgrind libbenchmark-dev zsh
  libopenmpi-dev openmpi-bin
  qflow-tech-osu018 qflow-tech-osu035 qflow-tech-osu050)

missing() {  # prints the packages among the arguments that are not installed
  local name
  for name in "$@"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || echo "$name"
  done
}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
install() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; }

command -v apt-get >/dev/null || { echo "install.sh: no apt-get here; install by hand: ${build[*]}" >&2; exit 5; }
needed=("${build[@]}")
case ${1:-test} in
  build) ;;
  mac) needed+=("${mac[@]}") ;;
  python) needed+=("${python[@]}") ;;
  *) needed+=("${test[@]}") ;;
esac
mapfile -t required < <(missing "${needed[@]}")
wanted=()
[ "${1:-test}" != test ] || mapfile -t wanted < <(missing "${optional[@]}")
if [ $((${#required[@]} + ${#wanted[@]})) -gt 0 ]; then
  as_root apt-get update -q
  [ ${#required[@]} = 0 ] || install "${required[@]}"
  for name in "${wanted[@]}"; do
    install "$name" || echo "install.sh: $name is not available here; what needs it is left out" >&2
  done
fi

# cocotb is no Debian package; without it one example bench is left out. A Python that the distribution manages refuses pip: there
# install it into an environment of your own.
if [ "${1:-test}" = test ] && ! python3 -c 'import cocotb_tools' 2>/dev/null; then
  python3 -m pip install -q 'cocotb>=2' 2>/dev/null || echo "install.sh: cocotb 2 is not available here (pip install cocotb); its example bench is left out" >&2
fi
