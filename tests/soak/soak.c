/* SPDX-License-Identifier: MIT */
/*
 * soak.c -- ordinary use for a long time, and nothing that grows: make soak.
 *
 *      soak SECONDS [DRIVER]
 *
 * The works (works.c) go on in rounds.  Between two rounds everything is closed, and that
 * is the moment to look: as many descriptors as before the first round, and no more memory
 * (anonymous, of /proc/self/status) at the end than when the warm-up was over, but for
 * what the allocator may hold back.  Each driver has a process of its own.
 */
#include "soak/soak.h"

#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/sanitized.h"

#define ROUND        (100 * TN_MS)
#define WARM_UP_PART 4 /* the first of so many parts of the time */
/* Measured: 60 to 80 in 30 s.  A leak of 8 bytes a connection shows in half a minute. */
#define GROWTH_KIB 256
/* Freed memory stays in a sanitizer's quarantine, so only descriptors can be judged. */
#define JUDGE_MEMORY (!SANITIZED)

struct soak soak;

struct watch {
    unsigned descriptors, samples;
    long warm_kib, most_kib; /* when the warm-up was over; the most since */
};

_Noreturn void soak_failed(const char *file, int line, const char *what, tn_err err)
{
    char text[128];

    fprintf(stderr, "  FAIL  %s:%d: %s%s%s\n", file, line, what,
            tn_failed(err) ? ": " : "",
            tn_failed(err) ? tn_err_text(err, text, sizeof(text)) : "");
    abort();
}

uint64_t pick(uint64_t limit)
{
    soak.random ^= soak.random << 13; /* xorshift64 */
    soak.random ^= soak.random >> 7;
    soak.random ^= soak.random << 17;
    return (soak.random >> 11) % limit;
}

/* ---- looking at ourselves ---- */

static unsigned descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned count = 0;

    must(folder != NULL);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count - 3; /* "." and ".." and the folder's own */
}

static long memory_kib(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    long kib = -1;

    must(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtol(line + 8, NULL, 10);
    }
    fclose(file);
    must(kib > 0);
    return kib;
}

/*
 * All clients are through.  What they left at the listeners by a reset or a cancel is still
 * taken out, so the count of before is waited for.
 */
static void watch_quiet(struct watch *watch, bool warm)
{
    tn_deadline limit = PATIENCE;
    long kib;

    must_ok(tn_group_wait(soak.handlers, PATIENCE));
    while (descriptors() != watch->descriptors) {
        must(tn_left(limit) > 0);
        must_ok(tn_sleep(tn_in(TN_MS)));
    }
    watch->samples++;
    kib = memory_kib();
    if (!warm && kib > watch->warm_kib)
        watch->warm_kib = kib;
    if (warm && kib > watch->most_kib)
        watch->most_kib = kib;
}

/* ---- the run ---- */

static void play_round(void)
{
    struct tn_group *group = NULL;

    soak.round_end = tn_now() + ROUND;
    must_ok(tn_group_open(&group, TN_GROUP_ALL_OR_NONE));
    for (unsigned i = 0; i < client_count; i++)
        must_ok(tn_go(group, clients[i], NULL, NULL, NULL));
    must_ok(tn_group_wait(group, PATIENCE));
    tn_group_close(&group);
}

static struct tn_listener *open_server(struct tn_group *servers, const char *where,
                                       tn_task_fn *serve, char *text)
{
    struct tn_listener *listener = NULL;
    tn_addr addr;

    must_ok(tn_listen(&listener, where, NULL));
    addr = tn_listener_addr(listener);
    tn_addr_text(&addr, text, TN_ADDR_TEXT);
    must_ok(tn_go(servers, serve, listener, NULL, NULL));
    return listener;
}

static void tell(const struct watch *watch, const char *driver, double seconds)
{
    const struct counts *counts = &soak.counts;

    printf("%s: %" PRIu64 " connections, %" PRIu64 " messages, %.0f MB, %" PRIu64
           " cancels in %.0f s; %u descriptors at each of %u quiet moments, memory "
           "%ld KiB after the warm-up, %ld KiB at most since\n",
           driver, counts->connections, counts->messages, (double)counts->bytes / 1e6,
           counts->cancels, seconds, watch->descriptors, watch->samples, watch->warm_kib,
           watch->most_kib);
    fflush(stdout);
}

static tn_err program(void *argument)
{
    int64_t length = *(const int64_t *)argument, start = tn_now();
    struct tn_listener *listeners[3];
    struct tn_group *servers = NULL;
    struct watch watch = { 0 };
    struct tn_loop_facts facts;
    char unix_name[64];

    snprintf(unix_name, sizeof(unix_name), "unix:@tenon-soak-%ld", (long)getpid());
    must_ok(tn_group_open(&servers, TN_GROUP_ALL_OR_NONE));
    must_ok(tn_group_open(&soak.handlers, TN_GROUP_EACH_ALONE));
    listeners[0] = open_server(servers, "127.0.0.1:0", serve_echo, soak.tcp);
    listeners[1] = open_server(servers, unix_name, serve_echo, soak.unix_path);
    listeners[2] = open_server(servers, "127.0.0.1:0", serve_relay, soak.relay);
    watch.descriptors = descriptors(); /* the listeners', and the loop's own */
    while (tn_now() - start < length) {
        play_round();
        watch_quiet(&watch, tn_now() - start > length / WARM_UP_PART);
    }
    tn_group_close(&servers);
    tn_group_close(&soak.handlers);
    for (int i = 0; i < 3; i++)
        tn_listener_close(&listeners[i]);
    tn_loop_facts(NULL, &facts);
    tell(&watch, facts.driver, (double)(tn_now() - start) / 1e9);
    must(soak.counts.messages > 0 && soak.counts.cancels > 0 && watch.samples > 4);
    must(!JUDGE_MEMORY || watch.most_kib - watch.warm_kib <= GROWTH_KIB);
    return tn_ok();
}

/* In a process of its own: 0 passed, 1 failed, 2 skipped. */
static int run_driver(const char *driver, int64_t length)
{
    struct tn_loop_options options = { .driver = driver };
    int status = -1;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        tn_err err;

        soak.random = UINT64_C(0x9e3779b97f4a7c15);
        err = tn_run(program, &length, &options);
        exit(err.kind == TN_UNSUPPORTED ? 2 : tn_failed(err));
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
        printf("  skip  %s: this place lacks the driver\n", driver);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
    static const char *const drivers[] = { "epoll", "uring" };
    int64_t seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 30;
    int counts[3] = { 0 };

    unsetenv("TENON_DRIVER");
    for (int i = 0; i < 2; i++) {
        if (argc <= 2 || strcmp(argv[2], drivers[i]) == 0) {
            int outcome = run_driver(drivers[i], seconds * TN_SECOND);

            counts[outcome >= 0 && outcome <= 2 ? outcome : 1]++;
        }
    }
    printf("%d passed, %d failed, %d skipped\n", counts[0], counts[1], counts[2]);
    return counts[1] > 0;
}
