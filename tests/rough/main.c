/* SPDX-License-Identifier: MIT */
/*
 * rough/main.c -- real kernels on a bad network: make rough.
 *
 * Every impairment (impair.c) with every scenario (the tables) on both drivers, in several
 * lanes at a time.  A combination that fails is named with the one command that repeats
 * it; one for which this machine lacks the means is a skip, with the reason.  At the end,
 * for each impairment: how often it showed, and how the connections ended under it.
 *
 *      rough [-s SEED] [-o IMPAIRMENT/SCENARIO/DRIVER] [-l LANES] [-q] [-v]
 *
 * Parts of -o may be left empty; -q plays every ninth combination; -v tells of each one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rough/rough.h"
#include "rough/stage.h"

#define COMBINATIONS_MAX 2048
#define IMPAIRMENTS_MAX  32
#define LANES_MAX        32
#define QUICK_STRIDE     9
#define HOWS             (TN_UNREAD + 1)

struct tally_of {
    atomic_uint outcomes[3], hows[HOWS], no_connection;
    atomic_uint_fast64_t evidence, bytes;
};

/* In memory that all lanes share. */
struct results {
    atomic_uint next; /* combination to be played */
    struct tally_of of[IMPAIRMENTS_MAX];
};

static struct combination combinations[COMBINATIONS_MAX];
static unsigned combination_count;
static struct results *results;
static struct {
    uint64_t seed;
    const char *only[3]; /* impairment, scenario, driver; "" is any */
    unsigned lanes;
    bool quick, verbose;
} wish = { .seed = 1, .only = { "", "", "" }, .lanes = 10 };

/* ---- which ---- */

static bool wanted(const char *name, int part)
{
    return wish.only[part][0] == '\0' || strcmp(wish.only[part], name) == 0;
}

static void add(const struct impairment *impairment, const struct scenario *one)
{
    static const char *const drivers[] = { "epoll", "uring" };
    static unsigned seen;

    for (int i = 0; i < 2; i++) {
        if (!wanted(impairment->name, 0) || !wanted(one->name, 1) ||
            !wanted(drivers[i], 2))
            continue;
        if (wish.quick && seen++ % QUICK_STRIDE != 0)
            continue;
        if (combination_count == COMBINATIONS_MAX)
            abort();
        combinations[combination_count++] =
            (struct combination){ impairment, one, drivers[i], wish.seed };
    }
}

static void add_all(void)
{
    const struct scenario *tables[] = { flow_scenarios, end_scenarios, many_scenarios };

    for (const struct impairment *bad = impairments; bad->name != NULL; bad++)
        for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
            for (const struct scenario *one = tables[i]; one->name != NULL; one++)
                add(bad, one);
}

/* ---- playing ---- */

static const char *text_of(const struct combination *combination, char *text, size_t size)
{
    snprintf(text, size, "%s/%s/%s", combination->impairment->name,
             combination->scenario->name, combination->driver);
    return text;
}

static void count(const struct combination *combination, enum outcome outcome,
                  uint64_t evidence)
{
    struct tally_of *of = &results->of[combination->impairment - impairments];

    atomic_fetch_add(&of->outcomes[outcome], 1);
    atomic_fetch_add(&of->evidence, evidence);
    if (outcome == SKIPPED)
        return;
    atomic_fetch_add(&of->no_connection, stage->near_count == 0);
    for (unsigned i = 0; i < stage->near_count; i++) {
        const struct near_view *near = &stage->near[i];

        atomic_fetch_add(&of->hows[near->ending.how], 1);
        atomic_fetch_add(&of->bytes, near->view.got.count + near->view.wrote.count);
    }
}

/* One line, by one write, since lanes print at the same time. */
static void tell(const struct combination *combination, enum outcome outcome,
                 const char *why, int64_t took_ms)
{
    char name[96], line[640] = "";

    text_of(combination, name, sizeof(name));
    if (outcome == FAILED)
        snprintf(line, sizeof(line),
                 "  FAIL  %s: %s\n        make rough SEED=%" PRIu64 " ONLY=%s\n", name,
                 why, combination->seed, name);
    else if (outcome == SKIPPED)
        snprintf(line, sizeof(line), "  skip  %s: %s\n", name, why);
    else if (wish.verbose)
        snprintf(line, sizeof(line), "  pass  %s (%" PRId64 " ms)\n", name, took_ms);
    (void)!write(STDOUT_FILENO, line, strlen(line));
}

_Noreturn static void lane_main(void)
{
    struct lane lane;
    bool opened = lane_open(&lane);
    unsigned place;

    stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    if (stage == MAP_FAILED)
        _exit(1);
    while ((place = atomic_fetch_add(&results->next, 1)) < combination_count) {
        const struct combination *combination = &combinations[place];
        int64_t start = tn_now();
        enum outcome outcome = SKIPPED;

        if (opened)
            outcome = play(&lane, combination);
        count(combination, outcome, lane.evidence);
        tell(combination, outcome, lane.trouble, (tn_now() - start) / TN_MS);
        lane.evidence = 0;
    }
    _exit(0);
}

/* Run all lanes; false: one of them died, and what it was playing is not counted. */
static bool play_all(void)
{
    unsigned lanes = wish.lanes < combination_count ? wish.lanes : combination_count;
    bool good = true;
    int status;

    fflush(stdout);
    for (unsigned i = 0; i < lanes; i++) {
        pid_t pid = fork();

        if (pid == 0)
            lane_main();
        good = good && pid > 0;
    }
    while (wait(&status) > 0)
        good = good && status == 0;
    return good;
}

/* ---- the totals ---- */

/* An impairment that never showed has shown nothing. */
static bool tell_impairment(const struct impairment *impairment)
{
    static const char *const names[HOWS] = { "clean",     "acked",    "reset",
                                             "timed out", "deadline", "unread" };
    const struct tally_of *of = &results->of[impairment - impairments];
    unsigned played = of->outcomes[PASSED] + of->outcomes[FAILED];
    bool idle = played > 0 && of->evidence == 0 && strcmp(impairment->name, "none") != 0;

    if (played == 0)
        return true;
    printf("%-12s %4u played, showed %6" PRIu64 " times, %6.1f MB:", impairment->name,
           played, (uint64_t)of->evidence, (double)of->bytes / 1e6);
    for (int how = 0; how < HOWS; how++) {
        if (of->hows[how] > 0)
            printf(" %u %s,", of->hows[how], names[how]);
    }
    printf(" %u without a connection\n", of->no_connection);
    return !idle || wish.quick || wish.only[1][0] != '\0';
}

static unsigned total_of(enum outcome outcome)
{
    unsigned total = 0;

    for (const struct impairment *bad = impairments; bad->name != NULL; bad++)
        total += results->of[bad - impairments].outcomes[outcome];
    return total;
}

static void take_only(char *text)
{
    for (int part = 0; part < 3 && text != NULL; part++)
        wish.only[part] = strsep(&text, "/");
}

static void take_arguments(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "s:o:l:qv")) != -1) {
        switch (option) {
        case 's':
            wish.seed = strtoull(optarg, NULL, 0);
            break;
        case 'o':
            take_only(optarg);
            break;
        case 'l':
            wish.lanes = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'q':
            wish.quick = true;
            break;
        case 'v':
            wish.verbose = true;
            break;
        default:
            exit(2);
        }
    }
    if (wish.lanes == 0 || wish.lanes > LANES_MAX)
        wish.lanes = LANES_MAX;
}

int main(int argc, char **argv)
{
    int64_t start = tn_now();
    bool good;

    take_arguments(argc, argv);
    unsetenv("TENON_DRIVER");
    add_all();
    if (combination_count == 0) {
        fprintf(stderr, "rough: no such combination\n");
        return 2;
    }
    results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (results == MAP_FAILED)
        return 2;
    good = play_all();
    if (!good)
        printf("  FAIL  a lane died\n");
    for (const struct impairment *bad = impairments; bad->name != NULL; bad++) {
        if (!tell_impairment(bad)) {
            printf("  FAIL  %s never showed\n", bad->name);
            good = false;
        }
    }
    printf("%u combinations in %.1f s\n", combination_count,
           (double)(tn_now() - start) / 1e9);
    printf("%u passed, %u failed, %u skipped\n", total_of(PASSED),
           total_of(FAILED) + !good, total_of(SKIPPED));
    return total_of(FAILED) > 0 || !good;
}
