/* SPDX-License-Identifier: MIT */
/*
 * main.c -- run seeds: simulated worlds, each with its own weather and workloads.
 *
 *      simulate [-v] [-s SEED] [-n SEEDS] [-w WITHOUT] [-f STRIKES]
 *               [-e EPISODES] [-o ONLY] [-d DRIVER]
 *
 * Seeds SEED, SEED + 1 ... run in child processes.  A child that dies has met a finding:
 * its seed is shrunk (episodes and faults are taken away, kind by kind and from the end, as
 * long as it still fails) and the command that replays it is printed.
 *
 * Every 64th seed runs twice and must give the same hash.  At the end come the counts of
 * all faults, none of which may be zero where enough seeds ran, and the hash of all.
 */
#include "sim/world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "task/run.h"

#define OPERATIONS_LEAST        1000 /* a seed */
#define SEED_LIMIT_S            20   /* of CPU time: some 1,000 times what a seed takes */
#define CALLS_AN_OPERATION_MOST 1000
#define SEEDS_FOR_ALL           200 /* that many meet every kind of fault */
#define SEEDS_A_CHILD           100
#define FINDINGS_MOST           5
#define STRIKES_MOST            (UINT64_C(1) << 20)
#define ALL_FAULTS              ((UINT64_C(1) << SIM_FAULT_COUNT) - 1)

struct wish {
    uint64_t first, count, without;
    unsigned episodes; /* at most; 0: as many as it takes */
    uint64_t strikes;  /* of faults, at most; 0: all that come */
    const char *only;  /* the name of an episode */
    const char *driver;
    bool verbose;
};

/* What the children leave for the parent. */
struct shared {
    uint64_t seed; /* under way */
    uint64_t seeds, operations, episodes, hash, twice;
    uint64_t faults[SIM_FAULT_COUNT], hows[TN_UNREAD + 1], kinds[TN_KIND_COUNT];
    uint64_t segments, calls, virtual_s;
    uint64_t busiest, busiest_seed; /* system calls an operation, at most */
    unsigned episodes_run;          /* of the seed under way */
};

static struct shared *shared;
static struct wish wish;
static bool hung; /* the last child was stopped for it */

/* ---- one seed ---- */

static const struct episode *draw_episode(void)
{
    unsigned total = 0;
    uint64_t at;

    for (const struct episode *each = episodes; each->name != NULL; each++) {
        if (wish.only != NULL && strcmp(wish.only, each->name) == 0)
            return each;
        total += each->weight;
    }
    at = pick(total);
    for (const struct episode *each = episodes;; each++) {
        if (at < each->weight)
            return each;
        at -= each->weight;
    }
}

static tn_err run_episode(void *arg)
{
    const struct episode *episode = arg;

    say("episode %s", episode->name);
    episode->run();
    say("end of %s", episode->name);
    return tn_ok();
}

static bool goes_on(void)
{
    if (wish.episodes > 0)
        return world->episodes < wish.episodes;
    return world->begun < OPERATIONS_LEAST;
}

/* Episodes, two at a time where there are descriptors enough. */
static tn_err world_main(void *arg)
{
    unsigned together = world->weather.descriptors > 100 ? 2 : 1;

    (void)arg;
    while (goes_on()) {
        struct tn_group *group = NULL;

        must(!tn_failed(tn_group_open(&group, TN_GROUP_EACH_ALONE)));
        for (unsigned i = 0; i < together && goes_on(); i++) {
            const struct episode *episode = draw_episode();
            struct tn_task_options options = { .name = episode->name };

            world->episodes++;
            shared->episodes_run = world->episodes;
            must(!tn_failed(
                tn_go(group, run_episode, (void *)(uintptr_t)episode, &options, NULL)));
        }
        must(!tn_failed(tn_group_wait(group, TN_NEVER)));
        tn_group_close(&group);
    }
    return tn_ok();
}

static void check_leaks(void)
{
    struct sim_facts facts;

    sim_facts(world->sim, &facts);
    must(world->begun == world->ended);
    must(facts.descriptors == 0);
    must(facts.allocations == 0);
    must(facts.mapped == 0);
    must(facts.armed == 0);
    must(facts.lent == 0);
    must(facts.sigpipes == 0);
    must(wish.episodes > 0 || world->ended >= OPERATIONS_LEAST);
}

static void add_up(uint64_t hash)
{
    struct sim_facts facts;

    sim_facts(world->sim, &facts);
    for (int i = 0; i < SIM_FAULT_COUNT; i++)
        shared->faults[i] += facts.faults[i];
    for (int i = 0; i <= TN_UNREAD; i++)
        shared->hows[i] += world->hows[i];
    for (int i = 0; i < TN_KIND_COUNT; i++)
        shared->kinds[i] += world->kinds[i];
    shared->segments += facts.segments;
    shared->calls += facts.calls;
    shared->virtual_s += (uint64_t)(sim_now(world->sim) / TN_SECOND - 1000);
    shared->operations += world->ended;
    shared->episodes += world->episodes;
    shared->seeds++;
    shared->hash = (shared->hash ^ hash) * UINT64_C(0x100000001b3);
    shared->hash ^= shared->hash >> 31;
}

/* Waiting must not be trying again and again: a seed has about 10 calls an operation. */
static void check_calls(void)
{
    struct sim_facts facts;
    uint64_t each;

    sim_facts(world->sim, &facts);
    each = facts.calls / world->ended;
    if (each > shared->busiest) {
        shared->busiest = each;
        shared->busiest_seed = world->seed;
    }
    must(each < CALLS_AN_OPERATION_MOST);
}

static void stalled(void *arg)
{
    (void)arg;
    printf("finding: a standstill: no task can ever run again\n");
    fflush(stdout);
}

/* SIGPROF after SECONDS of CPU time; 0: never. */
static void limit_cpu(int seconds)
{
    struct itimerval limit = { .it_value = { .tv_sec = seconds } };

    must(setitimer(ITIMER_PROF, &limit, NULL) == 0);
}

static uint64_t run_seed(uint64_t seed, bool counts)
{
    struct world here = { .seed = seed, .random = seed ^ UINT64_C(0x5bd1e995) };
    struct tn_loop_options loop = { .driver = NULL };
    struct sim_options options;
    uint64_t hash;
    tn_err err;

    world = &here;
    here.calm = sim_weather(seed, wish.without, &options);
    loop.driver = wish.driver != NULL ? wish.driver : options.driver;
    options.strikes_most = wish.strikes;
    options.stalled = stalled;
    here.weather = options;
    here.verbose = wish.verbose;
    limit_cpu(SEED_LIMIT_S);
    must(sim_open(&here.sim, &options) == 0);
    err = run_on(sim_os(here.sim), world_main, NULL, &loop);
    must(!tn_failed(err));
    check_leaks();
    check_outcomes();
    check_calls();
    hash = sim_hash(here.sim);
    if (counts)
        add_up(hash);
    limit_cpu(0);
    ledgers_free();
    sim_close(here.sim);
    world = NULL;
    return hash;
}

/* ---- children ---- */

static _Noreturn void child_main(uint64_t first, uint64_t end)
{
    for (uint64_t seed = first; seed < end; seed++) {
        uint64_t hash;

        shared->seed = seed;
        hash = run_seed(seed, true);
        if (seed % 64 == 0 || wish.count == 1) {
            shared->twice++;
            if (hash != run_seed(seed, false)) {
                printf("finding: two runs of the seed differ\n");
                fflush(stdout);
                abort();
            }
        }
    }
    fflush(stdout);
    exit(0); /* so that the leak sanitizer looks */
}

/* Run FIRST .. END - 1 in a child; whether it lived.  QUIET: it is a try, not a run. */
static bool run_child(uint64_t first, uint64_t end, bool quiet)
{
    int status = 0;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (quiet) {
            if (freopen("/dev/null", "w", stdout) == NULL ||
                freopen("/dev/null", "w", stderr) == NULL)
                _exit(1);
        }
        child_main(first, end);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("simulate");
        exit(2);
    }
    hung = WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF;
    if (hung && !quiet)
        printf("finding: not over after %d s of CPU\n", SEED_LIMIT_S);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Whether SEED still fails with the wish as it is now; the totals are left alone. */
static bool still_fails(uint64_t seed)
{
    struct shared kept = *shared;
    bool lived = run_child(seed, seed + 1, true);

    *shared = kept;
    return !lived;
}

/* The fewest strikes of faults, from the first on, with which it still fails. */
static void shrink_strikes(uint64_t seed)
{
    uint64_t enough = 1, least = 1;

    for (wish.strikes = enough; !still_fails(seed); wish.strikes = enough) {
        least = enough + 1;
        enough *= 2;
        if (enough > STRIKES_MOST) {
            wish.strikes = 0;
            return;
        }
    }
    while (least < enough) {
        wish.strikes = least + (enough - least) / 2;
        if (still_fails(seed))
            enough = wish.strikes;
        else
            least = wish.strikes + 1;
    }
    wish.strikes = enough;
}

/* Take away what the failure does not need. */
static void shrink(uint64_t seed, unsigned episodes_run)
{
    struct wish tried = wish;

    wish.count = 1;
    wish.verbose = false;
    if (wish.episodes == 0 && episodes_run > 0) {
        wish.episodes = episodes_run;
        if (!still_fails(seed))
            wish.episodes = tried.episodes;
    }
    while (wish.episodes > 1) {
        wish.episodes--;
        if (still_fails(seed))
            continue;
        wish.episodes++;
        break;
    }
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++) {
        uint64_t before = wish.without;

        wish.without |= UINT64_C(1) << fault;
        if (wish.without != before && !still_fails(seed))
            wish.without = before;
    }
    if (wish.without != ALL_FAULTS && wish.strikes == 0)
        shrink_strikes(seed);
}

static void tell_replay(uint64_t seed)
{
    printf("\nseed %llu fails; its shortest form:\n", (unsigned long long)seed);
    printf("  make sim SEED=%llu SEEDS=1", (unsigned long long)seed);
    if (wish.without != 0)
        printf(" WITHOUT=0x%llx", (unsigned long long)wish.without);
    if (wish.strikes != 0)
        printf(" STRIKES=%llu", (unsigned long long)wish.strikes);
    if (wish.episodes != 0)
        printf(" EPISODES=%u", wish.episodes);
    if (wish.only != NULL)
        printf(" ONLY=%s", wish.only);
    if (wish.driver != NULL)
        printf(" DRIVER=%s", wish.driver);
    printf(" V=1\nfaults it needs:");
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++) {
        if ((wish.without & UINT64_C(1) << fault) == 0)
            printf(" %s;", sim_fault_text((enum sim_fault)fault));
    }
    printf("\n\n");
}

/* All seeds; gives the number of findings. */
static unsigned run_all(void)
{
    uint64_t end = wish.first + wish.count, seed = wish.first;
    unsigned findings = 0;

    while (seed < end && findings < FINDINGS_MOST) {
        uint64_t part = end - seed < SEEDS_A_CHILD ? end - seed : SEEDS_A_CHILD;
        struct wish kept = wish;

        if (run_child(seed, seed + part, false)) {
            seed += part;
            continue;
        }
        findings++;
        seed = shared->seed;
        if (!wish.verbose && !hung) /* what hangs would take hours */
            shrink(seed, shared->episodes_run);
        tell_replay(seed);
        wish = kept;
        seed++;
    }
    return findings;
}

/* ---- the totals ---- */

static unsigned tell_totals(double took)
{
    static const char *const hows[] = { "clean",     "acknowledged", "reset",
                                        "timed out", "deadline",     "unread" };
    unsigned missing = 0;

    printf(
        "%llu seeds, %llu episodes, %llu operations, %llu system calls, %llu segments, "
        "%llu virtual hours in %.1f s\n",
        (unsigned long long)shared->seeds, (unsigned long long)shared->episodes,
        (unsigned long long)shared->operations, (unsigned long long)shared->calls,
        (unsigned long long)shared->segments,
        (unsigned long long)shared->virtual_s / 3600, took);
    printf("system calls an operation: %llu on average, %llu in the busiest seed, %llu\n",
           (unsigned long long)(shared->calls / (shared->operations + 1)),
           (unsigned long long)shared->busiest, (unsigned long long)shared->busiest_seed);
    printf("endings:");
    for (int i = 0; i <= TN_UNREAD; i++)
        printf(" %llu %s%s", (unsigned long long)shared->hows[i], hows[i],
               i < TN_UNREAD ? "," : "\n");
    printf("errors:");
    for (unsigned i = 1; i < TN_KIND_COUNT; i++) {
        if (shared->kinds[i] > 0)
            printf(" %llu %s,", (unsigned long long)shared->kinds[i],
                   tn_err_kind_name(i));
    }
    printf(" the rest is success\n");
    for (int i = 0; i < SIM_FAULT_COUNT; i++) {
        missing += shared->faults[i] == 0;
        printf("%10llu %s\n", (unsigned long long)shared->faults[i],
               sim_fault_text((enum sim_fault)i));
    }
    printf("%llu seeds ran twice, each with the same hash\n",
           (unsigned long long)shared->twice);
    printf("hash %016llx\n", (unsigned long long)shared->hash);
    return missing;
}

static void take_arguments(int argc, char **argv)
{
    int option;

    wish = (struct wish){ .first = 1, .count = 100 };
    while ((option = getopt(argc, argv, "vs:n:w:f:e:o:d:")) != -1) {
        switch (option) {
        case 'v':
            wish.verbose = true;
            break;
        case 's':
            wish.first = strtoull(optarg, NULL, 0);
            break;
        case 'n':
            wish.count = strtoull(optarg, NULL, 0);
            break;
        case 'w':
            wish.without = strtoull(optarg, NULL, 0);
            break;
        case 'f':
            wish.strikes = strtoull(optarg, NULL, 0);
            break;
        case 'e':
            wish.episodes = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'o':
            wish.only = optarg;
            break;
        case 'd':
            wish.driver = optarg;
            break;
        default:
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    struct timespec start, end;
    unsigned findings, missing;

    take_arguments(argc, argv);
    unsetenv("TENON_DRIVER");
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    shared->hash = UINT64_C(0xcbf29ce484222325);
    clock_gettime(CLOCK_MONOTONIC, &start);
    findings = run_all();
    clock_gettime(CLOCK_MONOTONIC, &end);
    missing = tell_totals((double)(end.tv_sec - start.tv_sec) +
                          (double)(end.tv_nsec - start.tv_nsec) / 1e9);
    if (missing > 0 && wish.count >= SEEDS_FOR_ALL && wish.without == 0 &&
        wish.strikes == 0 && wish.only == NULL) {
        printf("%u kinds of faults never struck\n", missing);
        return 1;
    }
    printf("%u findings\n", findings);
    return findings > 0;
}
