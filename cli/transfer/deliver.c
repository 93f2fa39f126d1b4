/* SPDX-License-Identifier: MIT */
/*
 * deliver.c -- offering files, and sending what the receiver does not have.
 *
 * A file is looked at when it is opened and again when it has been sent: one that has
 * changed meanwhile is an error, since what arrived would be neither the old nor the new.
 *
 * Always true: `next` moves on only with a receipt for the size and digest that we sent.
 */
#include "deliver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "background.h"
#include "local.h"
#include "session.h"

/* A file that is being sent. */
struct source {
    struct delivery *delivery;
    const struct entry *entry;
    struct offer *offer;
    struct digest *digest;
    unsigned char *block; /* BLOCK_SIZE */
    size_t got;           /* of it */
    int fd;
    uint64_t at;     /* so much has been read and hashed */
    uint64_t offset; /* of prefix_work: up to where */
    int error;
};

static tn_err refuse_file(struct source *source, int number)
{
    return wire_refuse(&source->delivery->wire, REFUSED_FILE, "%.200s: %s",
                       source->offer->name, number ? strerror(number) : "it has changed");
}

/* What standard input is, if no file, is read once and never asked for its size. */
static bool is_pipe(const struct source *source)
{
    return source->entry->size == SIZE_UNKNOWN;
}

/* Is there anything behind SIZE bytes, whatever the file says of its size? */
static bool goes_on_behind(const struct source *source, uint64_t size)
{
    char byte;

    return pread(source->fd, &byte, 1, (off_t)(source->entry->base + size)) == 1;
}

/* Read and hash the next block, up to SIZE; `got` is 0 at the end. */
static void read_block(struct source *source, uint64_t size)
{
    uint64_t left = size - source->at;
    ssize_t count;

    do
        count = pread(source->fd, source->block,
                      left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE,
                      (off_t)(source->entry->base + source->at));
    while (count < 0 && errno == EINTR);
    source->error = count < 0 ? errno : 0;
    source->got = count > 0 ? (size_t)count : 0;
    digest_add(source->digest, source->block, source->got);
    source->at += source->got;
}

static void block_work(void *arg)
{
    struct source *source = arg;

    read_block(source, source->offer->size);
}

static void prefix_work(void *arg)
{
    struct source *source = arg;

    do
        read_block(source, source->offset);
    while (source->got > 0 && source->at < source->offset);
}

/* Open the file and fill in the offer. */
static tn_err open_source(struct source *source)
{
    const struct entry *entry = source->entry;
    struct offer *offer = source->offer;
    struct stat status;

    source->fd = entry->is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                 : open(plan_path(source->delivery->plan, entry),
                                        O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (source->fd < 0 || fstat(source->fd, &status))
        return refuse_file(source, errno);
    if (!entry->is_stdin && !S_ISREG(status.st_mode))
        return refuse_file(source, 0);
    offer->kind = KIND_FILE;
    offer->mode = (uint16_t)(status.st_mode & 0777);
    offer->seconds = status.st_mtim.tv_sec;
    offer->nanoseconds = (uint32_t)status.st_mtim.tv_nsec;
    offer->size = plan_rest(entry, (uint64_t)status.st_size);
    /* Files of the kernel's, as in /proc, say 0 and have content. */
    if (is_pipe(source) || (offer->size == 0 && goes_on_behind(source, 0)))
        offer->size = SIZE_UNKNOWN;
    return tn_ok();
}

/* Is the file still what was offered? */
static tn_err check_source(struct source *source)
{
    struct stat status;

    if (source->offer->size == SIZE_UNKNOWN)
        return tn_ok();
    if (fstat(source->fd, &status))
        return refuse_file(source, errno);
    return plan_rest(source->entry, (uint64_t)status.st_size) != source->offer->size ||
                   status.st_mtim.tv_sec != source->offer->seconds ||
                   status.st_mtim.tv_nsec != (long)source->offer->nanoseconds ||
                   goes_on_behind(source, source->offer->size)
               ? refuse_file(source, 0)
               : tn_ok();
}

/* From where to send on: where the receiver's part ends, if it is the same as ours. */
static tn_err choose_offset(struct source *source, const struct at *at)
{
    struct wire *wire = &source->delivery->wire;
    unsigned char digest[DIGEST_SIZE];
    tn_err err = tn_ok();

    if (at->offset > (source->offer->size == SIZE_UNKNOWN ? 0 : source->offer->size))
        return wire_refuse(wire, REFUSED_PROTOCOL, "it has more than there is");
    source->offset = at->offset;
    if (at->offset > 0)
        err = in_background(prefix_work, source);
    if (tn_failed(err))
        return err;
    if (source->error || source->at < at->offset)
        return refuse_file(source, source->error);
    digest_now(source->digest, digest);
    if (!digest_same(digest, at->digest)) {
        source->at = 0;
        digest_reset(source->digest);
    }
    source->delivery->confirmed = source->delivery->done_bytes + source->at;
    source->delivery->covered = source->delivery->confirmed;
    return wire_send_go(wire, source->at);
}

/* The next block, of a file or of what comes in.  TN_EOF after the last one. */
static tn_err next_block(struct source *source)
{
    tn_err err;

    if (!is_pipe(source)) {
        if (source->at == source->offer->size)
            return tn_err_user(TN_EOF, 0);
        err = in_background(block_work, source);
        if (tn_failed(err))
            return err;
        if (!source->error && source->got == 0 && source->offer->size == SIZE_UNKNOWN)
            return tn_err_user(TN_EOF, 0);
        return source->error || source->got == 0 ? refuse_file(source, source->error)
                                                 : tn_ok();
    }
    source->delivery->stdin_taken = true;
    err = local_read(local_end(STDIN_FILENO), source->block, BLOCK_SIZE, &source->got);
    if (tn_failed(err))
        return err.kind == TN_EOF || err.kind == TN_CANCELED
                   ? err
                   : refuse_file(source, err.code);
    digest_add(source->digest, source->block, source->got);
    source->at += source->got;
    return tn_ok();
}

/* The receiver speaks while it should listen: it has something to say against it. */
static tn_err hear(struct wire *wire)
{
    struct head head;
    bool pending = false;
    tn_err err = wire_pending(wire, &pending);

    if (tn_failed(err) || !pending)
        return err;
    err = wire_head(wire, &head);
    return tn_failed(err) ? err
                          : wire_refuse(wire, REFUSED_PROTOCOL, "message %c during data",
                                        (int)head.type);
}

static tn_err send_data(struct source *source)
{
    struct delivery *delivery = source->delivery;
    tn_err err;

    for (;;) {
        err = next_block(source);
        if (tn_failed(err))
            return err.kind == TN_EOF ? tn_ok() : err;
        err = wire_send(&delivery->wire, MESSAGE_DATA, source->block, source->got);
        if (!tn_failed(err))
            err = hear(&delivery->wire);
        if (tn_failed(err))
            return err;
        delivery->moved += source->got;
        delivery->session_bytes += source->got;
        delivery->covered += source->got;
    }
}

/* The end and the receipt, which has to be for the same. */
static tn_err confirm(struct source *source, bool send_end)
{
    struct wire *wire = &source->delivery->wire;
    struct sum sum = { .size = source->at }, receipt;
    tn_err err = check_source(source);

    digest_now(source->digest, sum.digest);
    if (!tn_failed(err) && send_end)
        err = wire_send_sum(wire, MESSAGE_END, &sum);
    if (!tn_failed(err))
        err = wire_read_sum(wire, MESSAGE_RECEIPT, &receipt);
    if (tn_failed(err))
        return err;
    if (receipt.size != sum.size || !digest_same(receipt.digest, sum.digest))
        return wire_refuse(wire, REFUSED_PROTOCOL, "%.200s: a receipt for something else",
                           source->offer->name);
    return tn_ok();
}

static tn_err exchange(struct source *source)
{
    struct delivery *delivery = source->delivery;
    uint64_t before = delivery->moved;
    struct at at = { 0 };
    struct sum sum;
    bool has_it;
    tn_err err = open_source(source);

    if (!tn_failed(err))
        err = wire_send_offer(&delivery->wire, source->offer);
    if (!tn_failed(err))
        err = wire_read_at(&delivery->wire, &at);
    if (!tn_failed(err))
        err = choose_offset(source, &at);
    has_it = !tn_failed(err) && at.whole && source->at == at.offset;
    if (!tn_failed(err) && !has_it)
        err = send_data(source);
    if (!tn_failed(err))
        err = confirm(source, !has_it);
    if (tn_failed(err))
        return err;
    delivery->files++;
    delivery->session_files++;
    delivery->done_bytes += source->at;
    delivery->covered = delivery->confirmed = delivery->done_bytes;
    sum.size = source->at;
    digest_now(source->digest, sum.digest);
    session_file_told(delivery->where, source->offer->name, &sum,
                      delivery->moved - before);
    return tn_ok();
}

static tn_err deliver_file(struct delivery *delivery, const struct entry *entry,
                           struct offer *offer)
{
    struct source source = { .delivery = delivery, .entry = entry, .offer = offer };
    tn_err err = tn_err_user(TN_LIMIT, 0);

    source.fd = -1;
    source.digest = digest_new();
    source.block = malloc(BLOCK_SIZE);
    if (source.digest && source.block)
        err = exchange(&source);
    if (source.fd >= 0)
        (void)close(source.fd);
    free(source.block);
    digest_free(source.digest);
    return err;
}

static tn_err deliver_folder(struct delivery *delivery, const struct entry *entry,
                             struct offer *offer)
{
    struct sum receipt;
    tn_err err;

    offer->kind = entry->kind;
    offer->mode = entry->mode;
    offer->seconds = entry->seconds;
    offer->nanoseconds = entry->nanoseconds;
    offer->size = 0;
    err = wire_send_offer(&delivery->wire, offer);
    return tn_failed(err) ? err
                          : wire_read_sum(&delivery->wire, MESSAGE_RECEIPT, &receipt);
}

static tn_err deliver_all(struct delivery *delivery, struct offer *offer)
{
    const struct plan *plan = delivery->plan;
    struct wire *wire = &delivery->wire;
    uint64_t files, bytes;
    tn_err err;

    for (; delivery->next < plan->count; delivery->next++) {
        const struct entry *entry = &plan->entries[delivery->next];

        (void)snprintf(offer->name, sizeof(offer->name), "%s", plan_name(plan, entry));
        err = entry->kind == KIND_FILE ? deliver_file(delivery, entry, offer)
                                       : deliver_folder(delivery, entry, offer);
        if (tn_failed(err))
            return err;
    }
    err = wire_send_finish(wire, delivery->session_files, delivery->session_bytes);
    if (!tn_failed(err))
        err = wire_read_finish(wire, &files, &bytes);
    delivery->finished = !tn_failed(err);
    return err;
}

tn_err deliver(struct delivery *delivery)
{
    struct offer *offer = calloc(1, sizeof(*offer));
    tn_err err = offer ? wire_greet(&delivery->wire, true, delivery->token)
                       : tn_err_user(TN_LIMIT, 0);

    delivery->session_files = delivery->session_bytes = 0;
    if (offer && !tn_failed(err))
        err = deliver_all(delivery, offer);
    wire_end(&delivery->wire, err);
    free(offer);
    return err;
}
