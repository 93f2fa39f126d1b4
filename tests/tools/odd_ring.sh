#!/bin/sh
# SPDX-License-Identifier: MIT
# The tests of tasks and connections once more, on rings that are far too small, have no
# or hardly a buffer, or complete late and in odd ways: the same results.  Each program is
# one test here.
set -u
# shellcheck source=tests/harness/shell.sh
. tests/harness/shell.sh

# These say how something is done, or that it is done at once, which is another matter
# when answers are late or there is nothing to receive ahead into.
not_meant="what_nobody_reads_stays_with_the_peer
large_reads_change_the_way_and_small_ones_change_it_back
no_connection_begins_to_receive_ahead_at_an_urgent_mark
reads_of_all_kinds_at_random_see_every_byte_once
busy_connections_let_others_run
deadlines_show_in_tn_loop_next
facts_count_bytes_read_unread_written_unacknowledged
what_has_come_is_lent_whole_until_returned
what_was_looked_at_stays_unread
an_urgent_byte_does_not_overtake_a_full_send_buffer
what_came_by_the_turn_of_the_deadline_is_read
what_has_come_can_be_lent_at_once_by_a_deadline_of_now
what_has_come_can_be_read_at_once_by_a_deadline_of_now
what_has_come_is_pumped_at_once_by_a_deadline_of_now"

# odd NAME SETTING... -- run what uses loops on such rings.
odd() {
    name=$1
    shift
    for program in "$B"/tests/net/*_test "$B"/tests/unit/task_*_test; do
        case $program in
        *"*"* | */task_driver_test | */task_overflow_test | */task_stack_test) continue ;;
        esac
        what="$name: ${program#"$B/tests/"}"
        env "$@" DRIVER=uring "$program" >"$dir/said" 2>&1
        status=$?
        failures=$(sed -n 's/^  FAIL [^a-z]*s  \([a-z0-9_]*\).*/\1/p' "$dir/said" |
            grep -vxF "$not_meant")
        sum=$(tail -n 1 "$dir/said")
        case $sum in
        "0 passed, 0 failed, "*) skip "$what" "$(head -n 1 "$dir/said")" ;;
        *" passed, "*" skipped")
            if [ -z "$failures" ] && { [ $status = 0 ] || [ $status = 1 ]; }; then
                pass "$what: $sum"
            else
                fail "$what" "$(grep -A 9 '^  FAIL' "$dir/said")"
            fi
            ;;
        *) fail "$what: ended with $status" "$(tail -n 20 "$dir/said")" ;;
        esac
    done
}

seed=$(date +%s)
odd "a ring without buffers" TENON_RING_POOL=1
odd "odd completions ($seed), a ring of 4, 4 KiB of buffers" \
    TENON_RING_FAULTS="$seed" TENON_RING_ENTRIES=4 TENON_RING_POOL=4096
total
