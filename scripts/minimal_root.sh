#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Follows README and docs/install.md in a minimal Debian system of its own. As root, with debootstrap. The system is kept for the
# next run.
# usage: scripts/minimal_root.sh SUITE FOLDER [PART...]
#   SUITE   bookworm (Debian 12) or trixie (Debian 13)
#   PART    python      `pip install .`, and README's lines of Python
#           wheel       the wheel, repaired, in a clean virtual environment
#           libraries   the C++ libraries, installed, found by CMake and by pkg-config, and as a folder of another project
#           demo        scripts/demo.sh, and the command installed
#           compilers   everything by each compiler that the suite offers, with warnings as errors; only where it is named
set -euo pipefail
cd "$(dirname "$0")/.."
suite=$1 root=$2
shift 2
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(python wheel libraries demo)
mkdir -p "$root"
root=$(cd "$root" && pwd)
[ -e "$root/etc/debian_version" ] || debootstrap --variant=minbase "$suite" "$root"
# The network as this machine reaches it.
for file in /etc/resolv.conf /etc/pip.conf; do [ ! -e "$file" ] || cp -L "$file" "$root$file"; done
# Under a name that the package ca-certificates does not write.
cp -L /etc/ssl/certs/ca-certificates.crt "$root/machine-certificates.crt"
apt-config dump | grep '^Acquire::' > "$root/etc/apt/apt.conf.d/99network" || true
# The sources of the last commit, where those of the run before were; what was built there stays.
mkdir -p "$root/lowbit"
find "$root/lowbit" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
git archive HEAD | tar -x -C "$root/lowbit"
cp scripts/minimal_root_parts.sh "$root/parts.sh"

mount -t proc proc "$root/proc" 2> /dev/null && trap 'umount "$root/proc"' EXIT
chroot "$root" /usr/bin/env -u CXX -u CC -u CMAKE_CUDA_COMPILER_LAUNCHER -u CCACHE_DIR PIP_CERT=/machine-certificates.crt \
  REQUESTS_CA_BUNDLE=/machine-certificates.crt SSL_CERT_FILE=/machine-certificates.crt DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
  HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin /bin/bash /parts.sh "${parts[@]}"
