/* SPDX-License-Identifier: MIT */
/*
 * targets.c -- the list of targets, and choosing one of them.
 *
 * The hash is a rendezvous: each target's weight for a source is a hash of both, and the
 * heaviest is chosen.  So a target that comes or goes moves no client but its own.
 *
 * Always true: a target in the list is not removed, and listed once.
 */
#include "relay/targets.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

#define TARGETS_MAX 4096
/* What is checked more often is kept busy by it, and so are we. */
#define CHECK_INTERVAL_LEAST (100 * TN_MS)

/* gcc's analyzer (12) takes for lost what is put into a list whose making it did not see. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

struct target *target_take(struct target *target)
{
    assert(target->references > 0); /* the list's or somebody's */
    target->references++;
    return target;
}

void target_drop(struct target *target)
{
    if (--target->references == 0)
        free(target);
}

tn_err target_dial(const struct target *target, struct tn_conn **conn,
                   const struct tn_conn_options *options, tn_deadline deadline)
{
    if (target->addr.size == 0)
        return tn_dial(conn, target->where.text, options, deadline);
    return tn_dial_addr(conn, &target->addr, options, deadline);
}

/* ---- the list ---- */

static struct target *find(const struct targets *targets, const char *text)
{
    for (unsigned i = 0; i < targets->count; i++) {
        if (strcmp(targets->list[i]->where.text, text) == 0)
            return targets->list[i];
    }
    return NULL;
}

static int complain_memory(void)
{
    return report_error(EXIT_OTHER, "targets", "", "out of memory");
}

/* Room for all there may be: 32 KiB.  0 or an exit code after a complaint. */
static int make_room(struct targets *targets)
{
    targets->list = calloc(TARGETS_MAX, sizeof(struct target *));
    return targets->list ? 0 : complain_memory();
}

static struct target *target_new(const struct where *where, bool from_file)
{
    struct target *target = calloc(1, sizeof(*target));

    if (!target)
        return NULL;
    target->where = *where;
    target->references = 1;
    target->up = true;
    target->from_file = from_file;
    if (!where->no_host)                                      /* which is two addresses */
        tn_ignore(tn_addr_parse(where->text, &target->addr)); /* or it is a name */
    return target;
}

/* The target that WORD names into LIST, unless it is there; as it was in OLD, if it was. */
static int add(struct targets *list, const struct targets *old, struct settings *settings,
               const char *word, bool from_file)
{
    struct target *target, *known;
    struct where where;
    char text[sizeof(where.text) + 16];
    int code;

    if (strchr(word, '?'))
        return report_error(EXIT_USAGE, "target", word,
                            "options are the relay's, not a target's");
    code = where_read(&where, settings, &word, 1);
    if (!code)
        code = where_to_dial(&where);
    if (code)
        return code;
    if (where.is_bare) { /* a mere port is this host's */
        (void)snprintf(text, sizeof(text), "127.0.0.1%.300s", where.text);
        where_set(&where, text);
    }
    if (find(list, where.text))
        return 0;
    if (list->count == TARGETS_MAX)
        return report_error(EXIT_USAGE, "targets", where.name, "more than %d of them",
                            TARGETS_MAX);
    known = old ? find(old, where.text) : NULL;
    target = known ? target_take(known) : target_new(&where, from_file);
    if (target)
        list->list[list->count++] = target;
    return target ? 0 : complain_memory();
}

/* Cut LINE down to its one word: no comment, no space around it. */
static char *trim(char *line)
{
    char *end;

    line[strcspn(line, "#\r\n")] = 0;
    line += strspn(line, " \t");
    end = line + strlen(line);
    while (end > line && strchr(" \t", end[-1]))
        *--end = 0;
    return line;
}

/*
 * Open the file NAME into *FILE: 0 or an exit code after a complaint.  At the start that may
 * be a pipe: signals still end us then, however long it takes.  When RELOADING nothing may
 * take long, as the loop stands still.
 */
static int open_file(const char *name, bool reloading, FILE **file)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | (reloading ? O_NONBLOCK : 0));
    struct stat status;

    if (fd >= 0 && reloading && fstat(fd, &status) == 0 && !S_ISREG(status.st_mode)) {
        (void)close(fd);
        return report_error(EXIT_OTHER, "reload", name,
                            "no regular file; going on with the targets there were");
    }
    *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (*file)
        return 0;
    (void)report_error(EXIT_OUTPUT, "open", name, "%s", strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return EXIT_OUTPUT;
}

static int add_file(struct targets *list, const struct targets *old,
                    struct settings *settings)
{
    FILE *file = NULL;
    char line[1000];
    int code = open_file(settings->targets_file, old != NULL, &file);

    if (code)
        return code;
    while (!code && fgets(line, sizeof(line), file)) {
        const char *word = trim(line);
        if (*word)
            code = add(list, old, settings, word, true);
    }
    if (!code && ferror(file))
        code = report_error(EXIT_OUTPUT, "read", settings->targets_file, "%s",
                            strerror(errno));
    (void)fclose(file);
    return code;
}

void targets_release(struct targets *targets)
{
    for (unsigned i = 0; i < targets->count; i++) {
        targets->list[i]->removed = true;
        target_drop(targets->list[i]);
    }
    free(targets->list);
    targets->list = NULL;
    targets->count = 0;
}

static int read_choices(struct targets *targets, const struct settings *settings)
{
    const char *balance = settings->balance ? settings->balance : "roundrobin";

    if (strcmp(balance, "roundrobin") == 0)
        targets->balance = BALANCE_ROUNDROBIN;
    else if (strcmp(balance, "leastconn") == 0)
        targets->balance = BALANCE_LEASTCONN;
    else if (strcmp(balance, "hash") == 0)
        targets->balance = BALANCE_HASH;
    else
        return report_error(EXIT_USAGE, "option", "--balance",
                            "'%s' is not roundrobin, leastconn or hash", balance);
    return 0;
}

static int read_checks(const struct settings *settings)
{
    static const char *const names[] = { "check-interval", "rise", "fall" };

    if (settings->check && strcmp(settings->check, "tcp") != 0)
        return report_error(EXIT_USAGE, "option", "--check", "'%s' is not tcp",
                            settings->check);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !settings->check; i++) {
        char written[32];

        if (!options_given(settings, names[i]))
            continue;
        (void)snprintf(written, sizeof(written), "--%s", names[i]);
        return report_error(EXIT_USAGE, "option", written,
                            "nothing is checked without --check tcp");
    }
    if (settings->check_interval < CHECK_INTERVAL_LEAST)
        return report_error(EXIT_USAGE, "option", "--check-interval",
                            "100 ms is the shortest");
    return 0;
}

int targets_prepare(struct targets *targets, struct settings *settings,
                    const char *const *words, int count)
{
    int code = read_choices(targets, settings);

    if (!code)
        code = read_checks(settings);
    if (!code)
        code = make_room(targets);

    targets->settings = settings;
    for (int i = 0; i < count && !code; i++)
        code = add(targets, NULL, settings, words[i], false);
    if (!code && settings->targets_file)
        code = add_file(targets, NULL, settings);
    if (code || targets->count)
        return code;
    code = report_error(EXIT_USAGE, "relay", "", "to where?");
    report_hint("tenon relay :8080 10.0.0.1:80");
    return code;
}

int targets_reload(struct targets *targets, struct settings *settings)
{
    struct targets fresh = { 0 };
    int code = make_room(&fresh);

    for (unsigned i = 0; i < targets->count && !code; i++) {
        if (!targets->list[i]->from_file)
            fresh.list[fresh.count++] = target_take(targets->list[i]);
    }
    if (!code)
        code = add_file(&fresh, targets, settings);
    if (!code && !fresh.count)
        code = report_error(EXIT_OTHER, "reload", settings->targets_file,
                            "no target in it; going on with those there were");
    if (code) {
        for (unsigned i = 0; i < fresh.count; i++)
            target_drop(fresh.list[i]);
        free(fresh.list);
        return code;
    }
    for (unsigned i = 0; i < targets->count; i++) {
        targets->list[i]->removed = !find(&fresh, targets->list[i]->where.text);
        target_drop(targets->list[i]);
    }
    free(targets->list);
    targets->list = fresh.list;
    targets->count = fresh.count;
    return 0;
}

/* ---- choosing ---- */

static uint64_t fnv(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *byte = data;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Of the source's address alone: a client's port is another one each time. */
static uint64_t hash_source(const tn_addr *addr)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    struct sockaddr_in6 in6;
    struct sockaddr_in in;

    if (addr->as.family == AF_INET) {
        memcpy(&in, addr->as.bytes, sizeof(in));
        return fnv(hash, &in.sin_addr, sizeof(in.sin_addr));
    }
    if (addr->as.family != AF_INET6)
        return hash;
    memcpy(&in6, addr->as.bytes, sizeof(in6));
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
        return fnv(hash, in6.sin6_addr.s6_addr + 12, 4);
    return fnv(hash, &in6.sin6_addr, sizeof(in6.sin6_addr));
}

/* FNV's last bytes stir the high bits too little for a comparison: stir once more. */
static uint64_t weight_of(const struct target *target, uint64_t source)
{
    uint64_t hash = fnv(source, target->where.text, strlen(target->where.text));

    hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
    return hash ^ hash >> 31;
}

static bool is_tried(const struct target *target, struct target *const *tried, int count)
{
    for (int i = 0; i < count; i++) {
        if (tried[i] == target)
            return true;
    }
    return false;
}

/* Whether ONE is to be preferred to BEST, which comes before it in turn. */
static bool is_better(const struct targets *targets, const struct target *one,
                      const struct target *best, uint64_t source)
{
    switch (targets->balance) {
    case BALANCE_LEASTCONN:
        return one->connections < best->connections;
    case BALANCE_HASH:
        return weight_of(one, source) > weight_of(best, source);
    default:
        return false;
    }
}

struct target *targets_choose(struct targets *targets, const tn_addr *addr,
                              struct target *const *tried, int count)
{
    uint64_t source = targets->balance == BALANCE_HASH ? hash_source(addr) : 0;
    struct target *best = NULL;
    unsigned place = 0;

    for (unsigned i = 0; i < targets->count; i++) {
        unsigned at = (targets->turn + i) % targets->count;
        struct target *one = targets->list[at];

        if (is_tried(one, tried, count) || (best && best->up && !one->up))
            continue;
        if (!best || (one->up && !best->up) || is_better(targets, one, best, source)) {
            best = one;
            place = at;
        }
    }
    if (best && targets->balance != BALANCE_HASH)
        targets->turn = place + 1;
    return best;
}
