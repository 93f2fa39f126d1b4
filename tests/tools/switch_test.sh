#!/bin/sh
# SPDX-License-Identifier: MIT
# The switch of stacks alone: on this processor, and on aarch64 under qemu.
set -u
# shellcheck source=tests/harness/shell.sh
. tests/harness/shell.sh

sources="tests/tools/switch/main.c src/task/context.c src/base/check.c"
flags="-std=c11 -D_GNU_SOURCE -g -Wall -Wextra -Werror -funwind-tables -Isrc -Iinclude
    -Itests/tools/switch"

# built CPU COMPILER FLAGS... -- the test program for CPU; what the compiler says.
built() {
    cpu=$1 compiler=$2
    shift 2
    # shellcheck disable=SC2086 # lists of words
    $compiler $flags "$@" $sources "tests/tools/switch/registers_$cpu.S" \
        "src/task/switch_$cpu.S" "src/task/switch_$cpu.c" -o "$dir/$cpu" -lm 2>&1
}

# ran CPU COMMAND... -- run it, show its lines, count its tests.
ran() {
    cpu=$1
    shift
    timeout 60 "$@" >"$dir/said" 2>&1
    status=$?
    sed "s|\$|  [$cpu $level]|; /^[0-9]/d" "$dir/said"
    tail -n 1 "$dir/said" >"$dir/total"
    read -r ran_passed _ ran_failed _ <"$dir/total"
    if ! [ "$ran_passed" -ge 0 ] 2>/dev/null; then
        fail "$cpu $level ended with $status"
        return
    fi
    passed=$((passed + ran_passed)) failed=$((failed + ran_failed))
    [ $status = $((ran_failed > 0)) ] || fail "$cpu $level ended with $status"
}

here=$(uname -m)
CC=${CC:-gcc}
for level in -O0 -O2; do
    said=$(built "$here" "$CC" $level)
    if [ -z "$said" ]; then
        ran "$here" "$dir/$here"
    else
        fail "the switch of $here builds with $level" "$said"
    fi
done

[ "$here" != aarch64 ] || total
said=$(tools/deps aarch64 2>&1)
if ! command -v aarch64-linux-gnu-gcc qemu-aarch64 >/dev/null; then
    skip "the switch of aarch64" "no cross compiler or no qemu-user to be had: $said"
    total
fi
for level in -O0 -O2; do
    said=$(built aarch64 aarch64-linux-gnu-gcc $level -static)
    if [ -z "$said" ]; then
        ran aarch64 qemu-aarch64 "$dir/aarch64"
    else
        fail "the switch of aarch64 builds with $level" "$said"
    fi
done
total
