/* SPDX-License-Identifier: MIT */
/*
 * peer.h -- the protocol between `tenon bench` and `tenon serve bench`: docs/bench.md.
 *
 * A client sends one line, "tenon-bench/1 echo\n" or another word, and waits for
 * "tenon-bench/1 ok\n"; from then on the connection is a stream of plain bytes:
 *
 *      echo     what comes is sent back
 *      sink     what comes is read; after the client's end: "tenon-bench/1 got N\n"
 *      source   bytes are sent until the client ends its side
 *      both     sink and source at once; the client counts what it gets
 */
#ifndef TENON_CLI_BENCH_PEER_H
#define TENON_CLI_BENCH_PEER_H

#include "services.h"

/* What every line of the protocol begins with. */
#define BENCH_LINE "tenon-bench/1 "

/* The longest line, its newline included. */
#define BENCH_LINE_MOST 64

/* peer_serve -- be the peer of one client of `tenon bench`. */
void peer_serve(struct service_run *run);

#endif
