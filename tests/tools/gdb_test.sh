#!/bin/sh
# SPDX-License-Identifier: MIT
# tools/tenon-gdb.py: tasks and backtraces of parked ones, live and from core files.
set -u
# shellcheck source=tests/harness/shell.sh
. tests/harness/shell.sh

program=$dir/parked script=$PWD/tools/tenon-gdb.py
CC=${CC:-gcc}

said=$(tools/deps gdb 2>&1)
if ! command -v gdb >/dev/null; then
    skip "tasks and backtraces in gdb" "no gdb to be had: $said"
    total
fi
if ! said=$($CC -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -g -O2 \
    ${SAN:+-fsanitize="$SAN"} -Iinclude -o "$program" tests/tools/gdb/parked.c \
    "$B/libtenon-inside.a" -luring -lpthread 2>&1); then
    fail "the program to look at builds" "$said"
    total
fi

# look ARGUMENT... -- gdb with our script, its output on one line per line, no paging.
look() {
    timeout 100 gdb -q -batch -nx -ex "set debuginfod enabled off" -ex "set width 0" \
        -ex "source $script" "$@" 2>&1
}

# frames TASK TEXT -- the functions in TASK's backtrace in TEXT, innermost first.
frames() {
    printf '%s\n' "$2" | sed -n "/^task '$1'/,/^\$/s/^#[0-9]* *\(0x[0-9a-f]* in \)\{0,1\}\([a-z_]*\) .*/\2/p" |
        tr '\n' ' '
}

# The same is to be seen from each side.
check_tasks() {
    where=$1 text=$2
    check "$where: the running task" "$text" = "*running main*"
    check "$where: one that sleeps, and for how long" "$text" = \
        "*parked  sleeper *time, [0-9]*.[0-9]* s from the loop's last turn*"
    check "$where: one that waits for a connection" "$text" = "*parked  reader *connection 0x*"
    check "$where: one that waits for a task" "$text" = "*parked  joiner *task 'sleeper'*"
    check "$where: one that waits for a mutex" "$text" = "*parked  locker *mutex 0x*"
    check "$where: one that is ready" "$text" = "*ready   not yet run*"
    check "$where: one in another thread" "$text" = "*loop 0x*loop 0x*parked  far away*"

    check "$where: a backtrace from the park to the start" "$(frames sleeper "$text")" = \
        "*park tn_sleep sleep_inner sleep_outer sleeper task_main switch_start "
    check "$where: a backtrace through the library" "$(frames reader "$text")" = \
        "*park_at * tn_read read_inner reader task_main switch_start "
    check "$where: a backtrace in another thread" "$(frames "far away" "$text")" = \
        "*park tn_sleep sleep_inner sleep_outer far_away task_main switch_start "
    check "$where: the backtrace of the running task" "$(frames main "$text")" = \
        "all_parked main_task *switch_start "
    check "$where: no backtrace but a name before the first run" "$text" = \
        "*'not yet run'*has not run yet; will start with * <sleeper>*"
    check "$where: no frame is lost" "$text" != "*corrupt stack*"
    check "$where: arguments are those of the task" "$text" = "*sleep_inner (secret=4711)*"
}

[ -n "${SAN:-}" ] || set -- -ex "tenon core $dir/core"
text=$(look -ex "break all_parked" -ex run -ex "tenon tasks" -ex "tenon bt all" \
    -ex "tenon select sleeper" -ex "frame function sleep_inner" -ex "info locals" -ex "tenon select off" -ex bt \
    -ex "tenon bt nobody" "$@" "$program")
case $text in
*[Pp]trace*"not permitted"* | *"Cannot create process"*)
    skip "tasks and backtraces in gdb, live" "no process may be traced here"
    total
    ;;
esac
check_tasks live "$text"
check "live: a name that no task has" "$text" = "*no task 'nobody'*"
check "live: back to the thread after a selected task" "$text" = \
    "*tn_sleep*#0  all_parked ()*#1 *main_task*no task*"
if [ -n "${SAN:-}" ]; then
    skip "core files" "a sanitizer's shadow memory is too much to dump"
    total
fi
check "live: locals of a selected task" "$text" = "*sleep_inner*copy = 4711*"
check_tasks "core of gdb" "$(look -ex "tenon tasks" -ex "tenon bt all" "$program" "$dir/core")"

# The kernel's own core file, where it is one and not something's input.
pattern=$(cat /proc/sys/kernel/core_pattern)
case $pattern in
"|"* | */* | "") skip "a core file of the kernel" "core_pattern is '$pattern'" ;;
*)
    mkdir "$dir/dump"
    (cd "$dir/dump" && exec prlimit --core=unlimited "$program" >said 2>&1) &
    if ! wait_until grep -q "all parked" "$dir/dump/said"; then
        fail "the program parks its tasks" "$(cat "$dir/dump/said")"
    fi
    kill -ABRT $!
    wait $! 2>/dev/null
    rm "$dir/dump/said"
    check "the kernel writes a core file" "$(ls "$dir/dump")" = "?*"
    text=$(look -ex "tenon tasks" -ex "tenon bt all" "$program" "$dir/dump/"*)
    check "core of the kernel: a backtrace from the park to the start" \
        "$(frames sleeper "$text")" = \
        "*park tn_sleep sleep_inner sleep_outer sleeper task_main switch_start "
    check "core of the kernel: a backtrace in another thread" \
        "$(frames "far away" "$text")" = \
        "*park tn_sleep sleep_inner sleep_outer far_away task_main switch_start "
    check "core of the kernel: no frame is lost" "$text" != "*corrupt stack*"
    ;;
esac
total
