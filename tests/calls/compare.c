/* SPDX-License-Identifier: MIT */
/*
 * compare.c -- run scripts, compare what they recorded, print what differs.
 *
 * Ends with the line that tools/run-tests adds up: a script that agrees on all ways is passed.
 */
#include "compare.h"
#include "differences.h"

#include <stdio.h>
#include <stdlib.h>

struct totals {
    int agreed, differed, failed, skipped, interruptions;
};

/* False if the ways do not agree; also when that could not be seen. */
static bool compare(const struct script *script, const struct options *options,
                    const struct result *results, struct totals *totals, int *used)
{
    char plain_line[256], task_line[256];
    bool agreed = true;

    for (size_t w = 0; w < options->way_count; w++) {
        const struct result *result = &results[w];

        totals->interruptions += result->interruptions;
        if (options->verbose)
            printf("--- %s, %s\n%s", script->name, options->ways[w]->name,
                   result->trace != NULL ? result->trace : "");
        if (result->outcome == OUTCOME_SKIPPED) {
            printf("  skip  %s (%s): %s\n", script->name, options->ways[w]->name,
                   result->why);
            totals->skipped++;
            return true;
        }
        if (result->outcome == OUTCOME_FAILED) {
            printf("  FAIL  %s (%s): %s\n", script->name, options->ways[w]->name,
                   result->why);
            totals->failed++;
            return false;
        }
        if (w > 0 && !traces_agree(script->name, results[0].trace, result->trace,
                                   plain_line, task_line, used)) {
            printf("  FAIL  %s\n        %-6s %s\n        %-6s %s\n", script->name,
                   options->ways[0]->name, plain_line, options->ways[w]->name, task_line);
            agreed = false;
        }
    }
    totals->agreed += agreed ? 1 : 0;
    totals->differed += agreed ? 0 : 1;
    return agreed;
}

/* A named difference that no script shows describes something that is not so. */
static int unneeded_differences(const struct options *options, const int *used)
{
    int unneeded = 0;

    for (int i = 0; i < difference_count; i++) {
        if (used[i] == 0 && !differences[i].storm && options->pattern == NULL &&
            options->way_count > 1 && options->ways[0] == &way_plain &&
            options->storm == STORM_NONE) {
            printf("  FAIL  nothing needs the difference \"%s\" of %s\n",
                   differences[i].plain, differences[i].script);
            unneeded++;
        }
    }
    return unneeded;
}

/* How often each named difference was met, with the first script that shows it. */
static void print_differences(const int *used)
{
    printf("Named differences:\n");
    for (int i = 0; i < difference_count; i++) {
        if (used[i] > 0)
            printf("  %-9s %3d times in %s: %s\n", differences[i].name, used[i],
                   differences[i].script, differences[i].reason);
    }
}

static void say_something(struct actor *me)
{
    note(me, "here");
}

/* Leaves out the ways that do not run here (where io_uring is refused, say). */
static int leave_out_refused(struct options *options)
{
    static struct script probe = { .name = "probe", .play = say_something };
    const struct script_list list = { .items = &probe, .count = 1 };
    struct result results[WAYS_MAX] = { { .trace = NULL } };
    size_t kept = 0;
    int refused = 0;

    if (!run_all(&list, options->ways, options->way_count, 1, STORM_NONE, results))
        return 0;
    for (size_t i = 0; i < options->way_count; i++) {
        free(results[i].trace);
        if (results[i].outcome == OUTCOME_SKIPPED) {
            printf("  skip  %s: %s\n", options->ways[i]->name, results[i].why);
            refused++;
        } else {
            options->ways[kept++] = options->ways[i];
        }
    }
    options->way_count = kept;
    return refused;
}

static void print_totals(const struct options *options, const struct totals *totals,
                         size_t scripts, int64_t took_ns)
{
    static const char *const storms[] = { "", ", SIGALRM with SA_RESTART",
                                          ", SIGALRM without SA_RESTART" };

    printf("calls: %zu scripts", scripts);
    for (size_t w = 0; w < options->way_count; w++)
        printf("%s %s", w == 0 ? "," : " =", options->ways[w]->name);
    printf("%s: %d agree, %d differ, %d failed, %d skipped", storms[options->storm],
           totals->agreed, totals->differed, totals->failed, totals->skipped);
    if (options->storm != STORM_NONE)
        printf(", %d EINTR tried again", totals->interruptions);
    printf(", %.1f s\n", (double)took_ns / 1e9);
    printf("%d passed, %d failed, %d skipped\n", totals->agreed,
           totals->differed + totals->failed, totals->skipped);
}

int run_and_compare(const struct script_list *list, struct options *options)
{
    int64_t start_ns = clock_ns();
    struct totals totals = { .skipped = leave_out_refused(options) };
    struct result *results =
        calloc(list->count * options->way_count + 1, sizeof(*results));
    bool *agrees = calloc(list->count + 1, sizeof(*agrees));
    int used[64] = { 0 };

    if (results == NULL || agrees == NULL ||
        !run_all(list, options->ways, options->way_count, options->jobs, options->storm,
                 results)) {
        perror("calls");
        free(results);
        free(agrees);
        return 1;
    }
    for (size_t i = 0; i < list->count; i++)
        agrees[i] = compare(&list->items[i], options, &results[i * options->way_count],
                            &totals, used);
    totals.failed += unneeded_differences(options, used);
    if (options->matrix) {
        int gaps = matrix_print(list, agrees);

        totals.failed += options->pattern == NULL ? gaps : 0;
        print_differences(used);
    }
    print_totals(options, &totals, list->count, clock_ns() - start_ns);
    for (size_t i = 0; i < list->count * options->way_count; i++)
        free(results[i].trace);
    free(results);
    free(agrees);
    return totals.differed + totals.failed > 0 || totals.agreed == 0 ? 1 : 0;
}
