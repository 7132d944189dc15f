#!/usr/bin/env bash
# Build the wheel, install it into an environment of its own and run the tests that need no server against it:
# a package that setuptools does not know of works when installed editable and is silently absent from the wheel.
set -euo pipefail
python=$1
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$work/wheel" "$root"
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$root/constraints.txt" \
    "$(ls "$work"/wheel/*.whl)[postgres,embedded]" pytest pytest-asyncio hypothesis freezegun
cp -r "$root/tests" "$root/pyproject.toml" "$work/"
cd "$work"
"$work/venv/bin/fairlead" --version
"$work/venv/bin/python" -m pytest -q -p no:cacheprovider -k "not postgres and not e2e" tests/contract tests/unit/kernel
