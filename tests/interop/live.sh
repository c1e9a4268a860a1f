#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs MLX (CPU) and gguf into a virtual environment and checks checkpoints that they write now.
# usage: live.sh PYTHON ENVIRONMENT LOWBIT
# exit 77: pip cannot get the packages
set -eu
python=$1 environment=$2 lowbit=$3
here=$(cd "$(dirname "$0")" && pwd)
[ -x "$environment/bin/python" ] || "$python" -m venv "$environment" || { echo "skipped: no venv"; exit 77; }
pip="$environment/bin/python -m pip --disable-pip-version-check -q --retries 1 --timeout 20"
"$environment/bin/python" -c "import gguf, safetensors" 2> /dev/null || $pip install 'gguf>=0.17' safetensors numpy ||
  { echo "skipped: pip cannot get gguf"; exit 77; }
"$environment/bin/python" -c "import mlx.core" 2> /dev/null || $pip install 'mlx[cpu]>=0.32' || echo "pip cannot get mlx"
exec "$environment/bin/python" "$here/check.py" --lowbit "$lowbit" --live
