/* SPDX-License-Identifier: MIT */
/*
 * stage.c -- actors: start, watch, wait for each other; and the notes they take.
 *
 * Every wait here asks for a condition again and again, lets the others run in between, and
 * gives up after LIMIT_MS, which fails the run.
 */
#include "calls.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum {
    ROUNDS_BLOCKED = 3,   /* as many looks in a row must agree that an actor is blocked */
    RESTART_SIGNALS = 20, /* as many to each thread without effect have none */
    INTERRUPT_SIGNALS = 200, /* ... and where an effect is the rule */
};

int64_t clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 * MS + now.tv_nsec;
}

int64_t tick_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 * MS + now.tv_nsec;
}

/* ---- notes ----------------------------------------------------------------------------- */

static void trace_add(struct trace *trace, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void trace_add(struct trace *trace, const char *format, va_list args)
{
    size_t room = sizeof(trace->text) - trace->used;
    int length = vsnprintf(trace->text + trace->used, room, format, args);

    if (length < 0)
        return;
    trace->used += (size_t)length < room ? (size_t)length : room - 1;
    if (trace->used + 1 < sizeof(trace->text)) {
        trace->text[trace->used++] = '\n';
        trace->text[trace->used] = '\0';
    }
}

void note(struct actor *me, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    trace_add(me->trace, format, args);
    va_end(args);
}

bool expect(struct actor *me, bool ok, const char *what)
{
    int error = errno;
    struct record *record = me->run->record;

    if (ok || record->skipped)
        return ok;
    note(me, "SET-UP FAILED: %s (%s)", what, strerrorname_np(error));
    if (!record->failed)
        (void)snprintf(record->why, sizeof(record->why), "%s (%s), in %s", what,
                       strerrorname_np(error), me->name);
    record->failed = true;
    return false;
}

void skip(struct actor *me, const char *why)
{
    me->run->record->skipped = true;
    (void)snprintf(me->run->record->why, sizeof(me->run->record->why), "%s", why);
}

void label(struct actor *me, int fd, const char *name)
{
    if (fd >= 0 && fd < LABELS_MAX)
        me->run->labels[fd] = name;
}

void label_port(struct actor *me, in_port_t port, const char *name)
{
    struct run *run = me->run;

    if (run->port_count < 16) {
        run->ports[run->port_count].port = port;
        run->ports[run->port_count].name = name;
        run->port_count++;
    }
}

void note_waited(struct actor *me, int64_t at_least_ns)
{
    struct timespec tick;

    if (me->run->storm != STORM_NONE)
        return; /* a signal ends the wait */
    (void)clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
    if (me->elapsed_ns + tick.tv_nsec < at_least_ns)
        note(me, "waited: too short for %d ms", (int)(at_least_ns / MS));
    else if (me->elapsed_ns > at_least_ns + INT64_C(10000) * MS)
        note(me, "waited: far longer than %d ms", (int)(at_least_ns / MS));
    else
        note(me, "waited: %d ms", (int)(at_least_ns / MS));
}

/* ---- actors ---------------------------------------------------------------------------- */

struct actor *start(struct actor *me, const char *name, body_fn *body, void *arg)
{
    struct run *run = me->run;
    struct actor *actor;

    if (!expect(me, run->record->actors < ACTORS_MAX, "one actor too many"))
        return me;
    actor = &run->actors[run->record->actors];
    actor->trace = &run->record->traces[run->record->actors];
    run->record->actors++;
    actor->name = name;
    actor->run = run;
    actor->body = body;
    actor->arg = arg;
    (void)snprintf(actor->trace->name, sizeof(actor->trace->name), "%s", name);
    if (!expect(me, run->way->start(actor), "start an actor"))
        atomic_store(&actor->finished, true);
    return actor;
}

/* One more round of a wait that began at START_NS; false when it has taken too long. */
static bool wait_round(struct actor *me, int64_t start_ns, unsigned *round)
{
    if (clock_ns() - start_ns > (int64_t)LIMIT_MS * MS)
        return false;
    me->run->way->pause((*round)++);
    return true;
}

void join(struct actor *me, struct actor *other)
{
    int64_t start_ns = clock_ns();
    unsigned round = 0;

    if (other == me)
        return;
    while (!atomic_load(&other->finished)) {
        if (!wait_round(me, start_ns, &round)) {
            (void)expect(me, false, "an actor never ended");
            (void)snprintf(me->run->record->why, sizeof(me->run->record->why),
                           "%s never left %s", other->name, other->call);
            _exit(1); /* it may still use what the script owns */
        }
    }
    if (other->handle != NULL)
        me->run->way->join(other);
    other->handle = NULL;
}

static const char *watch_for(struct actor *me, struct actor *other)
{
    int64_t start_ns = clock_ns();
    unsigned round = 0, agreed = 0, call = 0;

    do {
        if (atomic_load(&other->finished) || atomic_load(&other->at_gate))
            return "returned";
        if (!me->run->way->is_blocked(other) ||
            (agreed > 0 && atomic_load(&other->entered) != call)) {
            agreed = 0;
        } else {
            call = atomic_load(&other->entered);
            if (++agreed >= ROUNDS_BLOCKED)
                return "blocked";
        }
    } while (wait_round(me, start_ns, &round));
    (void)expect(me, false, "an actor neither blocked nor returned");
    return "lost";
}

bool watch_quietly(struct actor *me, struct actor *other)
{
    return watch_for(me, other)[0] == 'b';
}

/* The alarms of the thread that makes OTHER's calls: all tasks are of the first one's. */
static unsigned alarms_of(const struct actor *other)
{
    const struct run *run = other->run;

    return atomic_load(run->way == &way_plain ? &other->alarms : &run->actors[0].alarms);
}

/* OTHER is blocked, and signals rain on it: what do they do to its call? */
static const char *watch_storm(struct actor *me, struct actor *other)
{
    unsigned had = atomic_load(&other->interruptions), taken = alarms_of(other);
    unsigned each = me->run->storm == STORM_RESTART ? RESTART_SIGNALS : INTERRUPT_SIGNALS;
    unsigned sharing = me->run->way == &way_plain ? 1 : (unsigned)me->run->record->actors;
    unsigned enough = each * sharing, round = PATIENT;
    int64_t start_ns = clock_ns();

    do {
        if (atomic_load(&other->finished) || atomic_load(&other->at_gate))
            return "returned";
        if (atomic_load(&other->interruptions) != had)
            return watch_for(me, other)[0] == 'b' ? "interrupted" : "returned";
        if (alarms_of(other) - taken >= enough)
            return "blocked";
    } while (wait_round(me, start_ns, &round));
    (void)expect(me, false, "a storm without signals");
    return "lost";
}

bool watch(struct actor *me, struct actor *other)
{
    const char *seen = watch_for(me, other);

    if (seen[0] == 'b' && me->run->storm != STORM_NONE)
        seen = watch_storm(me, other);
    if (seen[0] == 'b' || seen[0] == 'i')
        note(me, "%s: %s in %s", other->name, seen, other->call);
    else
        note(me, "%s: %s", other->name, seen);
    return seen[0] == 'b' || seen[0] == 'i';
}

void interrupt(struct actor *me, struct actor *other, int signal_number)
{
    unsigned taken = signals_taken(signal_number), round = 0;
    int64_t start_ns = clock_ns();

    me->run->way->interrupt(other, signal_number);
    while (signals_taken(signal_number) == taken) {
        if (!wait_round(me, start_ns, &round)) {
            (void)expect(me, false, "the signal was never taken");
            return;
        }
    }
}

void gate_open(struct gate *gate)
{
    atomic_store(&gate->open, true);
}

void gate_wait(struct actor *me, struct gate *gate)
{
    int64_t start_ns = clock_ns();
    unsigned round = 0;

    atomic_store(&me->at_gate, true);
    while (!atomic_load(&gate->open)) {
        if (!wait_round(me, start_ns, &round)) {
            (void)expect(me, false, "a gate was never opened");
            break;
        }
    }
    atomic_store(&me->at_gate, false);
}

/* ---- processes beside ------------------------------------------------------------------ */

pid_t helper_fork(struct actor *me)
{
    pid_t pid = fork();

    (void)expect(me, pid >= 0, "fork");
    if (pid == 0)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

void helper_end(struct actor *me, pid_t pid)
{
    if (pid <= 0)
        return;
    (void)expect(me, kill(pid, SIGKILL) == 0, "kill a helper");
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

int helper_wait(struct actor *me, pid_t pid)
{
    int64_t start_ns = clock_ns();
    unsigned round = 0;
    int status = 0;
    pid_t ended;

    do {
        ended = waitpid(pid, &status, WNOHANG);
        if (ended == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
    } while (wait_round(me, start_ns, &round));
    (void)expect(me, false, "a helper never ended");
    helper_end(me, pid);
    return -1;
}

/* ---- bounded waits for the kernel -------------------------------------------------------- */

bool await_events(struct actor *me, int fd, short events)
{
    struct pollfd entry = { .fd = fd, .events = events };
    int64_t start_ns = clock_ns();
    unsigned round = 0;

    do {
        if (poll(&entry, 1, 0) > 0 && (entry.revents & events) == events)
            return true;
    } while (wait_round(me, start_ns, &round));
    return expect(me, false, "an event never came");
}

bool await_input(struct actor *me, int fd, int bytes)
{
    int64_t start_ns = clock_ns();
    unsigned round = 0;
    int ready = 0;

    do {
        if (ioctl(fd, FIONREAD, &ready) == 0 && ready >= bytes)
            return true;
    } while (wait_round(me, start_ns, &round));
    return expect(me, false, "the bytes never came");
}

bool await_tcp_state(struct actor *me, int fd, int state)
{
    int64_t start_ns = clock_ns();
    struct tcp_info info;
    unsigned round = 0;
    socklen_t size;

    do {
        size = sizeof(info);
        if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
            info.tcpi_state == state)
            return true;
    } while (wait_round(me, start_ns, &round));
    return expect(me, false, "TCP never reached the state");
}
