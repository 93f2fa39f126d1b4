/* SPDX-License-Identifier: MIT */
/*
 * scan_ports.h -- lists of ports as people write them.
 */
#ifndef TENON_CLI_SCAN_PORTS_H
#define TENON_CLI_SCAN_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#define PORTS 65536

/*
 * ports_read -- mark the ports of TEXT ("22", "20-25", "22,80,8000-8010", and with NAMES
 * "ssh,http") in MARKS.  False if it is none.
 */
bool ports_read(const char *text, bool names, bool marks[PORTS]);

/* ports_list -- the marked ones, ascending, in *LIST to be freed; how many, or -1. */
int ports_list(const bool marks[PORTS], uint16_t **list);

#endif
