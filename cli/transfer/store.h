/* SPDX-License-Identifier: MIT */
/*
 * store.h -- where files arrive: below one folder, under a temporary name until all of a
 * file is there, checked and on the disk; or on standard output (outlet.h).
 *
 * Always true: a file that is being written has its temporary name, a lock (flock(2)) and
 * no other name; and no name of a peer's is opened other than part by part, each with
 * O_NOFOLLOW, below the folder.
 */
#ifndef TENON_CLI_TRANSFER_STORE_H
#define TENON_CLI_TRANSFER_STORE_H

#include "wire.h"

#define PART_NAME_SIZE 40

struct outlet;

/* What is done at a place with an arrival, which is ARG each time. */
struct place {
    bool parks;         /* for a task; otherwise they block: for the background */
    const char *called; /* in complaints; NULL: as the file */

    void (*begin)(void *arg);   /* find what is there already: fill in `at` */
    void (*restart)(void *arg); /* take from the beginning what cannot be gone on with */
    void (*add)(void *arg);     /* hash and write a block */
    void (*finish)(void *arg);  /* all of it is here and right: keep it, for good */
    void (*leave)(void *arg);   /* at any time: let go, and keep what came for later */
    void (*folder)(void *arg);  /* make the one offered; at its end, its mode and time */
};

/*
 * place_folder -- below a store's folder.  To finish: mode, time, fsync, then the name,
 * then fsync of the folder.  None of its functions parks or prints.
 */
extern const struct place place_folder;

struct store {
    const struct place *place;
    int folder;            /* a descriptor of it, or -1 */
    bool force;            /* an existing file may be replaced */
    struct outlet *outlet; /* or NULL */
};

/* One file that arrives. */
struct arrival {
    const struct store *store;
    const struct offer *offer;
    struct digest *digest;
    unsigned char *block; /* BLOCK_SIZE */
    size_t got;           /* of it */

    int folder; /* that the file is in */
    int fd;     /* of the part, or of the whole file */
    char last[256], part[PART_NAME_SIZE];
    tn_deadline deadline; /* the session's, and how long ... */
    int64_t idle;         /* ... nothing may move: for a place that parks */
    struct at at;         /* begin's finding */
    uint64_t size;        /* that has arrived, the digest's too */
    bool ours;            /* the part is locked, and fit for use */
    bool spoiled;         /* the part is not to be kept */
    enum refusal failed;  /* what an operation came to, with ... */
    int error;            /* ... its errno, or 0 ... */
    const char *why;      /* ... and words of its own, or NULL */
    tn_err ended;         /* it was cut short, which is no refusal */
};

/* arrival_open -- an empty one, with its memory; false if there is none. */
bool arrival_open(struct arrival *arrival, const struct store *store,
                  const struct offer *offer);

/* arrival_close -- free what arrival_open took. */
void arrival_close(struct arrival *arrival);

/* arrival_fail -- a call on files failed with the errno NUMBER. */
void arrival_fail(struct arrival *arrival, int number);

/* arrival_folder -- place_folder's `folder`, in folder.c. */
void arrival_folder(void *arg);

/* ---- path.c ---- */

/*
 * path_open -- open the folder of NAME below FOLDER and store it in *FD, and NAME's last
 * part in LAST.  Returns REFUSED_NOT, or why not with *ERROR.
 */
enum refusal path_open(int folder, const char *name, int *fd, char last[256], int *error);

/* path_part -- the temporary name of LAST, in PART. */
void path_part(const char *last, char part[PART_NAME_SIZE]);

#endif
