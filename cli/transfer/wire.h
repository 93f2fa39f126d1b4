/* SPDX-License-Identifier: MIT */
/*
 * wire.h -- the messages between send and recv, version 1: docs/transfer.md.
 *
 *      sender                              receiver
 *      hello [proof]                       hello [proof]
 *      offer                               at (how much it has, with the digest of that)
 *      go, data ..., end (digest)          receipt (after fsync and rename)
 *      ... the next offer ...
 *      finish                              finish
 *
 * A message is a type, a length and so many bytes; either side may say `error` instead of
 * its next one, and that is its last.
 *
 * Always true: no length of the peer's is believed before it has been compared with what
 * its message may have, so nothing is allocated or read for an absurd one.
 */
#ifndef TENON_CLI_TRANSFER_WIRE_H
#define TENON_CLI_TRANSFER_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon.h>

#include "digest.h"

#define WIRE_VERSION 1
#define HELLO_SIZE   48
#define HEAD_SIZE    5
#define NAME_MOST    4095                /* bytes of a name with its folders */
#define DATA_MOST    (1u << 20)          /* bytes of one data message */
#define BLOCK_SIZE   ((size_t)256 << 10) /* read, hashed and written at once */
#define WHY_MOST     400                 /* bytes of an error's text */
#define FILES_MOST   1000000             /* offers of one session */
#define TOKEN_LEAST  8
#define TOKEN_MOST   256
#define SIZE_UNKNOWN UINT64_MAX

enum message {
    MESSAGE_PROOF = 'P',
    MESSAGE_OFFER = 'O',
    MESSAGE_AT = 'A',
    MESSAGE_GO = 'G',
    MESSAGE_DATA = 'D',
    MESSAGE_END = 'E',
    MESSAGE_RECEIPT = 'R',
    MESSAGE_FINISH = 'Z',
    MESSAGE_ERROR = 'X'
};

/* What an error message says; the numbers are part of the format. */
enum refusal {
    REFUSED_NOT = 0,
    REFUSED_VERSION = 1,
    REFUSED_TOKEN = 2,
    REFUSED_PROTOCOL = 3,
    REFUSED_EXISTS = 4,
    REFUSED_NAME = 5,    /* a name that leads elsewhere, or is too long */
    REFUSED_SPACE = 6,   /* no room on the receiver's disk */
    REFUSED_DENIED = 7,  /* the receiver may not write there */
    REFUSED_BUSY = 8,    /* another session writes that file: try again */
    REFUSED_DIGEST = 9,  /* what arrived is not what was sent: try again */
    REFUSED_FILE = 10,   /* another error of a file, on either side */
    REFUSED_STOPPED = 11 /* whoever says it was told to stop */
};

struct wire {
    struct tn_conn *conn;
    tn_deadline deadline; /* of all of it */
    int64_t idle;         /* for one message; UNLIMITED */
    enum refusal refusal; /* once a call has failed by ours or theirs */
    bool theirs;          /* the peer has said so */
    bool torn;            /* a message of ours was cut short: no other can follow */
    char why[WHY_MOST + 1];
};

struct head {
    enum message type;
    uint32_t size;
};

enum kind { KIND_FILE = 'f', KIND_FOLDER = 'd', KIND_FOLDER_END = 't' };

struct offer {
    enum kind kind;
    uint16_t mode;   /* the nine bits of permission */
    int64_t seconds; /* modified, since 1970 */
    uint32_t nanoseconds;
    uint64_t size; /* or SIZE_UNKNOWN */
    char name[NAME_MOST + 1];
};

/* How much the receiver has, and what that is. */
struct at {
    bool whole; /* of the file itself; otherwise of a part of it */
    uint64_t offset;
    unsigned char digest[DIGEST_SIZE];
};

/* A size and a digest: end, receipt. */
struct sum {
    uint64_t size;
    unsigned char digest[DIGEST_SIZE];
};

/*
 * wire_refuse -- REFUSAL, and in words why, is what went wrong here.  Returns an error,
 * TN_PROTOCOL, to pass on; wire_end tells the peer.
 */
tn_err wire_refuse(struct wire *wire, enum refusal refusal, const char *why, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * wire_greet -- exchange hellos and, with TOKEN (unless NULL), proofs of it, as the
 * SENDER or the receiver.
 *
 * Errors: as wire_head; wire_refuse's.  TN_UNSUPPORTED: the peer does not speak this at
 * all, and is not to be told anything.
 */
TN_MUST tn_err wire_greet(struct wire *wire, bool sender, const char *token);

/*
 * wire_head -- the next message's type and size.
 *
 * Errors: those of tn_read; TN_PROTOCOL (wire_refuse: no such message, or too long a
 * one); TN_DENIED: it was an error, which is in WIRE now.
 */
TN_MUST tn_err wire_head(struct wire *wire, struct head *head);

/* wire_body -- SIZE bytes of a message.  Errors: those of tn_read_all. */
TN_MUST tn_err wire_body(struct wire *wire, void *buf, size_t size);

/* wire_expect -- a message of TYPE and SIZE, its body into BUF.  Errors: as wire_head. */
TN_MUST tn_err wire_expect(struct wire *wire, enum message type, void *buf, size_t size);

/* wire_send -- a message with BODY of SIZE.  Errors: those of tn_write. */
TN_MUST tn_err wire_send(struct wire *wire, enum message type, const void *body,
                         size_t size);

/* wire_write -- whole messages, in COUNT PIECES.  Errors: those of tn_writev. */
TN_MUST tn_err wire_write(struct wire *wire, const struct iovec *pieces, size_t count);

/* wire_pending -- whether the peer has said something.  Errors: as tn_peek. */
TN_MUST tn_err wire_pending(struct wire *wire, bool *pending);

/*
 * wire_end -- close after ERR: in order if there was none, after an error message if the
 * peer has to know, by a reset otherwise.  Parks for a few seconds at most.
 */
void wire_end(struct wire *wire, tn_err err);

/* ---- messages.c: bodies ---- */

TN_MUST tn_err wire_send_offer(struct wire *wire, const struct offer *offer);
/* HEAD is that of the offer. */
TN_MUST tn_err wire_read_offer(struct wire *wire, struct head head, struct offer *offer);
TN_MUST tn_err wire_send_at(struct wire *wire, const struct at *at);
TN_MUST tn_err wire_read_at(struct wire *wire, struct at *at);
TN_MUST tn_err wire_send_go(struct wire *wire, uint64_t offset);
TN_MUST tn_err wire_read_go(struct wire *wire, uint64_t *offset);
TN_MUST tn_err wire_send_sum(struct wire *wire, enum message type, const struct sum *sum);
TN_MUST tn_err wire_read_sum(struct wire *wire, enum message type, struct sum *sum);
/* The body of END, whose head has been read. */
TN_MUST tn_err wire_take_sum(struct wire *wire, struct head head, struct sum *sum);
TN_MUST tn_err wire_send_finish(struct wire *wire, uint64_t files, uint64_t bytes);
TN_MUST tn_err wire_read_finish(struct wire *wire, uint64_t *files, uint64_t *bytes);
TN_MUST tn_err wire_take_finish(struct wire *wire, struct head head, uint64_t *files,
                                uint64_t *bytes);

/* wire_put, wire_get -- a number of SIZE bytes, the highest first. */
void wire_put(unsigned char *bytes, size_t size, uint64_t number);
uint64_t wire_get(const unsigned char *bytes, size_t size);

#endif
