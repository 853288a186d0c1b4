#!/bin/sh
# Makes .venv and installs requirement files at the versions of constraints.txt:
#     tools/setup.sh requirements.txt [more files]
# or finds, and if need be installs, a browser for the end-to-end tests:
#     tools/setup.sh chromium
set -eu
cd "$(dirname "$0")/.."
python=.venv/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

say() { printf '%s\n' "$*" >&2; }

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    say "Eidoscope needs Python 3.11 or newer, and none was found on the PATH" \
        "(python3 is: $(python3 --version 2>&1 || true)). Install one and run make again."
    exit 1
}

make_venv() {
    if "$python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        return
    fi
    base=$(find_python)
    say "Making .venv with $("$base" --version)"
    if ! "$base" -m venv --clear .venv; then
        rm -rf .venv
        say "$base could not make a virtual environment." \
            "On Debian and Ubuntu: apt install python3-venv. Then run make again."
        exit 1
    fi
}

# Linux wheels of torch bring several gigabytes of CUDA packages. A machine without an NVIDIA
# card takes PyTorch's CPU build: from the usual package sources if they have it, else from
# PyTorch's own index.
cpu_torch() {
    [ "$(uname -s)" = Linux ] || return 0
    [ ! -e /dev/nvidiactl ] || return 0
    "$python" -c 'import importlib.metadata as m; m.version("torch")' 2>/dev/null && return 0
    offered=$("$python" -m pip install --quiet --dry-run --no-deps --report - \
        -c constraints.txt torch 2>/dev/null |
        "$python" -c 'import json, sys; print(json.load(sys.stdin)["install"][0]["metadata"]["version"])' \
            2>/dev/null) || offered=none
    case $offered in *+cpu) return 0 ;; esac
    if ! "$python" -m pip install --quiet --no-deps -c constraints.txt \
        --index-url https://download.pytorch.org/whl/cpu torch; then
        say "PyTorch's index of CPU builds could not be reached;" \
            "the usual build is taken instead, with about 3 GB of CUDA packages."
    fi
}

install() {
    make_venv
    say "Installing $* (minutes the first time, seconds later)"
    cpu_torch
    for file in "$@"; do
        set -- "$@" -r "$file"
        shift
    done
    "$python" -m pip install --quiet -c constraints.txt "$@"
}

have_chromium() {
    [ -n "${CHROMIUM:-}" ] && return 0
    for name in chromium chromium-browser google-chrome; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    found=$("$python" -c 'from playwright.sync_api import sync_playwright
with sync_playwright() as p: print(p.chromium.executable_path)' 2>/dev/null) && [ -x "$found" ]
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

get_chromium() {
    have_chromium && return 0
    if command -v apt-get >/dev/null 2>&1; then
        say "Installing chromium with apt-get"
        as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -qq -y --no-install-recommends chromium >/dev/null || true
        have_chromium && return 0
    fi
    "$python" -m playwright install chromium >/dev/null 2>&1 || true
    have_chromium && return 0
    say "The end-to-end tests need Chromium, and neither apt-get nor Playwright could get it here." \
        "Install chromium or google-chrome, or set CHROMIUM to its path, and run make e2e again."
    exit 1
}

case ${1:-} in
    '') say "usage: tools/setup.sh requirements.txt [more files] | chromium" && exit 2 ;;
    chromium) get_chromium ;;
    *) install "$@" ;;
esac
