/* SPDX-License-Identifier: MIT */
/*
 * torture.c -- every call that can fail, failing, in every scenario.
 *
 *      torture [-v] [-q] [-j WORKERS] [PART OF A NAME]     DRIVER=epoll|uring narrows
 *
 * The calls are those through the seam (os/os.h): system calls, memory, the driver's
 * arming and waiting.  Each in turn fails with the error that is typical of it; then, at
 * one place of each scenario, with each errno that its manual lists (matrix.c); and those
 * of TWICE at every place with a second error that is acted on.  Asked of each run: no
 * crash, no hang, no descriptor left, the peer's view legal (what `must` says in the
 * scenarios), and an error that the header of the call names.  Leaks of memory are for
 * ASan.
 *
 * WORKERS go through the scenarios; the runs of a scenario share a child process until one
 * dies, and then the worker names that one and goes on with the next.  -q takes one run in
 * 13, another one in each scenario.
 */
#include "torture/inside.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "task/run.h"

#define RUN_LIMIT_S  30
#define WORKERS_MOST 16
#define QUICK_STRIDE 13

/* Errors given at every place, where the call acts on them in another way. */
static const struct wish twice[] = {
    { FAULT_SENDTO, 0, EPIPE },        { FAULT_SENDTO, 0, EINTR },
    { FAULT_SENDMSG, 0, ECONNRESET },  { FAULT_RECVFROM, 0, ECONNRESET },
    { FAULT_RECVFROM, 0, EINTR },      { FAULT_ACCEPT, 0, ECONNABORTED },
    { FAULT_SOCKET, 0, EAFNOSUPPORT },
};

#define TWICE (sizeof(twice) / sizeof(twice[0]))

struct job {
    const struct scenario *scenario;
    const char *driver;
};

/* In memory that all workers have. */
struct common {
    atomic_uint next; /* job to be taken */
    struct shared workers[WORKERS_MOST];
};

struct shared *shared;
const struct fault *running;
static bool verbose, quick;
static unsigned offset; /* of the scenario, for -q */

_Noreturn void torture_finding(const char *file, int line, const char *what)
{
    snprintf(shared->finding, sizeof(shared->finding), "%s:%d: %s", file, line, what);
    abort();
}

int torture_injected(void)
{
    return running->last_error;
}

/* ---- one run ---- */

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int number = 0;

    while (readdir(dir) != NULL)
        number++;
    closedir(dir);
    return number;
}

static tn_err run_main(void *arg)
{
    const struct scenario *scenario = arg;

    return scenario->run(scenario);
}

static void check_plain_run(tn_err err)
{
    char text[160], what[200];

    if (!tn_failed(err))
        return;
    snprintf(what, sizeof(what), "fails with nothing failing: %s",
             tn_err_text(err, text, sizeof(text)));
    torture_finding(__FILE__, __LINE__, what);
}

bool torture_once(const struct scenario *scenario, const struct wish *wish)
{
    bool each = wish->call == FAULT_CALL_COUNT;
    struct fault fault;
    int before = open_descriptors();
    tn_err err;

    fault_init(&fault, &os_linux);
    if (scenario->spares_writes)
        fault.spared = UINT64_C(1) << FAULT_WRITE;
    running = &fault;
    if (each)
        fault_nth(&fault, wish->nth, wish->error);
    else if (wish->nth > 0)
        fault_name(&fault, wish->call, wish->nth, 1, wish->error);
    alarm(RUN_LIMIT_S);
    err = run_on(&fault.os, run_main, (void *)(uintptr_t)scenario, NULL);
    alarm(0);
    if (wish->nth == 0) {
        check_plain_run(err);
        memcpy(shared->calls_of, fault.calls_of, sizeof(shared->calls_of));
    } else if (fault.failed == 0) {
        return false;
    }
    must(fault.drivers == 0);
    must(err.kind != TN_DEADLINE && err.kind != TN_DEADLOCK);
    must(open_descriptors() == before);
    shared->kinds[err.kind]++;
    if (wish->nth > 0) {
        shared->failures++;
        shared->failed_of[fault.last]++;
    }
    return true;
}

/* ---- the passes, in a child ---- */

static bool left_out(unsigned long step)
{
    return quick && (step + offset) % QUICK_STRIDE != 0;
}

static void run_wish(const struct scenario *scenario, const struct wish *wish,
                     bool *fulfilled)
{
    if (wish->nth == 0)
        snprintf(shared->doing, sizeof(shared->doing), "the plain run");
    else if (wish->call == FAULT_CALL_COUNT)
        snprintf(shared->doing, sizeof(shared->doing), "call %lu failing", wish->nth);
    else
        snprintf(shared->doing, sizeof(shared->doing), "%s %lu failing with %s",
                 fault_text(wish->call), wish->nth, strerrorname_np(wish->error));
    *fulfilled = torture_once(scenario, wish);
}

/* How often the plain run has made any one of the calls of TWICE. */
static unsigned long most_calls(void)
{
    unsigned long most = 0;

    for (size_t i = 0; i < TWICE; i++) {
        if (shared->calls_of[twice[i].call] > most)
            most = shared->calls_of[twice[i].call];
    }
    return most;
}

/* STEP of the pass under way; false: there are no more. */
static bool run_step(const struct scenario *scenario, unsigned long step)
{
    struct wish wish = { .call = FAULT_CALL_COUNT, .nth = step + 1 };
    bool fulfilled = true;

    switch (shared->pass) {
    case PASS_PLAIN:
        wish = (struct wish){ .nth = 0 };
        if (step == 0)
            run_wish(scenario, &wish, &fulfilled);
        return step == 0;
    case PASS_EACH:
        if (!left_out(step))
            run_wish(scenario, &wish, &fulfilled);
        return fulfilled && step < 100000;
    case PASS_MATRIX:
        if (step >= matrix_steps())
            return false;
        if (left_out(step) || !matrix_wish(scenario, step, &wish))
            return true;
        run_wish(scenario, &wish, &fulfilled);
        if (fulfilled)
            matrix_done(step);
        return true;
    default:
        wish = twice[step % TWICE];
        wish.nth = step / TWICE + 1;
        if (!left_out(step) && shared->calls_of[wish.call] >= wish.nth)
            run_wish(scenario, &wish, &fulfilled);
        return step / TWICE < most_calls();
    }
}

/* All that is left to run of SCENARIO, from where the last child died. */
static void run_rest(const struct scenario *scenario)
{
    /* Connections never raise it; plain calls do, as POSIX has it. */
    signal(SIGPIPE, scenario->plain ? SIG_IGN : SIG_DFL);
    for (; shared->pass < PASS_COUNT; shared->pass++, shared->step = 0) {
        while (run_step(scenario, shared->step))
            shared->step++;
    }
}

/* ---- the workers ---- */

static void tell_finding(const struct job *job, int status)
{
    printf("FINDING %s, %s: %s: ", job->driver, job->scenario->name, shared->doing);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        printf("hangs\n");
    else if (shared->finding[0] != '\0')
        printf("%s\n", shared->finding);
    else
        printf("dies (%s %d)\n", WIFSIGNALED(status) ? "signal" : "exit",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    shared->finding[0] = '\0';
    fflush(stdout);
}

static void torture(const struct job *job)
{
    unsigned long before = shared->failures;

    setenv("TENON_DRIVER", job->driver, 1);
    shared->pass = PASS_PLAIN;
    shared->step = 0;
    for (;;) {
        int status;
        pid_t child;

        fflush(stdout);
        child = fork();
        if (child == 0) {
            run_rest(job->scenario);
            exit(0); /* not _exit: ASan looks for leaks now */
        }
        if (child < 0 || waitpid(child, &status, 0) != child) {
            perror("torture");
            exit(1);
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            break;
        tell_finding(job, status);
        shared->findings++;
        if (shared->pass == PASS_PLAIN || shared->pass >= PASS_COUNT)
            break; /* it does not even run; or it leaked */
        shared->step++;
    }
    shared->scenarios++;
    if (verbose)
        printf("  %s %-44s %5lu failures\n", job->driver, job->scenario->name,
               shared->failures - before);
}

static void work(struct common *common, const struct job *jobs, unsigned count)
{
    for (;;) {
        unsigned at = atomic_fetch_add(&common->next, 1);

        if (at >= count)
            break;
        offset = at;
        torture(&jobs[at]);
    }
    exit(0);
}

static void work_together(struct common *common, unsigned workers, const struct job *jobs,
                          unsigned count)
{
    int status;

    fflush(stdout);
    for (unsigned i = 0; i < workers; i++) {
        shared = &common->workers[i];
        if (fork() == 0)
            work(common, jobs, count);
    }
    while (wait(&status) > 0) {
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            exit(1);
    }
}

/* ---- which, and what came of it ---- */

static unsigned list_jobs(struct job *jobs, unsigned room, const char *filter)
{
    static const struct scenario *const tables[] = { task_scenarios, place_scenarios,
                                                     plain_scenarios, conn_scenarios,
                                                     pump_scenarios };
    static const char *const drivers[] = { "epoll", "uring" };
    const char *only = getenv("DRIVER");
    unsigned count = 0;

    for (int i = 0; i < 2; i++) {
        if (only != NULL && only[0] != '\0' && strcmp(only, drivers[i]) != 0)
            continue;
        for (size_t table = 0; table < sizeof(tables) / sizeof(tables[0]); table++) {
            for (const struct scenario *each = tables[table]; each->name != NULL; each++)
                if ((filter == NULL || strstr(each->name, filter) != NULL) &&
                    count < room)
                    jobs[count++] = (struct job){ each, drivers[i] };
        }
    }
    return count;
}

static void sum_up(struct shared *sum, const struct common *common, unsigned workers)
{
    for (unsigned i = 0; i < workers; i++) {
        const struct shared *from = &common->workers[i];

        sum->failures += from->failures;
        sum->findings += from->findings;
        sum->scenarios += from->scenarios;
        for (int kind = 0; kind < TN_KIND_COUNT; kind++)
            sum->kinds[kind] += from->kinds[kind];
        for (int call = 0; call < FAULT_CALL_COUNT; call++)
            sum->failed_of[call] += from->failed_of[call];
    }
}

static void tell_sums(const struct shared *sum)
{
    printf("  runs ended in:");
    for (unsigned kind = 0; kind < TN_KIND_COUNT; kind++)
        if (sum->kinds[kind] > 0)
            printf(" %s %lu", tn_err_kind_name(kind), sum->kinds[kind]);
    printf("\n  calls failed:");
    for (int call = 0; call < FAULT_CALL_COUNT; call++)
        if (sum->failed_of[call] > 0)
            printf(" %s %lu", fault_text((enum fault_call)call), sum->failed_of[call]);
    printf("\n");
}

int main(int argc, char **argv)
{
    static struct job jobs[1000];
    struct shared sum = { .failures = 0 };
    unsigned count, workers = (unsigned)sysconf(_SC_NPROCESSORS_ONLN) * 2, missing = 0;
    struct common *common;
    const char *filter;
    int option;

    while ((option = getopt(argc, argv, "vqj:")) != -1) {
        verbose = verbose || option == 'v';
        quick = quick || option == 'q';
        if (option == 'j')
            workers = (unsigned)strtoul(optarg, NULL, 10);
    }
    workers = workers < 1 ? 1 : workers > WORKERS_MOST ? WORKERS_MOST : workers;
    filter = optind < argc && argv[optind][0] != '\0' ? argv[optind] : NULL;
    common = mmap(NULL, sizeof(*common), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (common == MAP_FAILED)
        return 1;
    count = list_jobs(jobs, sizeof(jobs) / sizeof(jobs[0]), filter);
    work_together(common, workers, jobs, count);
    sum_up(&sum, common, workers);
    tell_sums(&sum);
    if (!quick && filter == NULL)
        missing = matrix_tell(common->workers, workers);
    printf("%lu failures injected in %lu scenarios, %lu findings\n", sum.failures,
           sum.scenarios, sum.findings);
    printf("%lu passed, %lu failed, 0 skipped\n", sum.scenarios - sum.findings,
           sum.findings + (missing > 0));
    return sum.findings > 0 || missing > 0 || count == 0;
}
