/* SPDX-License-Identifier: MIT */
/*
 * run.c -- one forked child for each run of a script.
 *
 * The child starts in an empty directory of its own, with handlers for the signals that scripts
 * use, and is killed after CHILD_LIMIT_MS.  Its record lies in memory shared with the parent.
 */
#include "run.h"
#include "record.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { JOBS_MAX = 8, CHILD_LIMIT_MS = 60000 };

struct job {
    pid_t pid; /* 0 when the slot is free */
    size_t index;
    int64_t start_ns;
    struct record *record;
    char directory[64];
};

/* ---- signals, in the child --------------------------------------------------------------- */

static _Thread_local unsigned pipes_of_thread;
static _Thread_local _Atomic unsigned *alarms_of_thread;
static _Atomic unsigned taken[NSIG];
static enum storm storm_now;

unsigned sigpipes_taken(void)
{
    return pipes_of_thread;
}

unsigned signals_taken(int signal_number)
{
    return atomic_load(&taken[signal_number]);
}

static void on_signal(int signal_number)
{
    (void)atomic_fetch_add(&taken[signal_number], 1);
    if (signal_number == SIGALRM && alarms_of_thread != NULL)
        (void)atomic_fetch_add(alarms_of_thread, 1);
    if (signal_number == SIGPIPE)
        pipes_of_thread++;
}

static void handle(int signal_number, int flags)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };

    (void)sigaction(signal_number, &action, NULL);
}

static void handle_signals(void)
{
    handle(SIGPIPE, SA_RESTART);
    handle(SIGURG, SA_RESTART);
    handle(SIGUSR1, SA_RESTART);
    handle(SIGUSR2, SA_RESTART);
    handle(SIGALRM, storm_now == STORM_NO_RESTART ? 0 : SA_RESTART);
}

void handle_interrupting(void)
{
    handle(SIGUSR1, 0);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGURG, SIG_DFL);
    (void)signal(SIGUSR2, SIG_DFL);
    if (storm_now == STORM_NONE)
        (void)signal(SIGALRM, SIG_DFL);
}

void storm_begin(struct actor *me)
{
    struct itimerspec each = { .it_interval.tv_nsec = 1 * MS,
                               .it_value.tv_nsec = 1 * MS };
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
    timer_t timer;

    if (storm_now == STORM_NONE)
        return;
    alarms_of_thread = &me->alarms;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0)
        (void)timer_settime(timer, 0, &each, NULL);
}

bool is_readable(const void *memory, size_t size)
{
    char copy[256];
    struct iovec here = { copy, size < sizeof(copy) ? size : sizeof(copy) };
    struct iovec there = { (void *)(uintptr_t)memory, here.iov_len };

    return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == (ssize_t)here.iov_len;
}

/* ---- the child ----------------------------------------------------------------------------- */

static void play_script(struct actor *me, void *arg)
{
    (void)arg;
    me->run->script->play(me);
}

static void child(struct job *job, const struct script *script, const struct way *way)
{
    static struct run run; /* large: not for a stack */
    struct actor *first = &run.actors[0];
    sigset_t none;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(job->directory) != 0)
        _exit(1);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    handle_signals();
    run.way = way;
    run.script = script;
    run.record = job->record;
    run.storm = storm_now;
    run.retries = storm_now != STORM_NONE && (script->needs & NEED_ONCE) == 0;
    first->name = "main";
    first->run = &run;
    first->trace = &job->record->traces[0];
    first->body = play_script;
    (void)snprintf(first->trace->name, sizeof(first->trace->name), "main");
    job->record->actors = 1;
    if (!way->run(first))
        skip(first, "this way does not run here");
    job->record->done = true;
    _exit(0);
}

/* ---- the parent ------------------------------------------------------------------------------ */

static int remove_entry(const char *path, const struct stat *file, int flag,
                        struct FTW *place)
{
    (void)file;
    (void)flag;
    (void)place;
    return remove(path);
}

static bool job_start(struct job *job, size_t index, const struct script *script,
                      const struct way *way)
{
    const char *base = getenv("TMPDIR");

    memset(job->record, 0, sizeof(*job->record));
    (void)snprintf(job->directory, sizeof(job->directory), "%s/callsXXXXXX",
                   base != NULL && strlen(base) < 40 ? base : "/tmp");
    if (mkdtemp(job->directory) == NULL)
        return false;
    job->index = index;
    job->start_ns = clock_ns();
    job->pid = fork();
    if (job->pid == 0)
        child(job, script, way);
    return job->pid > 0;
}

static char *joined(const struct record *record)
{
    size_t room = 1;
    char *text, *end;

    for (int i = 0; i < record->actors; i++)
        room += record->traces[i].used + sizeof(record->traces[i].name) + 4;
    text = end = malloc(room);
    if (text == NULL)
        return NULL;
    *end = '\0';
    for (int i = 0; i < record->actors; i++) {
        const struct trace *trace = &record->traces[i];

        end += snprintf(end, room - (size_t)(end - text), "[%s]\n%s", trace->name,
                        trace->text);
    }
    return text;
}

static bool says_nothing(const struct record *record)
{
    for (int i = 0; i < record->actors; i++) {
        if (record->traces[i].used > 0)
            return false;
    }
    return true;
}

static void job_collect(struct job *job, int status, struct result *result)
{
    struct record *record = job->record;

    result->trace = joined(record);
    result->interruptions = record->interruptions;
    (void)snprintf(result->why, sizeof(result->why), "%s", record->why);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || !record->done) {
        result->outcome = OUTCOME_FAILED;
        if (result->why[0] == '\0')
            (void)snprintf(result->why, sizeof(result->why), "%s %d%s",
                           WIFEXITED(status) ? "exit" : "signal",
                           WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
                           clock_ns() - job->start_ns > (int64_t)CHILD_LIMIT_MS * MS
                               ? ", after its time limit"
                               : "");
    } else if (record->skipped) {
        result->outcome = OUTCOME_SKIPPED;
    } else if (record->failed) {
        result->outcome = OUTCOME_FAILED;
    } else if (says_nothing(record)) {
        result->outcome = OUTCOME_FAILED;
        (void)snprintf(result->why, sizeof(result->why), "it recorded nothing");
    } else {
        result->outcome = OUTCOME_RAN;
    }
    (void)nftw(job->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    job->pid = 0;
}

static void kill_late(struct job *jobs, int count)
{
    for (int i = 0; i < count; i++) {
        if (jobs[i].pid > 0 &&
            clock_ns() - jobs[i].start_ns > (int64_t)CHILD_LIMIT_MS * MS)
            (void)kill(jobs[i].pid, SIGKILL);
    }
}

/* Waits for one child at least, or a tenth of a second; collects all that have ended. */
static int reap(struct job *jobs, int count, struct result *results)
{
    const struct timespec tenth = { .tv_nsec = 100 * MS };
    sigset_t child_ended;
    int status, reaped = 0;
    pid_t pid;

    (void)sigemptyset(&child_ended);
    (void)sigaddset(&child_ended, SIGCHLD);
    (void)sigtimedwait(&child_ended, NULL, &tenth);
    kill_late(jobs, count);
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < count; i++) {
            if (jobs[i].pid == pid) {
                job_collect(&jobs[i], status, &results[jobs[i].index]);
                reaped++;
            }
        }
    }
    return reaped;
}

static bool jobs_open(struct job *jobs, int count)
{
    for (int i = 0; i < count; i++)
        jobs[i] = (struct job){ .pid = 0, .record = MAP_FAILED };
    for (int i = 0; i < count; i++) {
        jobs[i].record = mmap(NULL, sizeof(*jobs[i].record), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (jobs[i].record == MAP_FAILED)
            return false;
    }
    return true;
}

bool run_all(const struct script_list *list, const struct way *const *ways, size_t count,
             int jobs_wanted, enum storm storm, struct result *results)
{
    int job_count = jobs_wanted < JOBS_MAX ? jobs_wanted : JOBS_MAX, running = 0;
    size_t next = 0, total = list->count * count;
    struct job jobs[JOBS_MAX];
    sigset_t child_ended;
    bool ok = jobs_open(jobs, job_count);

    (void)sigemptyset(&child_ended);
    (void)sigaddset(&child_ended, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child_ended, NULL);
    storm_now = storm;
    while (ok && (next < total || running > 0)) {
        for (int i = 0; i < job_count && next < total && ok; i++) {
            if (jobs[i].pid != 0)
                continue;
            ok =
                job_start(&jobs[i], next, &list->items[next / count], ways[next % count]);
            running += ok ? 1 : 0;
            next++;
        }
        running -= reap(jobs, job_count, results);
    }
    for (int i = 0; i < job_count; i++) {
        if (jobs[i].record != MAP_FAILED)
            (void)munmap(jobs[i].record, sizeof(*jobs[i].record));
    }
    return ok;
}
