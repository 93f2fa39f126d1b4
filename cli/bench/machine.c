/* SPDX-License-Identifier: MIT */
/*
 * machine.c -- facts for a report, as the system tells them.
 */
#include "machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The first line of FILE, blanks between its words made one each. */
static void first_line(const char *file, char *buf, size_t size)
{
    FILE *open_file = fopen(file, "re");
    size_t used = 0;
    int byte;

    while (open_file && (byte = getc(open_file)) != EOF && byte != '\n' &&
           used + 1 < size) {
        if (byte == '\t')
            byte = ' ';
        if (byte != ' ' || (used > 0 && buf[used - 1] != ' '))
            buf[used++] = (char)byte;
    }
    buf[used] = 0;
    if (open_file)
        (void)fclose(open_file);
    if (used == 0)
        (void)snprintf(buf, size, "unknown");
}

static void processor(char *buf, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[256], *colon = NULL;

    while (file && fgets(line, sizeof(line), file)) {
        colon = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (colon)
            break;
    }
    if (file)
        (void)fclose(file);
    if (colon)
        colon[strcspn(colon, "\n")] = 0;
    (void)snprintf(buf, size, "%s, %ld online", colon ? colon + 2 : "unknown",
                   sysconf(_SC_NPROCESSORS_ONLN));
}

const char *machine_fact(unsigned number, char *buf, size_t size)
{
    static const struct {
        const char *name, *file;
    } settings[] = {
        { "congestion control", "/proc/sys/net/ipv4/tcp_congestion_control" },
        { "tcp_rmem", "/proc/sys/net/ipv4/tcp_rmem" },
        { "tcp_wmem", "/proc/sys/net/ipv4/tcp_wmem" },
        { "somaxconn", "/proc/sys/net/core/somaxconn" },
        { "ip_local_port_range", "/proc/sys/net/ipv4/ip_local_port_range" },
        { "tcp_tw_reuse", "/proc/sys/net/ipv4/tcp_tw_reuse" },
    };
    struct utsname names;

    if (number == 0) {
        (void)uname(&names);
        (void)snprintf(buf, size, "%s %s %s", names.sysname, names.release,
                       names.machine);
        return "kernel";
    }
    if (number == 1) {
        processor(buf, size);
        return "processor";
    }
    if (number - 2 >= sizeof(settings) / sizeof(settings[0]))
        return NULL;
    first_line(settings[number - 2].file, buf, size);
    return settings[number - 2].name;
}

const char *machine_command(char *buf, size_t size)
{
    FILE *file = fopen("/proc/self/cmdline", "re");
    size_t used = file ? fread(buf, 1, size - 1, file) : 0;

    if (file)
        (void)fclose(file);
    if (used > 0 && buf[used - 1] == 0)
        used--;
    for (size_t i = 0; i < used; i++) {
        if (buf[i] == 0)
            buf[i] = ' ';
    }
    buf[used] = 0;
    return buf;
}
