/* SPDX-License-Identifier: MIT */
/*
 * bulk_tenon.c -- a one-way stream, as bench/peers/bulk.c: a sink that reads leases and a
 * source that writes.
 *
 *      bulk_tenon -r sink -p PORT -c CORE
 *      bulk_tenon -r src -p PORT -c CORE -b BYTES -d SECONDS
 *
 * The source prints one line of JSON: GB/s (1e9 bytes) after a warm-up.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tenon.h>

#define WARM_UP (300 * TN_MS)

struct bulk {
    char where[64];
    const char *role;
    size_t size;
    int64_t length;
};

static tn_err drain(void *arg)
{
    struct tn_conn *conn = arg;
    const void *data;
    size_t size;
    tn_err err;

    while (!tn_failed(err = tn_read_lease(conn, &data, &size, TN_NEVER)))
        tn_return(conn);
    tn_abort(&conn);
    return err;
}

static tn_err sink(const struct bulk *bulk)
{
    struct tn_listener *listener = NULL;
    tn_err err = tn_listen(&listener, bulk->where, NULL);

    while (!tn_failed(err)) {
        struct tn_conn *conn = NULL;
        err = tn_accept(listener, &conn, TN_NEVER);
        if (!tn_failed(err))
            err = tn_go(NULL, drain, conn, NULL, NULL);
    }
    tn_listener_close(&listener);
    return err;
}

/* Write until LENGTH has passed; *TOTAL bytes. */
static tn_err pour(struct tn_conn *conn, const char *buf, size_t size, int64_t length,
                   uint64_t *total)
{
    int64_t end = tn_now() + length;
    tn_err err = tn_ok();

    for (*total = 0; tn_now() < end && !tn_failed(err); *total += size)
        err = tn_write(conn, buf, size, NULL, TN_NEVER);
    return err;
}

static tn_err source(const struct bulk *bulk)
{
    struct tn_conn *conn = NULL;
    char *buf = calloc(1, bulk->size);
    uint64_t total = 0;
    int64_t start = 0;
    tn_err err = buf == NULL ? tn_err_user(TN_LIMIT, 0)
                             : tn_dial(&conn, bulk->where, NULL, tn_in(5 * TN_SECOND));

    if (!tn_failed(err))
        err = pour(conn, buf, bulk->size, WARM_UP, &total);
    start = tn_now();
    if (!tn_failed(err))
        err = pour(conn, buf, bulk->size, bulk->length, &total);
    if (!tn_failed(err))
        printf("{\"mode\":\"tenon\",\"buf\":%zu,\"GBps\":%.3f}\n", bulk->size,
               (double)total / (double)(tn_now() - start));
    tn_abort(&conn);
    free(buf);
    return err;
}

static tn_err program(void *arg)
{
    const struct bulk *bulk = arg;

    return strcmp(bulk->role, "sink") == 0 ? sink(bulk) : source(bulk);
}

static void pin(unsigned long core)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        perror("sched_setaffinity");
}

int main(int argc, char **argv)
{
    struct bulk bulk = { .role = "sink", .size = 65536 };
    char text[128];
    int option;

    while ((option = getopt(argc, argv, "r:p:c:b:d:P:")) != -1) {
        if (option == 'r')
            bulk.role = optarg;
        else if (option == 'p')
            snprintf(bulk.where, sizeof(bulk.where), "127.0.0.1:%s", optarg);
        else if (option == 'c')
            pin(strtoul(optarg, NULL, 10));
        else if (option == 'b')
            bulk.size = strtoul(optarg, NULL, 10);
        else if (option == 'd')
            bulk.length = (int64_t)(strtod(optarg, NULL) * (double)TN_SECOND);
        else if (option == '?')
            return 2;
    }
    tn_err err = tn_run(program, &bulk, NULL);
    if (tn_failed(err))
        fprintf(stderr, "bulk_tenon: %s\n", tn_err_text(err, text, sizeof(text)));
    return tn_failed(err);
}
