# Debian's archive for the scripts here: whichever mirror this machine's apt uses, by lists of our own
# below $out/apt, so that /etc/apt is not touched. Sourced; `out` and `logs` are set by then.
# shellcheck shell=bash

say() {
    printf '%s: %s\n' "$(basename "$0")" "$*"
}

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Runs a command with its output in a log, which is named if it fails.
logged() {
    local log=$logs/$1
    shift
    "$@" >>"$log" 2>&1 </dev/null || {
        tail -n 15 "$log" | sed 's/^/    | /' >&2
        fail "'$1' failed: see $log"
    }
}

# The address from which this machine's apt gets a suite.
address_of() {
    # shellcheck disable=SC2016 # apt's variables, not the shell's
    apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Component: main' |
        awk -v suite="$1" '$1 == suite { print $2; exit }'
}

# The sources.list lines of suites: bookworm's own address serves those that apt does not know of.
sources_of() {
    local suite address main
    main=$(address_of bookworm)
    [ -n "$main" ] || fail "apt knows no address of Debian bookworm: the system tests need Debian 12"
    for suite in "$@"; do
        address=$(address_of "$suite")
        case $address$suite in
        *-security)
            [ -n "$address" ] || continue # a mirror without it
            ;;
        esac
        printf 'deb [signed-by=%s] %s %s main\n' /usr/share/keyrings/debian-archive-keyring.gpg \
            "${address:-$main}" "$suite"
    done
}

# apt-get or apt-cache with the lists of our own.
with_own_lists() {
    local program=$1
    shift
    DEBIAN_FRONTEND=noninteractive "$program" -q -o Dir::Etc::sourcelist="$out/apt/sources.list" \
        -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$out/apt/lists" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o DPkg::Lock::Timeout=300 \
        -o APT::Sandbox::User=root -o Acquire::Retries=3 "$@"
}

# Reads the lists again if they are older than a day.
refresh_lists() {
    mkdir -p "$out/apt/lists/partial"
    sources_of bookworm bookworm-updates bookworm-security bookworm-backports >"$out/apt/sources.new"
    if cmp -s "$out/apt/sources.new" "$out/apt/sources.list" &&
        [ -n "$(find "$out/apt/fresh" -mmin -1440 2>/dev/null)" ]; then
        return
    fi
    mv "$out/apt/sources.new" "$out/apt/sources.list"
    logged system-apt.log with_own_lists apt-get update
    touch "$out/apt/fresh"
}
