# Set-up shared by Tests/run, Examples/two-homes/run and .ci/run. Sourced, never run.
#
# Installs only what is missing: Debian packages through apt, Python packages into a private environment under .build/.
# Everything a clone creates stays below its own .build/, so `rm -rf .build` undoes all but the Debian packages.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHON=$ROOT/.build/python/bin/python
PYTHON_PACKAGES=(qi==3.1.5 slixmpp==1.17.0 pytest==8.4.2 pytest-xdist==3.8.0 PyYAML==6.0.3 qrcode==8.2)
STARTED=$(date +%s)
# The nested packages share the root's build folder, and the plan of the one that was built last would be taken for everybody's.
BUILD=(swift build --disable-build-manifest-caching)
# What release builds of ours are made with, as in docker/Dockerfile: a package that others depend on may not carry these itself.
SHIPPED=(-Xswiftc -enforce-exclusivity=unchecked --static-swift-stdlib)

# What happens, on stderr, with the seconds since the start: data stays on stdout.
say() { printf '[%4ds] %s\n' "$(($(date +%s) - STARTED))" "$*" >&2; }

die() { printf 'error: %s\n' "$*" >&2; exit 1; }

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    else sudo "$@"
    fi
}

# Debian packages by name; the index is fetched once, and only when one of them is missing.
need_packages() {
    local missing=() package
    command -v dpkg-query >/dev/null || die "this set-up knows Debian 12 only; install by hand: $*"
    for package in "$@"; do installed "$package" || missing+=("$package"); done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        die "missing packages, and neither root nor sudo here. Have root run: apt-get install ${missing[*]}"
    fi
    say "installing ${missing[*]}"
    as_root apt-get update -q >&2 || die "apt-get update failed"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >&2 \
        || die "apt-get install ${missing[*]} failed"
    case " ${missing[*]} " in
        *" prosody "*) say "note: Debian's prosody package may start a server of its own; it is not used here (to stop it: systemctl disable --now prosody)" ;;&
        *" ejabberd "*) say "note: Debian's ejabberd package may start a server of its own; it is not used here (to stop it: systemctl disable --now ejabberd)" ;;
    esac
}

need_swift() {
    command -v swift >/dev/null || die "no swift on PATH: install the toolchain $(cat "$ROOT/.swift-version") (https://www.swift.org/install/linux/)"
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    case $version in
        6.[3-9]|6.[1-9][0-9]|[7-9].*) ;;
        *) die "Swift 6.3 or later is needed, this is ${version:-unknown}" ;;
    esac
}

# The private Python environment. `qi` is published as wheels for certain Python versions only: the first interpreter that
# can take every pinned package wins.
need_python() {
    local wanted="${PYTHON_PACKAGES[*]}" stamp=$ROOT/.build/python/packages candidate
    [ -x "$PYTHON" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
    need_packages python3-venv
    mkdir -p "$ROOT/.build"
    local log=$ROOT/.build/python.log
    : >"$log"
    for candidate in /usr/bin/python3 python3.11 python3.12 python3.10 python3.13 python3.9 python3; do
        command -v "$candidate" >/dev/null || continue
        say "Python environment with ${PYTHON_PACKAGES[*]} ($candidate)"
        rm -rf "$ROOT/.build/python"
        if "$candidate" -m venv "$ROOT/.build/python" >>"$log" 2>&1 \
            && "$PYTHON" -m pip install -q --only-binary qi "${PYTHON_PACKAGES[@]}" >>"$log" 2>&1; then
            printf '%s' "$wanted" >"$stamp"
            return 0
        fi
    done
    tail -n 20 "$log" >&2
    die "no Python interpreter here can install ${PYTHON_PACKAGES[*]} (log: $log)"
}

# What building and running a private XMPP server takes.
need_everything() {
    need_packages ca-certificates ejabberd git iproute2 libstrophe-dev openssl prosody python3-venv
    need_swift
    need_python
}

# The command itself, in the debug configuration that the tests use too (a release build takes twice as long).
build_product() {
    say "building qimesh (about 5 minutes on two cores the first time, seconds afterwards)"
    (cd "$ROOT" && "${BUILD[@]}" --product qimesh >&2) || die "swift build failed"
}
