#!/bin/sh
# SPDX-License-Identifier: MIT
# Tasks of a C++ program that throw and catch, on both drivers.
set -u
# shellcheck source=tests/harness/shell.sh
. tests/harness/shell.sh

said=$(tools/deps check 2>&1)
CXX=${CXX:-g++}
if ! command -v "$CXX" >/dev/null; then
    skip "exceptions in tasks" "no C++ compiler to be had: $said"
    total
fi
if ! said=$($CXX -std=c++17 -Wall -Wextra -Werror -O2 -g ${SAN:+-fsanitize="$SAN"} -Iinclude \
    -o "$dir/program" tests/tools/exceptions/main.cpp "$B/libtenon-inside.a" -luring \
    -lpthread 2>&1); then
    fail "a C++ program builds" "$said"
    total
fi
for driver in ${DRIVER:-epoll uring}; do
    text=$(TENON_DRIVER=${driver#any} timeout 60 "$dir/program" 2>&1)
    case $text in
    *"pass  tasks that throw come to their end"*"pass  each task"*"pass  an exception"*)
        pass "exceptions stay in their task [$driver]"
        ;;
    *"not supported"*) skip "exceptions stay in their task [$driver]" "no such driver here" ;;
    *) fail "exceptions stay in their task [$driver]" "$text" ;;
    esac
done
total
