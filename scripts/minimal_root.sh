#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs lowbit in a minimal Debian system of its own, as README and docs/install.md say: the Python package and README's lines of
# Python; the C++ libraries, found by CMake and by pkg-config; the wheel, repaired, in a clean virtual environment. As root, with
# debootstrap. Takes about 20 minutes on two idle cores. The system is kept for the next run.
# usage: scripts/minimal_root.sh SUITE FOLDER    SUITE: bookworm (Debian 12) or trixie (Debian 13)
set -euo pipefail
cd "$(dirname "$0")/.."
suite=$1 root=$2
mkdir -p "$root"
root=$(cd "$root" && pwd)
[ -e "$root/etc/debian_version" ] || debootstrap --variant=minbase "$suite" "$root"
# The network as this machine reaches it.
for file in /etc/resolv.conf /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
  [ ! -e "$file" ] || { mkdir -p "$root$(dirname "$file")" && cp -L "$file" "$root$file"; }
done
rm -rf "$root/lowbit"
mkdir "$root/lowbit"
git archive HEAD | tar -x -C "$root/lowbit"

mount -t proc proc "$root/proc" 2> /dev/null && trap 'umount "$root/proc"' EXIT
chroot "$root" /bin/bash -euo pipefail -s <<'IN_ROOT'
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
unset CXX CC CMAKE_CUDA_COMPILER_LAUNCHER
cd /lowbit
scripts/install.sh python
apt-get install -y -q --no-install-recommends ccache make patchelf > /dev/null  # for this test's speed, and for auditwheel
export CMAKE_CXX_COMPILER_LAUNCHER=ccache
step() { echo "== $(. /etc/os-release && echo "$VERSION_ID") $*"; }

step pip install .
rm -rf /env && python3 -m venv /env
/env/bin/pip -q install .
sed -n '/^```python$/,/^```$/{/^```/d;p}' README.md > /readme.py
(cd / && /env/bin/python readme.py)

step libraries, installed
scripts/install.sh build
cmake --preset release -DLOWBIT_WITH_MAC=OFF -DLOWBIT_WITH_GPU=OFF -DLOWBIT_BUILD_CLI=OFF > /dev/null
cmake --build --preset release --target lowbit_formats lowbit_sim
rm -rf /prefix
for part in formats sim; do cmake --install build/release --prefix /prefix --component $part > /dev/null; done
version=$(sed -n 's/.*LOWBIT_VERSION "\(.*\)"/\1/p' formats/include/lowbit/version.hpp)
cmake -S tests/consumers/find_package -B /find_package -G Ninja -Dlowbit_ROOT=/prefix -DLOWBIT_EXPECTED_VERSION="$version" > /dev/null
cmake --build /find_package
/find_package/consumer
PKG_CONFIG_PATH=$(dirname "$(find /prefix -name lowbit-formats.pc)") make -B -C tests/consumers/pkg_config check CXX=g++ VERSION="$version" OUT=/tmp

step wheel
rm -rf /wheels && /env/bin/pip -q install auditwheel pytest
/env/bin/pip -q wheel . --no-deps -w /wheels
/env/bin/auditwheel repair /wheels/lowbit-*.whl -w /wheels/repaired
ls -l /wheels/repaired
rm -rf /clean && python3 -m venv /clean
/clean/bin/pip -q install /wheels/repaired/lowbit-*.whl pytest
(cd tests/consumers/kernel_ci && /clean/bin/python -m pytest -p no:cacheprovider -c /dev/null -q .)
step done
IN_ROOT
