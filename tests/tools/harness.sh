#!/bin/sh
# SPDX-License-Identifier: MIT
# The harness and run-tests notice what they have to; see misbehaving_test.c.
set -u
. tests/harness/shell.sh

bad=$B/tests/tools/misbehaving_test
unset DRIVER T
export TENON_TEST_SCALE=1

# of TEST: run it alone, output in $out and status in $status
of() {
    out=$("$bad" "$1" 2>&1)
    status=$?
}

of good
check "a good test passes" "$out" = "*pass*good*1 passed, 0 failed, 0 skipped"
check "and its exit status is 0" "$status" = 0

of unequal
check "both numbers of a mismatch are shown" "$out" = "*FAIL*0x1234 != 0x5678*"
check "a failure shows in the exit status" "$status" = 1
of other_words
check "both strings of a mismatch are shown" "$out" = '*"these words" != "those words"*'
of wrong_kind
check "an error's text and the expected kind are shown" "$out" = "*refused*expected EOF*"
of wrong_errno
check "both errno values are shown" "$out" = "*Broken pipe*expected -9 (Bad file*"

of crashing
check "a crash is a failure" "$out" = "*FAIL*crashing*0 passed, 1 failed*"
of exiting
check "an exit on the way is a failure" "$out" = "*FAIL*exit status 3*1 failed*"
of endless
check "an endless test is ended" "$out" = "*FAIL*endless*not over after *1 failed*"
of leaking
check "a descriptor left open is a failure" "$out" = "*FAIL*left open: *1 failed*"
of closing
check "closing another's descriptor is a failure" "$out" = "*FAIL*closed another's: 0*"
of skipping_once
check "a skip is counted, with its reason" "$out" = "*no unicorn here*0 failed, 1 skipped"

of leaving_a_process
left=$(printf '%s\n' "$out" | sed -n 's/.*left \([0-9]*\)$/\1/p')
# shellcheck disable=SC2317 # wait_until calls it
is_dead() {
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$left/status" 2>/dev/null)
    case ${state:-gone} in [gZX]*) ;; *) return 1 ;; esac
}
wait_until is_dead # killed it is already; dead once it has had a processor
check "what a test leaves running is killed" "$left ${state:-gone}" = "[1-9]* [gZX]*"

of each_driver
check "a test runs on epoll" "$out" = "*each_driver ?epoll]*"
check "and on the ring, or says why not" "$out" = "*each_driver ?uring]*"
out=$(env DRIVER=epoll "$bad" each_driver)
check "DRIVER narrows that" "$out" = "*epoll]*1 passed, 0 failed, 0 skipped"
out=$(env DRIVER=any "$bad" the_library)
check "DRIVER=any leaves the choice to the library" "$out" = "*any]*1 passed, 0 failed, 0 *"

DRIVER=epoll
export DRIVER
of failing_on_a_tasks_stack
check "an assertion may fail on a task's stack" "$out" = '*"main" != "nobody"*1 failed*'
of skipping_on_a_tasks_stack
check "a test may skip on a task's stack" "$out" = "*: on epoll*1 skipped"
of run_with_another_error
check "run_ok shows how the run ended" "$out" = "*code 7*expected OK*1 failed*"

# caught TEST WORDS -- the sanitizer of this build fails TEST and says WORDS.
caught() {
    of "$1"
    check "a sanitizer's report is a failure: $1" "$out" = "*FAIL*$2*0 passed, 1 failed*"
}
case ${SAN:-} in *address*)
    caught losing_memory "LeakSanitizer: detected memory leaks"
    caught reading_freed_memory "heap-use-after-free"
    ;;
esac
case ${SAN:-} in *undefined*) caught counting_too_far "signed integer overflow" ;; esac
case ${SAN:-} in *thread*) caught racing "data race" ;; esac

out=$("$bad" nothing_of_that_name)
check "no test of that name is an exit status of 5" "$? $out" = "5 0 passed, 0 fail*"

# run-tests: the sum, the exit status, the choice
out=$(env T=good SAN= tools/run-tests "$bad" 2>&1)
check "run-tests sums up" "$? $out" = "0 *----?1 passed, 0 failed, 0 skipped"
out=$(env T=skipping_on SAN= tools/run-tests "$bad" 2>&1)
check "run-tests counts skips" "$? $out" = "0 *----?0 passed, 0 failed, 2 skipped"
out=$(env T=unequal SAN= tools/run-tests "$bad" 2>&1)
check "run-tests fails when a test does" "$? $out" = "1 *0x5678*----?0 passed, 1 failed*"
out=$(env T=nothing_of_that_name tools/run-tests "$bad" 2>&1)
check "run-tests fails when no test ran" "$? $out" = "1 *no test has*0 passed, 0 failed*"
out=$(env T=false tools/run-tests /bin/false 2>&1 | grep false)
check "a program without a total is a failure" "$out" = "*FAIL*false: ended by 1*"

total
