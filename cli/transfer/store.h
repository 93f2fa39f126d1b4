/* SPDX-License-Identifier: MIT */
/*
 * store.h -- where files arrive: below one folder, under a temporary name until all of a
 * file is there, checked and on the disk.
 *
 *      begin   find what is there already, of the file or of a part of it
 *      add     hash and write a block
 *      finish  mode, time, fsync, then the name, then fsync of the folder
 *      leave   at any time: what has arrived stays for a later session
 *
 * All of them take an arrival, block and belong into the background; none parks or prints.
 *
 * Always true: a file that is being written has its temporary name, a lock (flock(2)) and
 * no other name; and no name of a peer's is opened other than part by part, each with
 * O_NOFOLLOW, below the folder.
 */
#ifndef TENON_CLI_TRANSFER_STORE_H
#define TENON_CLI_TRANSFER_STORE_H

#include "wire.h"

#define PART_NAME_SIZE 40

struct store {
    int folder; /* a descriptor of it */
    bool force; /* an existing file may be replaced */
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
    struct at at;        /* begin's finding */
    uint64_t size;       /* that has arrived, the digest's too */
    bool ours;           /* the part is locked, and fit for use */
    bool spoiled;        /* the part is not to be kept */
    enum refusal failed; /* what an operation came to, with ... */
    int error;           /* ... its errno, or 0 */
};

/* arrival_open -- an empty one, with its memory; false if there is none. */
bool arrival_open(struct arrival *arrival, const struct store *store,
                  const struct offer *offer);

/* arrival_begin -- open what OFFER names and fill in `at`. */
void arrival_begin(void *arg);

/* arrival_restart -- take from the beginning what cannot be gone on with. */
void arrival_restart(void *arg);

/* arrival_add -- the GOT bytes of the block. */
void arrival_add(void *arg);

/* arrival_finish -- all of it is here and right: give it its name. */
void arrival_finish(void *arg);

/* arrival_leave -- let go: a part stays, unless there is nothing in it that could be used. */
void arrival_leave(void *arg);

/* arrival_close -- free what arrival_open took. */
void arrival_close(struct arrival *arrival);

/* arrival_fail -- a call on files failed with the errno NUMBER. */
void arrival_fail(struct arrival *arrival, int number);

/* arrival_folder -- make the folder that OFFER names; at its end, its mode and time. */
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
