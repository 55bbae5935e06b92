# shellcheck shell=bash disable=SC2034
# What every script here shares; sourced, not run. Bash, Debian 12 or later.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${VSCRIPT_CACHE:-${HOME:?set HOME or VSCRIPT_CACHE}/.cache/vscript}
# Messages of tools are parsed and names sorted: the same in every locale.
export LC_ALL=C.UTF-8

# Prints an error with the name of the script and ends it.
fail() {
    printf '%s: error: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Prints progress; standard output is kept for results.
note() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
}

# Runs a command with root's rights: as it is, by sudo, or not at all.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root or sudo: $*"
    fi
}

# Runs apt-get; its output is shown only when it fails. Without package lists it brings them first.
apt_get() {
    local output
    if ! output=$("$@" 2>&1); then
        as_root apt-get update -q >/dev/null 2>&1 || note "apt-get update failed; trying with the lists there are"
        output=$("$@" 2>&1) || fail "$*: $(tail -n 5 <<<"$output")"
    fi
}

# Installs those of the named Debian packages that are missing.
need_packages() {
    local package missing=()
    command -v dpkg-query >/dev/null || fail "this needs a Debian system (dpkg-query not found); packages: $*"
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    note "installing ${missing[*]}"
    apt_get as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# Swift is assumed; says so when it is not there.
need_swift() {
    command -v swift >/dev/null || fail "swift not found: install Swift 6.3 or later (https://swift.org/install)"
}
