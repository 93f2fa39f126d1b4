/* SPDX-License-Identifier: MIT */
/*
 * tenon/control.h -- what travels beside the bytes: descriptors, credentials, timestamps,
 * queued errors.
 *
 * Control data by hand is four traps: unaligned buffers, unchecked lengths, descriptors that
 * were received and that nobody closes, and MSG_CTRUNC, which nobody looks at.  Here a
 * `struct tn_control` is the buffer, aligned and large enough for all that is below; lengths
 * stay inside; and descriptors it has received are its own until they are taken out, so that
 * tn_control_release, which ends every use, can leak none.
 *
 *     struct tn_control control;
 *     int passed[2];
 *
 *     tn_control_init(&control);
 *     got = tn_control_receive(fd, &message, &control, 0);
 *     if (got > 0 && tn_control_take_rights(&control, passed, 2) == 2)
 *         ...                                    both are ours now
 *     tn_control_release(&control);              closes whatever was not taken
 *
 * Nothing here parks but tn_control_receive, and tn_control_release where tn_fd_close would.
 * Failures are -1 and errno.  See cmsg(3).
 */
#ifndef TENON_CONTROL_H
#define TENON_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <tenon/err.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    TN_CONTROL_RIGHTS_MAX = 253, /* descriptors in one message: the kernel's SCM_MAX_FD */
    /* 1032 bytes of descriptors, 64 of stamps, 72 of a queued error, 32 of credentials, and
     * room for small things that were switched on as well (IP_PKTINFO, IP_TTL, ...). */
    TN_CONTROL_SIZE = 1536
};

/* The buffer, and what it holds.  Its members are private; make it empty with
 * tn_control_init. */
struct tn_control {
    size_t used;      /* bytes of `space` that hold messages */
    bool received;    /* it came from the kernel; else it is being made */
    bool owns_rights; /* the descriptors in it are open and nobody has taken them */
    bool truncated;   /* the kernel had more than fitted */
    union {
        size_t align; /* what struct cmsghdr asks for, without its flexible array */
        unsigned char bytes[TN_CONTROL_SIZE];
    } space;
};

/* Who sent a message, as the kernel vouches for it (SO_PASSCRED).  unix(7) */
struct tn_credentials {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

/* When a message came or left.  A kind that was not asked for is zero.  Hardware time is
 * the clock of the network card.  socket(7), kernel: networking/timestamping */
struct tn_timestamp {
    struct timespec software;
    struct timespec hardware;
};

/* One entry of a socket's error queue.  ip(7), "sock_extended_err" */
struct tn_queued_error {
    int error;            /* an errno; 0 or ENOMSG for stamps and zero-copy */
    unsigned char origin; /* SO_EE_ORIGIN_... */
    unsigned char type;   /* of ICMP, or the kind of stamp */
    unsigned char code;   /* of ICMP, or SO_EE_CODE_ZEROCOPY_COPIED */
    unsigned int info;    /* path MTU, or which stamp, or the first of a range */
    unsigned int data;    /* stamp key, or the last of a range */
    struct sockaddr_storage offender; /* who reported it; ss_family 0 if nobody did */
};

/* tn_control_init -- make it empty, in whatever memory it stands. */
TN_API void tn_control_init(struct tn_control *control);

/*
 * tn_control_release -- close the descriptors that were received and not taken; empty it.
 *
 * Accepts an empty one, and one released before.  Descriptors added for sending are the
 * caller's, and stay open.
 */
TN_API void tn_control_release(struct tn_control *control);

/*
 * tn_control_add_rights -- pass COUNT descriptors with the next message (SCM_RIGHTS).
 *
 * The receiver gets new descriptors for the same files; the caller keeps its own, and may
 * close them once the message is sent.  A Unix stream needs at least one byte of data beside.
 *
 * Errors: EINVAL (COUNT is 0 or over TN_CONTROL_RIGHTS_MAX, a descriptor is negative, or
 * CONTROL holds something received), ENOBUFS (no room left).  unix(7)
 */
TN_API TN_MUST int tn_control_add_rights(struct tn_control *control, const int *fds,
                                         size_t count);

/*
 * tn_control_add_credentials -- say who sends (SCM_CREDENTIALS).
 *
 * Without privileges only the truth passes: EPERM from the send otherwise.
 *
 * Errors: EINVAL (CONTROL holds something received), ENOBUFS.  unix(7)
 */
TN_API TN_MUST int tn_control_add_credentials(struct tn_control *control,
                                              const struct tn_credentials *credentials);

/*
 * tn_control_attach -- let MESSAGE carry what was added; then tn_fd_sendmsg sends it.
 *
 * MESSAGE borrows CONTROL until it is sent.
 */
TN_API void tn_control_attach(struct tn_control *control, struct msghdr *message);

/*
 * tn_control_receive -- tn_fd_recvmsg with room for control data.
 *
 * Releases what CONTROL still holds, receives with MSG_CMSG_CLOEXEC (new descriptors never
 * slip into a program that another thread starts), and keeps what came in CONTROL.  Parks.
 * Sets msg_control and msg_controllen of MESSAGE; returns what tn_fd_recvmsg returns, and its
 * errors.  On failure CONTROL is empty.
 */
TN_API TN_MUST ssize_t tn_control_receive(int fd, struct msghdr *message,
                                          struct tn_control *control, int flags);

/* tn_control_truncated -- did the kernel drop control data (MSG_CTRUNC)?  With descriptors
 * it does so too when this process may open no more. */
TN_API bool tn_control_truncated(const struct tn_control *control);

/*
 * tn_control_take_rights -- take all received descriptors out: they are the caller's now.
 *
 * Stores them in FDS, which has room for ROOM, and returns how many; 0 when none came.  All
 * or nothing: when there are more than ROOM, or some were lost to truncation, FDS is as it
 * was, and they stay in CONTROL, to be closed by tn_control_release.
 *
 * Errors: EMSGSIZE (ROOM is too small), EBADMSG (the list was truncated).
 */
TN_API TN_MUST int tn_control_take_rights(struct tn_control *control, int *fds,
                                          size_t room);

/*
 * tn_control_credentials, tn_control_timestamp, tn_control_error -- look for one of these.
 *
 * Stores it, on success only.  The timestamp is understood in all the forms of SO_TIMESTAMP,
 * SO_TIMESTAMPNS and SO_TIMESTAMPING.
 *
 * Errors: ENOMSG (none came), EBADMSG (none that is whole, and the data was truncated).
 */
TN_API TN_MUST int tn_control_credentials(const struct tn_control *control,
                                          struct tn_credentials *credentials);
TN_API TN_MUST int tn_control_timestamp(const struct tn_control *control,
                                        struct tn_timestamp *timestamp);
TN_API TN_MUST int tn_control_error(const struct tn_control *control,
                                    struct tn_queued_error *error);

#ifdef __cplusplus
}
#endif

#endif /* TENON_CONTROL_H */
