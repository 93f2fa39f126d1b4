/* SPDX-License-Identifier: MIT */
/*
 * verbs.h -- what the command can do: one row a verb, one file behind each.
 */
#ifndef TENON_CLI_VERBS_H
#define TENON_CLI_VERBS_H

#include "options.h"

struct verb {
    const char *name;
    int bit; /* VERB_ */
    /* Do it; returns the exit code.  SETTINGS suit the verb. */
    int (*run)(struct settings *settings);
    const char *summary;     /* one line */
    const char *usage[4];    /* what follows "tenon ", ended by NULL */
    const char *examples[9]; /* command, meaning, ..., ended by NULL */
    const char *text;        /* for the man page */
};

extern const struct verb verb_table[];
extern const int verb_count;

int connect_main(struct settings *settings);
int listen_main(struct settings *settings);
int serve_main(struct settings *settings);
int send_main(struct settings *settings);
int recv_main(struct settings *settings);
int wait_main(struct settings *settings);
int bench_main(struct settings *settings);
int compare_main(struct settings *settings);
int doctor_main(struct settings *settings);
int demo_main(struct settings *settings);
int replay_main(struct settings *settings);
int ctl_main(struct settings *settings);
int top_main(struct settings *settings);
int relay_main(struct settings *settings);

/* scan_main -- `scan`, and connect's -z. */
int scan_main(struct settings *settings);

/* help_verb -- how to use VERB, on standard output; help_all -- the verbs. */
void help_verb(const struct verb *verb);
void help_all(void);
/* help_man -- tenon(1), on standard output. */
void help_man(void);

#endif
