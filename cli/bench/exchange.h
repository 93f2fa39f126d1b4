/* SPDX-License-Identifier: MIT */
/*
 * exchange.h -- one question and the answer that is right.
 *
 * An answer is checked byte by byte where its bytes are known, and always for its length:
 * bytes behind its end are as wrong as bytes that differ.
 */
#ifndef TENON_CLI_BENCH_EXCHANGE_H
#define TENON_CLI_BENCH_EXCHANGE_H

#include <tenon.h>

#include "options.h"

#define UNTIL_MOST 64 /* bytes of --until */
#define GOT_MOST   32 /* of a wrong answer are kept to be shown */

/* Where an answer ends. */
enum answer_end {
    END_EXACT, /* it is EXPECT and nothing else */
    END_SIZE,  /* after SIZE bytes, which begin with EXPECT */
    END_UNTIL  /* with UNTIL, not before the end of EXPECT */
};

/* What is asked, and what is answered; constant while it is used. */
struct exchange {
    char *request, *expect, until[UNTIL_MOST];
    size_t request_size, expect_size, until_size;
    enum answer_end end;
    size_t size; /* END_SIZE */
};

/* How an answer went; for complaints. */
struct answer {
    size_t seen;        /* bytes of it so far */
    bool wrong;         /* the bytes are wrong, not the connection */
    size_t wrong_at;    /* the first wrong byte */
    char got[GOT_MOST]; /* what came there */
    size_t got_size;
    char tail[UNTIL_MOST]; /* END_UNTIL: the last bytes of the piece before */
    size_t tail_size;
};

/*
 * exchange_prepare -- what SETTINGS say: --send, --expect, --until, --answer; or SIZE bytes
 * that come back.  Returns 0, or an exit code after a complaint.
 */
int exchange_prepare(struct exchange *exchange, const struct settings *settings,
                     size_t size);

/* exchange_release -- free its memory; one that is all zero is fine. */
void exchange_release(struct exchange *exchange);

/*
 * exchange_answer -- read one answer from CONN and check it.  ANSWER is always written.
 *
 * Errors: as tn_read; TN_PROTOCOL with answer->wrong.
 */
TN_MUST tn_err exchange_answer(const struct exchange *exchange, struct tn_conn *conn,
                               struct answer *answer, tn_deadline deadline);

/*
 * exchange_show -- SIZE bytes at DATA for people, in quotes, what does not print as \xHH.
 * Cut to fit into BUF of ROOM; returns BUF.
 */
const char *exchange_show(const char *data, size_t size, char *buf, size_t room);

#endif
