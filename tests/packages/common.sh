# Read by the scripts that try things on a machine: each line that begins with "ok" or "FAILED" is one that was tried.

try() { # a title, and a command that must succeed
    local title=$1
    shift
    if "$@" >/tmp/said 2>&1; then
        echo "ok      $title"
    else
        echo "FAILED  $title: $*"
        tail -n 3 /tmp/said | sed "s/^/        /"
    fi
}
soon() { # the same for a command that must succeed within half a minute
    local second
    for second in $(seq 30); do
        "${@:2}" >/tmp/said 2>&1 && break
        sleep 1
    done
    try "$@"
}
not() { ! "$@"; }
silent() { test -z "$("$@" 2>&1)"; }
has() { grep -qF -- "$(sed -n 2p "$1")" "$2"; } # whether this certificate, by its first line, stands in that file
apt() { DEBIAN_FRONTEND=noninteractive apt-get -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@"; }
