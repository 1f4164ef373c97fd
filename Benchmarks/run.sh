#!/usr/bin/env bash
# Measures Heptad, beside its peers where there are some; prints one JSON line for each figure.
# usage: Benchmarks/run.sh [appliance] [local] [vector] [retrieval] [gateway]     default: all
# Needs .build/release/heptad and the models (`make bench` sees to both). HEPTAD_BINARY and
# HEPTAD_MODELS name others. Peers go into .build/bench-venv, out of the Python package index.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$here/.."

suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(appliance local vector retrieval gateway)
for suite in "${suites[@]}"; do
    [ -f "$here/$suite.py" ] || { sed -n '2,5p' "$0" | sed 's/^# //' >&2; exit 2; }
done

venv=.build/bench-venv
if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
    # Debian's Python comes first: its sqlite3 loads extensions, which sqlite-vec is.
    PATH="/usr/bin:$PATH" python3 -m venv "$venv" >&2
    "$venv/bin/python" -m pip install --quiet -r "$here/requirements.txt" >&2
    cp "$here/requirements.txt" "$venv/installed.txt"
fi

uptime >&2
status=0
for suite in "${suites[@]}"; do
    # One suite that fails does not keep the others from running, but the whole then fails too.
    "$venv/bin/python" "$here/$suite.py" || { echo "$suite: failed" >&2; status=1; }
done
exit $status
