# Shared by the shell scripts of this folder: where things are, and how a step is told to the reader.
# shellcheck shell=bash disable=SC2034
set -euo pipefail
export LC_ALL=C.UTF-8 # numbers with a point, files in one order

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Outlives clones: the node image for machines that cannot pull, the base of our images.
cache=${WALRUS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/walrus-on-kubernetes}
tools=$repo/.tools
logs=$repo/build/logs
cluster=${WALRUS_CLUSTER:-walrus}
export PATH="$tools/bin:$repo/.venv/bin:$PATH"
mkdir -p "$logs" "$tools/bin"

# Pinned tools. kind 0.30 is the last one whose own node image has the Kubernetes minor of kind/node-image.
kind_version=v0.30.0
kind_image=kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a
helm_version=v3.19.5

die() { # MESSAGE [REMEDY]
    printf '\n%s\n' "$1" >&2
    [ -z "${2:-}" ] || printf 'What to do: %s\n' "$2" >&2
    exit 1
}

seconds() { # START: how long ago $EPOCHREALTIME was START
    awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }'
}

# Says one clause about what the running step did; the reader sees it behind the step's name.
note() { printf '%s' "$*" > "$logs/note"; }

# Runs a command as a named step: its output goes to build/logs, the reader sees name, outcome and duration, a sign
# of life every 30 s, and on failure the last lines and what to do about it.
step() { # NAME REMEDY COMMAND...
    local name=$1 remedy=$2 start=$EPOCHREALTIME next=$((SECONDS + 30)) code=0 child log line
    shift 2
    log=$logs/${name//[^a-zA-Z0-9]/-}.log
    rm -f "$logs/note"
    printf -v line '   %-28s ' "$name ..."
    printf %s "$line"
    # Apart from any condition, or `set -e` would not hold inside the command.
    ("$@") > "$log" 2>&1 < /dev/null &
    child=$!
    trap 'trap - INT; printf "\n   interrupted\n"; kill 0' INT # background commands ignore Ctrl-C by themselves
    while kill -0 "$child" 2> /dev/null; do
        sleep 0.1
        if [ "$SECONDS" -ge "$next" ]; then
            printf '\n     %s: %s' "$(seconds "$start")" "$(tail -n 1 "$log" | tr -d '\r' | cut -c1-100)"
            next=$((SECONDS + 30)) line=$'\n'$line
        fi
    done
    wait "$child" || code=$?
    case $line in $'\n'*) printf '\n%s' "${line##*$'\n'}" ;; esac
    if [ "$code" = 0 ]; then
        printf '%9s  %s\n' "$(seconds "$start")" "$(cat "$logs/note" 2> /dev/null || true)"
        return
    fi
    printf 'FAILED after %s\n\n' "$(seconds "$start")"
    tail -n 25 "$log" | sed 's/^/   | /'
    die "$name failed; the whole log is $log" "$remedy"
}

# Two runs of a script in one tree wait for each other; the lock ends with the script.
one_at_a_time() { # NAME
    exec 9> "$repo/build/$1.lock"
    flock --nonblock 9 && return
    echo "   another run of $1 works in this folder; waiting for it"
    flock --wait 3600 9 || die "another run holds $repo/build/$1.lock for an hour" "end it"
}

have() { command -v "$1" > /dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif have sudo; then sudo "$@"; else
        die "this needs root: $*" "run make as root, or install sudo"
    fi
}

# Installs what is missing; a machine that has everything is not touched.
debian_packages() { # PACKAGE...
    local missing=() package
    for package; do
        dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    have apt-get || die "missing: ${missing[*]}" "install the equivalents of these Debian packages and run this again"
    echo "apt-get install ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" ||
        { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends "${missing[@]}"; }
}

# Fails with the reason when Docker cannot be used. A user who was put into Docker's group a moment ago is not in it in
# this session yet: the script starts anew inside the group.
need_docker() {
    docker info > "$logs/docker-info" 2>&1 && return
    if [ "$(id -u)" != 0 ] && [ -z "${WALRUS_IN_GROUP:-}" ] && have sg &&
        id -nG "$(id -un)" | grep -qw docker && ! id -nG | grep -qw docker; then
        WALRUS_IN_GROUP=1 exec sg docker -c "$(printf '%q ' "$0" "$@")"
    fi
    if grep -qi 'permission denied' "$logs/docker-info"; then
        die "Docker runs, but $(id -un) may not use it" "sudo usermod -aG docker $(id -un), then run this again"
    fi
    die "Docker does not answer: $(grep -m1 -i -E 'cannot|error' "$logs/docker-info" || tail -n1 "$logs/docker-info")" \
        "run 'make cluster-up', which installs and starts it"
}

# A hash of files: their paths inside FOLDER and their contents.
content_hash() { # FOLDER PATH...: 12 hex digits
    (cd "$1" && shift && find "$@" -type f ! -path '*/__pycache__/*' ! -name '*.pyc' -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12)
}

# Pulls an image, or finds out within seconds that the registry cannot be reached (which is no failure). A pull that
# has begun may take its time.
pull_image() { # NAME
    local log=$logs/docker-pull.log child
    timeout 1800 docker pull "$1" > "$log" 2>&1 &
    child=$!
    for _ in $(seq 150); do
        grep -q 'Pulling from' "$log" && break
        kill -0 "$child" 2> /dev/null || break
        sleep 0.1
    done
    grep -q 'Pulling from' "$log" || kill "$child" 2> /dev/null || true
    if wait "$child"; then note "$1"; else
        tail -n 3 "$log"
        note "cannot be pulled, so it is built here"
    fi
}

# Runs a uv command with the package index that pip is configured for, and the machine's certificates.
python_index() { # COMMAND...
    local index
    index=$(python3 -m pip config list 2> /dev/null | sed -n "s/^\(global\|install\|:env:\)\.index-url='\(.*\)'$/\2/p" | tail -n 1)
    UV_SYSTEM_CERTS=1 UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$index} "$@"
}
