# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# shell.sh -- for shell tests: `. tests/harness/shell.sh`, then check ..., at the end total.
#
# A test is a `check`; tools/run-tests sets TENON (the command), B (the build folder) and,
# for tests/cli, TENON_DRIVER.  $dir is a folder of the test's own, removed at the end.
# Nobody sleeps: use `wait_until`, which looks until a fact is there, at most 10 s.

passed=0 failed=0 skipped=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 143' TERM INT

# pass NAME, fail NAME [WHAT WAS SEEN], skip NAME WHY -- one test's line.
pass() {
    passed=$((passed + 1))
    printf '  pass            %s\n' "$1"
}
fail() {
    failed=$((failed + 1))
    printf '  FAIL            %s\n' "$1"
    shift
    [ $# = 0 ] || printf '%s\n' "$@" | sed 's/^/        /'
}
skip() {
    skipped=$((skipped + 1))
    printf '  skip            %s: %s\n' "$1" "$2"
}

# check NAME TEXT = PATTERN -- TEXT has the form of the shell pattern (`!=`: has not).
check() {
    # shellcheck disable=SC2254 # a pattern, on purpose
    case $2 in
    $4) matched="=" ;;
    *) matched="!=" ;;
    esac
    if [ "$matched" = "$3" ]; then
        pass "$1"
    else
        fail "$1" "$2" "should $([ "$3" = "=" ] || echo 'not ')have been: $4"
    fi
}

# wait_until COMMAND... -- true once COMMAND is, false when it is not within 10 s.
wait_until() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 500 ] || return 1
        sleep 0.02
    done
}

# total -- the last line, and the script's exit status.
total() {
    echo "$passed passed, $failed failed, $skipped skipped"
    exit $((failed > 0))
}
