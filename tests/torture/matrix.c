/* SPDX-License-Identifier: MIT */
/*
 * matrix.c -- which errno is injected into which call, and which errors a header names.
 *
 * The tables come from errnos.txt and from include/tenon (tables.py).  Steps of the matrix
 * are the pairs of the first, then one of EBADMSG for each call of the seam: an answer that
 * no manual names, which must not be looped over, nor taken for something else.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "torture/inside.h"

#define UNDOCUMENTED EBADMSG

struct contract {
    const char *call;
    unsigned kinds; /* bits, 1 << TN_... */
};

struct pair {
    enum fault_call seam;
    int error;
    const char *call, *name;
    bool plain; /* only where descriptors and memory are the program's own */
};

#include "torture/tables.h"

#define PAIRS (sizeof(pairs) / sizeof(pairs[0]))
_Static_assert(PAIRS <= PAIRS_MOST, "more pairs than there is room to count");

unsigned long matrix_steps(void)
{
    return PAIRS + FAULT_CALL_COUNT;
}

/* Which of the COUNT calls: not always the first, and not by chance. */
static unsigned long choose(const struct scenario *scenario, unsigned long step,
                            uint64_t count)
{
    unsigned long sum = step * 31;

    for (const char *at = scenario->name; *at != '\0'; at++)
        sum = sum * 31 + (unsigned char)*at;
    return 1 + sum % count;
}

/* Calls of the seam without an errno. */
static bool has_no_errno(enum fault_call call)
{
    return call == FAULT_ALLOCATE || call == FAULT_MAP || call == FAULT_WAIT;
}

bool matrix_wish(const struct scenario *scenario, unsigned long step, struct wish *wish)
{
    bool documented = step < PAIRS;
    enum fault_call call =
        documented ? pairs[step].seam : (enum fault_call)(step - PAIRS);

    if (shared->calls_of[call] == 0 ||
        (documented && pairs[step].plain && !scenario->plain) ||
        (!documented && has_no_errno(call)))
        return false;
    *wish = (struct wish){ .call = call,
                           .nth = choose(scenario, step, shared->calls_of[call]),
                           .error = documented ? pairs[step].error : UNDOCUMENTED };
    return true;
}

void matrix_done(unsigned long step)
{
    if (step < PAIRS)
        shared->injected[step]++;
    else
        shared->undocumented[step - PAIRS]++;
}

unsigned matrix_tell(const struct shared *workers, unsigned count)
{
    unsigned missing = 0, calls = 0, injected = 0;

    for (size_t pair = 0; pair < PAIRS; pair++) {
        unsigned sum = 0;

        for (unsigned i = 0; i < count; i++)
            sum += workers[i].injected[pair];
        if (sum == 0)
            printf("  never injected: %s %s\n", pairs[pair].call, pairs[pair].name);
        missing += sum == 0;
        injected += sum > 0;
    }
    for (int number = 0; number < FAULT_CALL_COUNT; number++) {
        enum fault_call call = (enum fault_call)number;
        unsigned sum = 0;

        for (unsigned i = 0; i < count; i++)
            sum += workers[i].undocumented[number];
        if (sum == 0 && !has_no_errno(call)) {
            printf("  never injected: %s EBADMSG\n", fault_text(call));
            missing++;
        }
        calls += sum > 0;
    }
    printf(
        "  errno matrix: %u pairs listed, %u of them cannot come, %u injected; EBADMSG "
        "into %u calls\n",
        PAIRS_LISTED, PAIRS_LEFT_OUT, injected, calls);
    return missing;
}

/* ---- what headers name ---- */

static const struct contract *contract_of(const char *call)
{
    for (size_t i = 0; i < sizeof(contracts) / sizeof(contracts[0]); i++) {
        if (strcmp(contracts[i].call, call) == 0)
            return &contracts[i];
    }
    return NULL;
}

tn_err torture_saw(const char *call, tn_err err)
{
    const struct contract *contract = contract_of(call);
    char what[200], text[120];

    must(contract != NULL);
    if (!tn_failed(err) || (contract->kinds & 1u << err.kind) != 0)
        return err;
    /* err.h: any call may pass on what the system says and its manual does not. */
    if (err.kind == TN_SYSTEM && err.domain == TN_DOMAIN_ERRNO &&
        err.code == running->last_error)
        return err;
    snprintf(what, sizeof(what), "%s: its header does not name %s (%s)", call,
             tn_err_kind_name(err.kind), tn_err_text(err, text, sizeof(text)));
    torture_finding("include/tenon", 0, what);
}

ssize_t torture_saw_plain(const char *call, ssize_t result)
{
    char what[200];

    if (result >= 0 || (running->failed > 0 && errno == running->last_error) ||
        (errno == ECANCELED && tn_canceled()))
        return result;
    /* Where the mode cannot be asked, the kernel's own answer has to do. */
    if (running->last == FAULT_FCNTL && (errno == EAGAIN || errno == EINPROGRESS))
        return result;
    snprintf(what, sizeof(what), "%s: errno is %s", call, strerrorname_np(errno));
    torture_finding("include/tenon/fd.h", 0, what);
}
