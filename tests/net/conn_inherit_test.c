/* SPDX-License-Identifier: MIT */
/*
 * conn_inherit_test.c -- a program that is executed inherits none of the library's
 * descriptors: it would keep connections open that were closed here.
 */
#include "net_rig.h"

#include <dirent.h>
#include <signal.h>

#include <tenon/loop.h>

/* Descriptors that would survive exec(2). */
static unsigned inheritable(void)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    unsigned count = 0;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10);

        if (entry->d_name[0] != '.' && (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
            count++;
    }
    closedir(folder);
    return count;
}

static void nothing(void *arg)
{
    (void)arg;
}

/* The number of descriptors that appeared with what was just opened must be 0. */
#define assert_inherited_as_before(before) assert_int_equal(inheritable(), before)

TEST_IN_TASK(a_program_that_is_executed_inherits_no_connection)
{
    struct tn_conn *dialled = NULL, *accepted = NULL, *near = NULL, *far = NULL;
    struct tn_listener *listener = NULL, *unix_listener = NULL;
    unsigned before = inheritable();
    char where[TN_ADDR_TEXT];
    tn_addr addr;

    assert_ok(tn_listen(&listener, "127.0.0.1:0", NULL));
    assert_inherited_as_before(before);
    (void)snprintf(where, sizeof(where), "unix:@tenon-inherit-%d", (int)getpid());
    assert_ok(tn_listen(&unix_listener, where, NULL));
    assert_inherited_as_before(before);
    addr = tn_listener_addr(listener);
    assert_ok(tn_dial(&dialled, tn_addr_text(&addr, where, sizeof(where)), NULL,
                      rig_patience()));
    assert_inherited_as_before(before);
    assert_ok(tn_accept(listener, &accepted, rig_patience()));
    assert_inherited_as_before(before);
    assert_ok(tn_pair(&near, &far));
    assert_inherited_as_before(before);
    tn_abort(&dialled);
    tn_abort(&accepted);
    tn_abort(&near);
    tn_abort(&far);
    tn_listener_close(&listener);
    tn_listener_close(&unix_listener);
}

TEST_IN_TASK(nor_what_offloads_posts_and_signals_wake_the_loop_by)
{
    static const int numbers[] = { SIGUSR1 };
    struct tn_signals *signals = NULL;
    unsigned before = inheritable();

    assert_ok(tn_offload(nothing, NULL, nothing, rig_patience()));
    assert_inherited_as_before(before);
    assert_ok(tn_signals_open(&signals, numbers, 1));
    assert_inherited_as_before(before);
    tn_signals_close(&signals);
}
