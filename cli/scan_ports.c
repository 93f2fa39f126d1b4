/* SPDX-License-Identifier: MIT */
/*
 * scan_ports.c -- lists of ports: marks in a table, so that order and repeats in the text
 * do not matter.
 */
#include "scan_ports.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

/* FIRST-LAST or one port, SIZE bytes at TEXT. */
static bool read_range(const char *text, size_t size, bool *marks)
{
    char range[16], *dash;
    int64_t first, last;

    if (size >= sizeof(range))
        return false;
    memcpy(range, text, size);
    range[size] = 0;
    dash = strchr(range, '-');
    if (dash)
        *dash = 0;
    if (!value_number(range, 1, 65535, &first) ||
        !value_number(dash ? dash + 1 : range, first, 65535, &last))
        return false;
    for (int64_t port = first; port <= last; port++)
        marks[port] = true;
    return true;
}

/* The name of a service, which may have a dash, SIZE bytes at TEXT. */
static bool read_service(const char *text, size_t size, bool *marks)
{
    const struct servent *service;
    char name[32];

    if (size >= sizeof(name))
        return false;
    memcpy(name, text, size);
    name[size] = 0;
    service = getservbyname(name, "tcp");
    if (service)
        marks[ntohs((uint16_t)service->s_port)] = true;
    return service != NULL;
}

bool ports_read(const char *text, bool names, bool marks[PORTS])
{
    for (;;) {
        size_t size = strcspn(text, ",");
        if (!read_range(text, size, marks) && !(names && read_service(text, size, marks)))
            return false;
        if (!text[size])
            return true;
        text += size + 1;
    }
}

int ports_list(const bool marks[PORTS], uint16_t **list)
{
    int count = 0;

    *list = calloc(PORTS, sizeof(**list));
    if (!*list)
        return -1;
    for (int port = 1; port < PORTS; port++) {
        if (marks[port])
            (*list)[count++] = (uint16_t)port;
    }
    return count;
}
