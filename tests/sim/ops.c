/* SPDX-License-Identifier: MIT */
/*
 * ops.c -- the library's calls, each watched by the oracle.
 */
#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void begin(void)
{
    world->begun++;
}

static void end(const struct side *side, const char *what, size_t amount, tn_err err)
{
    char text[160];

    world->ended++;
    if (world->verbose)
        say("%u.%d %s %zu: %s", side->ledger->id, side->at, what, amount,
            tn_failed(err) ? tn_err_text(err, text, sizeof(text)) : "ok");
}

static char *memory(size_t size)
{
    char *bytes = malloc(size + 1);

    must(bytes != NULL);
    return bytes;
}

tn_err op_sleep(int64_t length)
{
    return tn_sleep(tn_in(length));
}

/* ---- dial ---- */

static void check_dial(tn_err err, tn_deadline deadline)
{
    const uint32_t *of = world->weather.chances.of;

    world->kinds[err.kind]++;
    switch (err.kind) {
    case TN_OK:
        break;
    case TN_DEADLINE:
        must(tn_left(deadline) == 0);
        break;
    case TN_CANCELED:
        must(tn_canceled());
        break;
    case TN_REFUSED: /* by chance, by a listener that closes, or reset on the way */
    case TN_TIMEDOUT:
        must(!world->calm);
        break;
    case TN_UNREACHABLE:
        must(of[SIM_UNREACHABLE] > 0);
        break;
    case TN_LIMIT:
        must(world->weather.descriptors < 256);
        break;
    default: /* ENOPROTOOPT of an option, ECONNRESET right after the handshake */
        must(of[SIM_OPTION] > 0 || err.kind == TN_RESET);
        break;
    }
}

tn_err op_dial(struct side **side, const tn_addr *addr,
               const struct tn_conn_options *options, tn_deadline deadline)
{
    struct tn_conn *conn = NULL;
    char where[128], text[160];
    tn_err err;

    begin();
    if (chance(50))
        err = tn_dial_addr(&conn, addr, options, deadline);
    else
        err = tn_dial(&conn, tn_addr_text(addr, where, sizeof(where)), options, deadline);
    world->ended++;
    check_dial(err, deadline);
    if (tn_failed(err)) {
        must(conn == NULL);
        say("dial: %s", tn_err_text(err, text, sizeof(text)));
        return err;
    }
    *side = side_open(conn, options);
    say("dialled %u", (*side)->ledger->id);
    return err;
}

/* ---- writing ---- */

static void written(struct side *side, size_t size, size_t done, tn_err err,
                    tn_deadline deadline)
{
    must_of(side, err, done <= size && (tn_failed(err) || done == size));
    side->written += done;
    side->attempted = side->written;
    end(side, "write", done, err);
    check_written(side, err);
    check_error(side, err, deadline);
}

tn_err op_write(struct side *side, size_t size, tn_deadline deadline)
{
    char *bytes = memory(size);
    size_t done = SIZE_MAX;
    tn_err err;

    fill(side, side->written, bytes, size);
    side->attempted = side->written + size;
    begin();
    err = tn_write(side->conn, bytes, size, &done, deadline);
    written(side, size, done, err, deadline);
    free(bytes);
    return err;
}

tn_err op_writev(struct side *side, size_t size, tn_deadline deadline)
{
    struct iovec pieces[100];
    char *bytes = memory(size);
    size_t done = SIZE_MAX, count = 0, at = 0;
    tn_err err;

    fill(side, side->written, bytes, size);
    while (count < 99 && at < size) {
        size_t part = pick(size - at + 1);

        if (chance(60))
            part = pick(part + 1);
        pieces[count++] = (struct iovec){ bytes + at, part };
        at += part;
    }
    pieces[count++] = (struct iovec){ bytes + at, size - at };
    side->attempted = side->written + size;
    begin();
    err = tn_writev(side->conn, pieces, count, &done, deadline);
    written(side, size, done, err, deadline);
    free(bytes);
    return err;
}

/* ---- reading ---- */

/* GOT bytes were taken, or ERR came. */
static void taken(struct side *side, const char *what, const char *bytes, size_t got,
                  tn_err err, tn_deadline deadline)
{
    if (got > 0)
        check_bytes(side, bytes, got);
    side->read += got;
    end(side, what, got, err);
    if (err.kind == TN_EOF)
        check_eof(side, err);
    check_error(side, err, deadline);
}

tn_err op_read(struct side *side, size_t size, tn_deadline deadline)
{
    char *bytes = memory(size);
    size_t got = SIZE_MAX;
    tn_err err;

    begin();
    err = tn_read(side->conn, bytes, size, &got, deadline);
    must_of(side, err, tn_failed(err) ? got == SIZE_MAX : got > 0 && got <= size);
    taken(side, "read", bytes, tn_failed(err) ? 0 : got, err, deadline);
    free(bytes);
    return err;
}

tn_err op_read_all(struct side *side, size_t size, tn_deadline deadline)
{
    char *bytes = memory(size);
    size_t done = SIZE_MAX;
    tn_err err;

    begin();
    err = tn_read_all(side->conn, bytes, size, &done, deadline);
    must_of(side, err, done <= size && (tn_failed(err) || done == size));
    taken(side, "read_all", bytes, done, err, deadline);
    free(bytes);
    return err;
}

tn_err op_read_until(struct side *side, size_t size, tn_deadline deadline)
{
    char *bytes = memory(size);
    size_t done = SIZE_MAX;
    const char *found;
    tn_err err;

    begin();
    err = tn_read_until(side->conn, bytes, size, 'e', &done, deadline);
    must_of(side, err, done <= size);
    found = memchr(bytes, 'e', done);
    if (tn_failed(err))
        must_of(side, err, found == NULL);
    else
        must_of(side, err, found == bytes + done - 1);
    if (err.kind == TN_LIMIT) {
        must_of(side, err, done == size);
        err = tn_ok();
    }
    taken(side, "read_until", bytes, done, err, deadline);
    free(bytes);
    return err;
}

tn_err op_peek(struct side *side, size_t size, tn_deadline deadline)
{
    char *bytes = memory(size);
    size_t got = SIZE_MAX;
    tn_err err;

    begin();
    err = tn_peek(side->conn, bytes, size, &got, deadline);
    must_of(side, err, tn_failed(err) ? got == SIZE_MAX : got > 0 && got <= size);
    if (!tn_failed(err))
        check_bytes(side, bytes, got);
    taken(side, "peek", bytes, 0, err, deadline);
    free(bytes);
    return err;
}

tn_err op_lease(struct side *side, int64_t hold, tn_deadline deadline)
{
    const void *data = NULL;
    size_t size = 0;
    tn_err err;

    begin();
    err = tn_read_lease(side->conn, &data, &size, deadline);
    must_of(side, err, tn_failed(err) == (data == NULL));
    if (!tn_failed(err) && hold > 0)
        tn_ignore(op_sleep(hold)); /* the bytes must stay as they are */
    taken(side, "lease", data, size, err, deadline);
    tn_return(side->conn);
    return err;
}

tn_err op_echo(struct side *side, struct side *to, bool lease, tn_deadline deadline)
{
    char *bytes = lease ? NULL : memory(2000);
    const void *data = bytes;
    size_t size = 0, done = 0;
    tn_err err;

    begin();
    if (lease)
        err = tn_read_lease(side->conn, &data, &size, deadline);
    else
        err = tn_read(side->conn, bytes, 2000, &size, deadline);
    taken(side, "echo read", data, tn_failed(err) ? 0 : size, err, deadline);
    if (!tn_failed(err)) {
        to->attempted = to->written + size;
        begin();
        err = tn_write(to->conn, data, size, &done, TN_NEVER);
        written(to, size, done, err, TN_NEVER);
    }
    if (lease)
        tn_return(side->conn);
    free(bytes);
    return err;
}

/* ---- delivery and the end ---- */

tn_err op_confirm(struct side *side, tn_deadline deadline)
{
    uint64_t unacked = UINT64_MAX;
    tn_err err;

    begin();
    err = tn_confirm(side->conn, &unacked, deadline);
    end(side, "confirm", unacked, err);
    check_confirmed(side, err, unacked);
    check_error(side, err, deadline);
    return err;
}

tn_err op_end(struct side *side)
{
    tn_err err;

    begin();
    err = tn_end(side->conn);
    side->has_ended = side->half_closed = side->has_ended || !tn_failed(err);
    end(side, "end", 0, err);
    check_error(side, err, TN_NEVER);
    return err;
}

tn_err op_close(struct side *side, bool discard, tn_deadline deadline)
{
    tn_ending ending = { (enum tn_how)99, UINT64_MAX, UINT64_MAX };
    struct tn_conn *conn = side->conn;
    tn_err err;

    begin();
    side->has_ended = true; /* the peer may read our end while we are in there */
    if (discard)
        err = tn_close_discard(&conn, &ending, deadline);
    else
        err = tn_close(&conn, &ending, deadline);
    must_of(side, err, conn == NULL);
    side->conn = NULL;
    end(side, tn_how_text(ending.how), ending.unacked, err);
    check_ending(side, err, &ending, discard);
    if (ending.how == TN_ACKED || ending.how == TN_ENDED_DEADLINE)
        must_of(side, err,
                err.kind == TN_CANCELED ? tn_canceled() : tn_left(deadline) == 0);
    return err;
}

void op_abort(struct side *side)
{
    begin();
    side->has_ended = true;
    tn_abort(&side->conn);
    side->failed = true;
    must(side->conn == NULL);
    end(side, "abort", 0, tn_ok());
}

/* ---- one or another ---- */

struct choice {
    struct side *side;
    size_t most;
    tn_deadline deadline;
    bool write;
};

static tn_err choose(void *arg)
{
    const struct choice *choice = arg;
    size_t size = 1 + pick(chance(60) ? 1 + choice->most / 16 : choice->most);

    if (choice->write)
        return chance(70) ? op_write(choice->side, size, choice->deadline)
                          : op_writev(choice->side, size, choice->deadline);
    switch (pick(8)) {
    case 0:
        return op_peek(choice->side, size, choice->deadline);
    case 1:
        return op_read_all(choice->side, size, choice->deadline);
    case 2:
        return op_read_until(choice->side, size, choice->deadline);
    case 3:
    case 4:
        return op_lease(choice->side, chance(20) ? pick_time(5 * TN_MS) : 0,
                        choice->deadline);
    default:
        return op_read(choice->side, size, choice->deadline);
    }
}

tn_err op_canceled(tn_task_fn *fn, void *arg)
{
    struct tn_task_options options = { .name = "victim" };
    struct tn_task *task = NULL;
    tn_err result = tn_ok(), err;

    err = tn_go(NULL, fn, arg, &options, &task);
    must(!tn_failed(err));
    err =
        chance(30) ? tn_ok() : op_sleep(pick_time(chance(70) ? 300 * TN_US : 50 * TN_MS));
    tn_cancel(task);
    must(!tn_failed(tn_join(&task, &result, tn_shielded(60 * TN_MINUTE))));
    return tn_failed(err) ? err : result;
}

static tn_err some(struct side *side, size_t most, bool write, bool storm)
{
    struct choice choice = { side, most, pick_deadline(), write };
    tn_err err = storm && chance(50) ? op_canceled(choose, &choice) : choose(&choice);

    /* What is only late or canceled in a victim can be tried again. */
    if (err.kind == TN_DEADLINE || (err.kind == TN_CANCELED && !tn_canceled()))
        return tn_ok();
    return err;
}

tn_err op_some_read(struct side *side, size_t most, bool storm)
{
    return some(side, most, false, storm);
}

tn_err op_some_write(struct side *side, size_t most, bool storm)
{
    return some(side, most, true, storm);
}

void op_some_ending(struct side *side)
{
    op_some_ending_by(side, chance(60) ? TN_NEVER : tn_in(pick_time(500 * TN_MS)));
}

void op_some_ending_by(struct side *side, tn_deadline deadline)
{
    switch (pick(10)) {
    case 0:
        op_abort(side);
        break;
    case 1:
    case 2:
        tn_ignore(op_close(side, true, deadline));
        break;
    case 3:
        tn_ignore(op_close(side, false, TN_NOW));
        break;
    default:
        tn_ignore(op_close(side, false, deadline));
        break;
    }
}
