/* SPDX-License-Identifier: MIT */
/*
 * options.h -- what the command line said.
 *
 * One table (option_table.c) names every option once: the parser, --help, the man page
 * and the options in an address ("host:80?max-time=2s") all read it.
 */
#ifndef TENON_CLI_OPTIONS_H
#define TENON_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon.h>

/* The verbs, as bits: which of them take an option. */
enum {
    VERB_CONNECT = 1 << 0,
    VERB_LISTEN = 1 << 1,
    VERB_SERVE = 1 << 2,
    VERB_DOCTOR = 1 << 3,
    VERB_EXPLAIN = 1 << 4,
    VERB_DEMO = 1 << 5,
    VERB_RELAY = 1 << 6,
    VERB_REPLAY = 1 << 7,
    VERB_SEND = 1 << 8,
    VERB_RECV = 1 << 9,
    VERB_WAIT = 1 << 10,
    VERB_SCAN = 1 << 11,
    VERB_CTL = 1 << 12,
    VERB_BENCH = 1 << 13,
    VERB_COMPARE = 1 << 14,
    VERB_TOP = 1 << 15,
    /* More than any list of all: a question, which no verb is asked. */
    VERB_ANY = (1 << 17) - 1
};

#define WORDS_MAX   64  /* of an option that may be repeated */
#define OPTIONS_MAX 192 /* rows of the table */

/* An option that limits time and was not given. */
#define UNLIMITED INT64_MAX

/* The values of an option that may be repeated. */
struct words {
    const char *list[WORDS_MAX];
    int count;
};

/* Everything that options can say; each field is described in option_table.c. */
struct settings {
    int verb; /* one of VERB_ */
    const char *verb_name;
    const char **operands; /* as many as there are words, and NULL */
    int operand_count;
    char **command; /* what followed --exec --, ended by NULL; or NULL */

    /* what to connect to, from where */
    bool listen, ipv4, ipv6, unix_path, numeric, udp, zero_io;
    const char *source;
    int64_t port;

    /* how */
    bool crlf, end_at_eof, no_wait, keep, exec;
    int64_t after_end; /* -q; UNLIMITED: until the peer ends */
    int64_t max_time, connect_timeout, idle_timeout, wait;
    int64_t max_conns; /* 0: not given */
    int64_t send_buffer, receive_buffer;
    const char *output;
    struct words allow, deny;
    int64_t max_per_source; /* 0: not given */

    /* relay */
    const char *name, *balance, *check, *targets_file;
    int64_t fin_timeout, check_interval, rise, fall;
    struct words fault;
    bool hex, diff;
    const char *record, *metrics, *dash;
    bool once;

    /* send, recv, wait, explain */
    const char *token, *as_name, *expect, *from_socat;
    bool force, any;
    int64_t retries;
    /* bench and compare */
    bool plain, reverse, both, reset;
    int64_t connections, threads, rate, size, answer; /* 0: not given */
    int64_t duration, warmup, interval;
    const char *send, *until, *find_max, *fail_if, *hlog, *html;

    /* what to say */
    bool silent, json, help, version, man;
    const char *completion;
    const char *json_file;
    int64_t verbose;

    bool given[OPTIONS_MAX]; /* which rows of the table were given */
};

/* How the value of an option is read, and what its field is. */
enum option_kind {
    OPTION_FLAG,     /* bool */
    OPTION_COUNTER,  /* int64_t, one more each time */
    OPTION_DURATION, /* int64_t, nanoseconds; plain numbers are seconds */
    OPTION_WAIT,     /* the same; a negative number is UNLIMITED */
    OPTION_NUMBER,   /* int64_t, from 1 to `most` */
    OPTION_COUNT,    /* int64_t, from 0 to `most` */
    OPTION_SIZE,     /* int64_t, bytes */
    OPTION_RATE,     /* int64_t, a second */
    OPTION_TEXT,     /* const char * */
    OPTION_WORDS,    /* struct words: one more */
    OPTION_JSON      /* bool, and json_file if a value follows the = */
};

struct option {
    char letter;       /* 0: none */
    const char *name;  /* long; NULL: none */
    const char *value; /* what --help calls its value; NULL: it takes none */
    enum option_kind kind;
    int verbs;        /* which take it */
    size_t field;     /* in struct settings */
    int64_t most;     /* of OPTION_NUMBER and OPTION_COUNT */
    const char *help; /* one line; NULL: not to be shown */
    const char *more; /* further sentences for the man page, or NULL */
};

extern const struct option option_table[];
extern const size_t option_count;

/* options_defaults -- SETTINGS as they are before anything is said. */
void options_defaults(struct settings *settings);

/*
 * options_read -- read the words after the command's name into SETTINGS.
 *
 * Options and operands may come in any order.  After "--" there are only operands; with
 * --exec, or for `wait`, they are the program and its arguments.  Returns 0, or an exit
 * code after a complaint; it reads on then, since a --json may follow, which is how to
 * complain.
 */
int options_read(struct settings *settings, int argc, char **argv);

/*
 * options_set -- set the option with the long NAME of SIZE bytes to VALUE (NULL: none).
 * WHERE says for a complaint where it was found.  Returns 0 or an exit code.
 */
int options_set(struct settings *settings, const char *name, size_t size,
                const char *value, const char *where);

/* options_release -- free what options_read took. */
void options_release(struct settings *settings);

/* options_given -- whether the option with the long NAME was given. */
bool options_given(const struct settings *settings, const char *name);

/* options_suit -- whether SETTINGS hold only options of their verb: 0 or a code. */
int options_suit(const struct settings *settings);

/* options_settle -- what -w, --no-wait and the like stand for, once all is read. */
void options_settle(struct settings *settings);

/* ---- values.c: numbers with units.  False if TEXT is none, or does not fit. ---- */

/* value_duration -- "2s", "500ms", "1.5m", "3" (seconds) in nanoseconds. */
bool value_duration(const char *text, int64_t *length);
/* value_wait -- the same; any negative number is UNLIMITED. */
bool value_wait(const char *text, int64_t *length);
/* value_size -- "64k", "2M", "100" in bytes; k is 1,024. */
bool value_size(const char *text, int64_t *size);
/* value_rate -- "20k", "1.5M", "100" a second; k is 1,000. */
bool value_rate(const char *text, int64_t *rate);
/* value_number -- a whole number from LEAST to MOST. */
bool value_number(const char *text, int64_t least, int64_t most, int64_t *number);

#endif
