/* SPDX-License-Identifier: MIT */
/*
 * doctor.c -- tenon doctor: what this system offers, and what is in the way.
 *
 * A list of findings, each a name, a value and, where something could be better, a
 * remedy.  Findings are facts read here and now: a driver works if a loop has run on it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <netinet/in.h>

#include <tenon.h>

#include "report.h"
#include "verbs.h"

/* Of Linux 6.13; older headers do not know them. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

struct finding {
    const char *part, *name; /* in JSON: part.name */
    char value[160];
    char remedy[160]; /* "" when all is well */
};

struct examination {
    struct finding findings[32];
    size_t count;
    bool works; /* some driver does */
};

static struct finding *find(struct examination *exam, const char *part, const char *name)
{
    struct finding *finding = &exam->findings[exam->count];

    if (exam->count + 1 < sizeof(exam->findings) / sizeof(exam->findings[0]))
        exam->count++;
    memset(finding, 0, sizeof(*finding));
    finding->part = part;
    finding->name = name;
    return finding;
}

static void set(char *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Write FORMAT to one of a finding's texts. */
static void set(char *text, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    (void)vsnprintf(text, sizeof(((struct finding *)0)->value), format, list);
    va_end(list);
}

/* ---- drivers ---- */

struct trial {
    char driver[16];
    char why[160];
};

static tn_err trial_task(void *arg)
{
    struct trial *trial = arg;
    struct tn_loop_facts facts;

    tn_loop_facts(NULL, &facts);
    (void)snprintf(trial->driver, sizeof(trial->driver), "%s", facts.driver);
    (void)snprintf(trial->why, sizeof(trial->why), "%s", facts.why);
    return tn_ok();
}

/* Run a loop on driver NAME, or on what it would choose by itself. */
static bool try_driver(const char *name, struct trial *trial)
{
    struct tn_loop_options options = { .driver = name };
    tn_err err = tn_run(trial_task, trial, &options);

    if (tn_failed(err))
        (void)tn_err_text(err, trial->why, sizeof(trial->why));
    return !tn_failed(err);
}

/* A number, or a few, from a file below /proc/sys; "" if there is none. */
static const char *read_sysctl(const char *name, char *text, size_t size)
{
    char path[128];
    ssize_t got = -1;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/sys/%s", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        got = read(fd, text, size - 1);
        (void)close(fd);
    }
    text[got > 0 ? got : 0] = 0;
    text[strcspn(text, "\n")] = 0;
    for (char *at = text; *at; at++) {
        if (*at == '\t')
            *at = ' ';
    }
    return text;
}

static void examine_drivers(struct examination *exam)
{
    struct trial chosen = { 0 }, ring = { 0 }, epoll = { 0 };
    bool works = try_driver(NULL, &chosen);
    struct finding *finding = find(exam, "driver", "chosen");
    char disabled[32];

    exam->works = works;
    if (works)
        set(finding->value, "%s: %s", chosen.driver, chosen.why);
    else
        set(finding->value, "none: %s", chosen.why);
    if (!works && getenv("TENON_DRIVER"))
        set(finding->remedy, "unset TENON_DRIVER");

    finding = find(exam, "driver", "io_uring");
    (void)read_sysctl("kernel/io_uring_disabled", disabled, sizeof(disabled));
    if (try_driver("uring", &ring))
        set(finding->value, "works");
    else
        set(finding->value, "does not work: %s", ring.why);
    if (*ring.driver == 0 && *disabled && strcmp(disabled, "0") != 0)
        set(finding->remedy, "sysctl kernel.io_uring_disabled=0 (it is %s)", disabled);
    else if (*ring.driver == 0)
        set(finding->remedy, "epoll serves; the ring needs Linux 6.1, no seccomp filter "
                             "against it and lockable memory");

    finding = find(exam, "driver", "epoll");
    if (try_driver("epoll", &epoll))
        set(finding->value, "works");
    else
        set(finding->value, "does not work: %s", epoll.why);
    finding = find(exam, "driver", "kernel.io_uring_disabled");
    set(finding->value, "%s", *disabled ? disabled : "not known to this kernel");
}

/* ---- limits ---- */

static void limit_text(rlim_t value, uint64_t unit, char *text, size_t size)
{
    if (value == RLIM_INFINITY)
        (void)snprintf(text, size, "unlimited");
    else
        (void)snprintf(text, size, "%" PRIu64, (uint64_t)value / unit);
}

static void examine_limit(struct examination *exam, int resource, const char *name,
                          uint64_t unit, const char *unit_name, rlim_t enough,
                          const char *remedy)
{
    struct finding *finding = find(exam, "limits", name);
    struct rlimit limit;
    char soft[24], hard[24];

    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0) {
        set(finding->value, "%s", strerror(errno));
        return;
    }
    limit_text(limit.rlim_cur, unit, soft, sizeof(soft));
    limit_text(limit.rlim_max, unit, hard, sizeof(hard));
    set(finding->value, "%s%s (at most %s)", soft, unit_name, hard);
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < enough)
        set(finding->remedy, "%s", remedy);
}

static void examine_sysctl(struct examination *exam, const char *part, const char *name,
                           long least, const char *remedy)
{
    struct finding *finding = find(exam, part, strrchr(name, '/') + 1);
    char text[128];

    (void)read_sysctl(name, text, sizeof(text));
    set(finding->value, "%s", *text ? text : "not known");
    if (*text && least && strtol(text, NULL, 10) < least)
        set(finding->remedy, "%s", remedy);
}

static void examine_ports(struct examination *exam)
{
    struct finding *finding = find(exam, "limits", "local ports");
    char text[64], *end;
    long first, last;

    first =
        strtol(read_sysctl("net/ipv4/ip_local_port_range", text, sizeof(text)), &end, 10);
    last = strtol(end, NULL, 10);
    if (first <= 0 || last < first) {
        set(finding->value, "not known");
        return;
    }
    set(finding->value, "%ld to %ld: %ld connections to one address", first, last,
        last - first + 1);
    if (last - first < 20000)
        set(finding->remedy, "sysctl net.ipv4.ip_local_port_range='10000 65000'");
}

static void examine_limits(struct examination *exam)
{
    examine_limit(exam, RLIMIT_NOFILE, "open files", 1, "", 4096,
                  "raise LimitNOFILE, or ulimit -Hn");
    examine_limit(exam, RLIMIT_MEMLOCK, "locked memory", 1024, " KiB",
                  (rlim_t)8 * 1024 * 1024,
                  "a larger ring needs more: ulimit -l, LimitMEMLOCK");
    examine_sysctl(exam, "limits", "net/core/somaxconn", 1024,
                   "a burst of clients needs more: sysctl net.core.somaxconn=4096");
    examine_ports(exam);
    examine_sysctl(exam, "limits", "vm/max_map_count", 65530,
                   "many tasks need more: sysctl vm.max_map_count=262144");
    examine_sysctl(exam, "limits", "net/ipv4/tcp_rmem", 0, "");
    examine_sysctl(exam, "limits", "net/ipv4/tcp_wmem", 0, "");
}

/* ---- the kernel ---- */

/* Guard pages below stacks that cost no mapping each. */
static bool has_guards(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool has;

    if (page == MAP_FAILED)
        return false;
    has = madvise(page, size, MADV_GUARD_INSTALL) == 0;
    (void)munmap(page, size);
    return has;
}

/* Acknowledgements that wake (SOF_TIMESTAMPING_TX_ACK). */
static bool has_stamps(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int flags = 1 << 9; /* TX_ACK, from <linux/net_tstamp.h> */
    bool has;

    has = fd >= 0 &&
          setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags)) == 0;
    if (fd >= 0)
        (void)close(fd);
    return has;
}

static bool has_pidfd(void)
{
    int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

static bool has_ipv6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

static void examine_feature(struct examination *exam, const char *name, bool has,
                            const char *without)
{
    struct finding *finding = find(exam, "kernel", name);

    set(finding->value, "%s", has ? "yes" : "no");
    if (!has)
        set(finding->remedy, "%s", without);
}

static void examine_kernel(struct examination *exam)
{
    struct finding *finding = find(exam, "kernel", "release");
    struct utsname name;

    if (uname(&name) == 0)
        set(finding->value, "%.60s %.60s on %.30s", name.sysname, name.release,
            name.machine);
    examine_feature(exam, "light guard pages", has_guards(),
                    "Linux 6.13 has them; till then each task's guard is a mapping");
    examine_feature(exam, "acknowledgement stamps", has_stamps(),
                    "tn_confirm looks by a timer instead");
    examine_feature(exam, "pidfd", has_pidfd(), "--exec needs it (Linux 5.3)");
    examine_feature(exam, "IPv6", has_ipv6(), "only IPv4 is served");
}

/* ---- telling ---- */

static void print_text(const struct examination *exam)
{
    const char *part = "";

    (void)printf("tenon %s\n", TENON_VERSION);
    for (size_t i = 0; i < exam->count; i++) {
        const struct finding *finding = &exam->findings[i];

        if (strcmp(part, finding->part) != 0)
            (void)printf("\n%s\n", finding->part);
        part = finding->part;
        (void)printf("  %-26s %s\n", finding->name, finding->value);
        if (*finding->remedy)
            (void)printf("  %-26s -> %s\n", "", finding->remedy);
    }
}

static void print_json(const struct examination *exam)
{
    struct json json;
    char name[64], remedies[400] = "";
    size_t used = 0;

    json_event(&json, "doctor");
    json_bool(&json, "ok", exam->works);
    json_text(&json, "version", TENON_VERSION);
    for (size_t i = 0; i < exam->count; i++) {
        const struct finding *finding = &exam->findings[i];

        (void)snprintf(name, sizeof(name), "%s.%s", finding->part, finding->name);
        for (char *at = name; *at; at++) {
            if (*at == ' ')
                *at = '_';
        }
        json_text(&json, name, finding->value);
        if (*finding->remedy && used + strlen(name) + 2 < sizeof(remedies))
            used += (size_t)snprintf(remedies + used, sizeof(remedies) - used, "%s%s",
                                     used ? " " : "", name);
    }
    json_text(&json, "remedies", remedies);
    json_print(&json);
}

int doctor_main(struct settings *settings)
{
    static struct examination exam;

    if (settings->operand_count)
        return report_error(EXIT_USAGE, "doctor", settings->operands[0],
                            "takes no operands");
    examine_drivers(&exam);
    examine_limits(&exam);
    examine_kernel(&exam);
    if (settings->json)
        print_json(&exam);
    else
        print_text(&exam);
    return exam.works ? EXIT_DELIVERED : EXIT_OTHER;
}
