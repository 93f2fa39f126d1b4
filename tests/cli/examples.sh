#!/bin/sh
# SPDX-License-Identifier: MIT
# The programs that README.md shows do what it says.
set -u
. tests/harness/shell.sh

socket=$dir/socket
"$B/examples/echo" "$socket" 2>"$dir/log" &
server=$!
# shellcheck disable=SC2317 # wait_until calls it
serves() {
    "$B/examples/ask" "$socket" x
}
wait_until serves || fail "the server listens" "$(cat "$dir/log")"

check "ask reads back what it wrote" "$("$B/examples/ask" "$socket" "hello, world" 2>&1; echo $?)" \
    = "hello, world0"
for number in 1 2 3 4 5 6 7 8; do
    "$B/examples/ask" "$socket" "$number" >"$dir/$number" 2>&1 &
    asking="${asking:-} $!"
done
# shellcheck disable=SC2086 # a list of numbers
wait $asking
check "eight clients at once as well" "$(cat "$dir"/[1-8])" = "12345678"
kill $server
wait $server 2>/dev/null
# The kernel lets a ring's requests, and so the listener, go some time after the process.
# shellcheck disable=SC2317 # wait_until calls it
refused() {
    "$B/examples/ask" "$socket" x 2>&1 | grep -q refused
}
wait_until refused
check "nobody there is an error, in words" "$("$B/examples/ask" "$socket" x 2>&1; echo $?)" \
    = "ask: connect: connection refused*1"
check "so is a call without words" "$("$B/examples/ask" 2>&1; echo $?)" = "ask: invalid*1"

# The notes' own programs.
"$B/examples/notes_server" 0 2>"$dir/notes" &
server=$!
wait_until grep -q listening "$dir/notes"
port=$(sed -n 's/listening on port //p' "$dir/notes")
check "the notes' client writes, and reads what the server wrote" \
    "$("$B/examples/notes_client" "$port" "hello, notes" 2>&1; echo $?)" = "hello, notes0"
text=$(head -c 100000 /dev/zero | tr '\0' x)
for number in 1 2 3 4; do
    "$B/examples/notes_client" "$port" "$number$text" >"$dir/$number" 2>&1 &
    talking="${talking:-} $!"
done
# shellcheck disable=SC2086 # a list of numbers
wait $talking
check "so do four at once, with more than a buffer holds" \
    "$(cat "$dir"/[1-4] | wc -c; cut -c1 "$dir"/[1-4] | tr -d '\n')" = "400004*1234"
kill $server
wait $server 2>/dev/null
# shellcheck disable=SC2317 # wait_until calls it
refused_again() {
    "$B/examples/notes_client" "$port" x 2>&1 | grep -q refused
}
wait_until refused_again
check "and says which call failed, and why" \
    "$("$B/examples/notes_client" "$port" x 2>&1; echo $?)" = "connect: Connection refused
1"

check "a server passes its test on 1,000 simulated networks" "$("$B/examples/sim_sum"; echo $?)" = "0"

total
