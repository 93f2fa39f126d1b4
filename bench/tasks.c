/* SPDX-License-Identifier: MIT */
/*
 * tasks.c -- what a switch between tasks costs, and making one, by the public calls.
 *
 *      tasks pair      two tasks that yield to each other, ns a switch
 *      tasks many      1,000 tasks in a ring, ns a switch
 *      tasks pooled    a task made, run and ended, 64 at a time, on stacks used before
 *      tasks cold      the same, on stacks nobody has touched
 *
 * Prints one line, the best of five rounds: "NAME 4.30 ns".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenon.h>

#define ROUNDS 5
#define MANY   1000
#define BATCH  64
#define COLD   20000

static tn_err nothing(void *arg)
{
    (void)arg;
    return tn_ok();
}

static tn_err yield_often(void *arg)
{
    for (long left = *(long *)arg; left > 0; left--)
        tn_yield();
    return tn_ok();
}

/* COUNT tasks, each of which yields YIELDS times: ns a switch. */
static tn_err time_switches(int count, long yields, double *ns)
{
    struct tn_group *group = NULL;
    tn_err err = tn_group_open(&group, TN_GROUP_ALL_OR_NONE);
    int64_t start;

    for (int i = 0; i < count && !tn_failed(err); i++)
        err = tn_go(group, yield_often, &yields, NULL, NULL);
    tn_yield(); /* each has run once, so its stack is there */
    start = tn_now();
    if (!tn_failed(err))
        err = tn_group_wait(group, TN_NEVER);
    *ns = (double)(tn_now() - start) / ((double)count * (double)yields);
    tn_group_close(&group);
    return err;
}

/* TIMES rounds of COUNT tasks made at once and waited for: ns a task. */
static tn_err time_tasks(int count, int times, double *ns)
{
    struct tn_group *group = NULL;
    tn_err err = tn_group_open(&group, TN_GROUP_ALL_OR_NONE);
    int64_t start = tn_now();

    for (int i = 0; i < times && !tn_failed(err); i++) {
        for (int k = 0; k < count && !tn_failed(err); k++)
            err = tn_go(group, nothing, NULL, NULL, NULL);
        if (!tn_failed(err))
            err = tn_group_wait(group, TN_NEVER);
    }
    *ns = (double)(tn_now() - start) / ((double)count * times);
    tn_group_close(&group);
    return err;
}

static tn_err time_round(const char *what, double *ns)
{
    if (strcmp(what, "pair") == 0)
        return time_switches(2, 2000000, ns);
    if (strcmp(what, "many") == 0)
        return time_switches(MANY, 4000, ns);
    if (strcmp(what, "pooled") == 0)
        return time_tasks(BATCH, 5000, ns);
    if (strcmp(what, "cold") == 0)
        return time_tasks(COLD, 1, ns);
    return tn_err_user(TN_INVALID, 0);
}

static tn_err one_round(void *arg)
{
    void **arguments = arg;

    return time_round(arguments[0], arguments[1]);
}

int main(int argc, char **argv)
{
    double best = 0, ns = 0;
    char none[] = "";
    void *arguments[2] = { argc > 1 ? argv[1] : none, &ns };

    for (int i = 0; i < ROUNDS; i++) { /* a loop each, so that its stacks are new */
        char text[128];
        tn_err err = tn_run(one_round, arguments, NULL);

        if (tn_failed(err)) {
            fprintf(stderr, "tasks: %s\n", tn_err_text(err, text, sizeof(text)));
            return EXIT_FAILURE;
        }
        best = i == 0 || ns < best ? ns : best;
    }
    printf("%s %.2f ns\n", argv[1], best);
    return EXIT_SUCCESS;
}
