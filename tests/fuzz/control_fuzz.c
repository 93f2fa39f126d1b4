/* SPDX-License-Identifier: MIT */
/*
 * control_fuzz.c -- control data of any content, as recvmsg(2) might leave it, and as
 * sendmsg(2) has accepted it.
 *
 * The first byte says which of the two, the rest are the messages.
 */
#include "fuzz.h"

#include <tenon/control.h>

/* without_rights has no name outside of its file. */
#include "fd/send.c" /* NOLINT(bugprone-suspicious-include) */

static void read_all(struct tn_control *control)
{
    struct tn_credentials credentials;
    struct tn_timestamp timestamp;
    struct tn_queued_error error;
    int fds[TN_CONTROL_SIZE / sizeof(int)];
    int count = tn_control_take_rights(control, fds, sizeof(fds) / sizeof(fds[0]));

    fuzz_must(count >= -1 && count <= (int)(control->used / sizeof(int)));
    fuzz_must((count == -1) == control->truncated);
    fuzz_must(count <= 0 || !control->owns_rights);
    fuzz_must(count <= 0 || tn_control_take_rights(control, fds, 0) == 0);
    control->owns_rights = false; /* the numbers are nobody's */
    (void)!tn_control_credentials(control, &credentials);
    (void)!tn_control_timestamp(control, &timestamp);
    (void)!tn_control_error(control, &error);
}

static void receive(const uint8_t *data, size_t size, uint8_t how)
{
    struct tn_control *control = malloc(sizeof(*control));

    fuzz_must(control != NULL);
    tn_control_init(control);
    memset(control->space.bytes, 0xff, sizeof(control->space.bytes));
    control->used = size < TN_CONTROL_SIZE ? size : TN_CONTROL_SIZE;
    memcpy(control->space.bytes, data, control->used);
    control->received = control->owns_rights = true;
    control->truncated = (how & 2) != 0;
    read_all(control);
    tn_control_release(control);
    free(control);
}

/* What the kernel asks of each message of a send (CMSG_OK). */
static bool kernel_takes(const uint8_t *data, size_t size)
{
    struct msghdr message = { .msg_control = (void *)(uintptr_t)data,
                              .msg_controllen = size };

    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part != NULL;
         part = CMSG_NXTHDR(&message, part)) {
        size_t left = size - (size_t)((const uint8_t *)part - data);

        if (part->cmsg_len < sizeof(*part) || part->cmsg_len > left)
            return false;
    }
    return true;
}

static unsigned rights_in(void *control, size_t size)
{
    struct msghdr message = { .msg_control = control, .msg_controllen = size };
    unsigned count = 0;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part != NULL;
         part = CMSG_NXTHDR(&message, part))
        count += part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS;
    return count;
}

static void send_without(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    size_t left;

    fuzz_must(copy != NULL);
    memcpy(copy, data, size);
    if (size > 0 && kernel_takes(copy, size)) {
        left = without_rights(copy, size);
        fuzz_must(left <= size);
        fuzz_must(rights_in(copy, left) == 0);
        fuzz_must(kernel_takes(copy, left));
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if ((data[0] & 1) != 0)
        send_without(data + 1, size - 1);
    else
        receive(data + 1, size - 1, data[0]);
    return 0;
}
