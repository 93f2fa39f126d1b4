/* SPDX-License-Identifier: MIT */
/*
 * task_driver_test.c -- which driver a loop comes to run on, and what it says about it.
 *
 * Each test runs in a process of its own, so it may take away its own rights: a seccomp
 * filter that refuses rings, and a limit of memory that may be locked.
 */
#include <errno.h>
#include <liburing.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/harness.h"

struct seen {
    char driver[16], why[160];
};

static tn_err look(void *arg)
{
    struct seen *seen = arg;
    struct tn_loop_facts facts;

    tn_loop_facts(NULL, &facts);
    snprintf(seen->driver, sizeof(seen->driver), "%s", facts.driver);
    snprintf(seen->why, sizeof(seen->why), "%s", facts.why);
    return tn_sleep(tn_in(TN_US)); /* the driver does its work, too */
}

static struct seen run_and_look(const struct tn_loop_options *options)
{
    struct seen seen = { "", "" };

    assert_ok(tn_run(look, &seen, options));
    return seen;
}

static void assert_seen(struct seen seen, const char *driver, const char *words)
{
    if (strcmp(seen.driver, driver) != 0 || strstr(seen.why, words) == NULL)
        fail_test("ran on %s (%s), expected %s (... %s ...)", seen.driver, seen.why,
                  driver, words);
}

/* From here on io_uring_setup(2) gives NUMBER. */
static void refuse_rings(unsigned number)
{
    struct sock_filter lines[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | number),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(lines) / sizeof(lines[0]), lines };

    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL), 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0UL, 0UL) != 0)
        skip_test("no seccomp filters here (%s)", strerrordesc_np(errno));
}

/* From here on this process may lock SIZE bytes, like anybody without rights. */
static void limit_locked_memory(rlim_t size)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct none[2] = { { 0 } };
    struct rlimit limit = { size, size };

    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    assert_int_equal(syscall(SYS_capset, &header, none), 0);
}

/* Rings without a shortage of memory for them: those of one user all count together. */
static void need_rings(void)
{
    struct io_uring ring;
    struct rlimit limit;
    int result = io_uring_queue_init(32, &ring, 0);

    test_need_ring(result);
    assert_errno(result, 0);
    io_uring_queue_exit(&ring);
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (geteuid() != 0 && limit.rlim_cur < 4UL * 1024 * 1024)
        skip_test("too little memory may be locked here for certainty");
}

/* Whether this kernel charges rings to RLIMIT_MEMLOCK, now that it is low. */
static void need_charged_rings(void)
{
    struct io_uring ring;

    if (io_uring_queue_init(4096, &ring, 0) < 0)
        return;
    io_uring_queue_exit(&ring);
    skip_test("this kernel does not charge rings to RLIMIT_MEMLOCK");
}

TEST(the_ring_serves_where_it_works)
{
    need_rings();
    assert_seen(run_and_look(NULL), "uring", "io_uring works here; ring of ");
}

TEST(where_rings_are_forbidden_epoll_serves_and_says_why)
{
    refuse_rings(EPERM);
    assert_seen(run_and_look(NULL), "epoll", "not permitted");
}

TEST(where_the_kernel_has_no_rings_epoll_serves_and_says_why)
{
    refuse_rings(ENOSYS);
    assert_seen(run_and_look(NULL), "epoll", "not in this kernel");
}

TEST(any_other_refusal_of_rings_is_told_as_well)
{
    refuse_rings(EINVAL);
    assert_seen(run_and_look(NULL), "epoll", "too old");
    refuse_rings(EIO); /* the filter that was installed last decides */
    assert_seen(run_and_look(NULL), "epoll", strerror(EIO));
}

TEST(a_ring_is_halved_until_it_fits_the_memory_that_may_be_locked)
{
    need_rings();
    if (geteuid() != 0)
        skip_test("other rings of this user are charged as well");
    limit_locked_memory(16 * 1024);
    need_charged_rings();
    struct seen seen = run_and_look(NULL);
    unsigned entries = 0;
    const char *size = strstr(seen.why, "ring of ");

    assert_seen(seen, "uring", "ring of ");
    assert_int_equal(sscanf(size, "ring of %u entries", &entries), 1);
    assert_in_range(entries, 32, 128);
}

TEST(without_lockable_memory_epoll_serves_and_says_why)
{
    need_rings();
    limit_locked_memory(0);
    need_charged_rings();
    assert_seen(run_and_look(NULL), "epoll", "no memory that may be locked");
}

TEST(the_environment_names_the_driver_and_an_empty_name_leaves_the_choice)
{
    need_rings();
    setenv("TENON_DRIVER", "epoll", 1);
    assert_seen(run_and_look(NULL), "epoll", "asked for by $TENON_DRIVER");
    setenv("TENON_DRIVER", "uring", 1);
    assert_seen(run_and_look(NULL), "uring", "asked for by $TENON_DRIVER");
    setenv("TENON_DRIVER", "", 1);
    assert_seen(run_and_look(NULL), "uring", "io_uring works here");
}

TEST(the_program_names_the_driver_before_the_environment_does)
{
    struct tn_loop_options options = { .driver = "epoll" };

    setenv("TENON_DRIVER", "uring", 1);
    assert_seen(run_and_look(&options), "epoll", "asked for by the program");
}

TEST(a_named_driver_that_does_not_work_here_is_unsupported)
{
    struct tn_loop_options options = { .driver = "uring" };
    struct seen seen = { "", "" };

    refuse_rings(EPERM);
    assert_kind(tn_run(look, &seen, &options), TN_UNSUPPORTED);
    setenv("TENON_DRIVER", "uring", 1);
    assert_kind(tn_run(look, &seen, NULL), TN_UNSUPPORTED);
}

TEST(a_name_of_no_driver_is_invalid)
{
    struct tn_loop_options options = { .driver = "kqueue" };
    struct seen seen = { "", "" };

    assert_kind(tn_run(look, &seen, &options), TN_INVALID);
}

TEST(a_ring_has_the_size_that_the_program_asked_for)
{
    struct tn_loop_options options = { .driver = "uring", .ring_entries = 64 };

    need_rings();
    assert_seen(run_and_look(&options), "uring", "ring of 64 entries");
}

/* Whether a user of its own, who may lock SIZE bytes, gets a ring. */
static bool fits(rlim_t size)
{
    uid_t user = 200000 + (uid_t)(size / 4096); /* charges are counted by user */
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        struct rlimit limit = { size, size };
        struct seen seen;
        if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || setresuid(user, user, user) != 0)
            _exit(2);
        seen = run_and_look(NULL);
        printf("%zu: %s\n", (size_t)size, seen.why);
        fflush(stdout);
        _exit(strcmp(seen.driver, "uring") == 0 ? 1 : 0);
    }
    assert_true(waitpid(child, &status, 0) == child && WIFEXITED(status));
    assert_true(WEXITSTATUS(status) <= 1);
    return WEXITSTATUS(status) == 1;
}

/* What is charged beside the ring itself, the ring of its buffers, counts as well. */
TEST(more_memory_that_may_be_locked_never_takes_the_ring_away)
{
    bool fitted = false;

    need_rings();
    if (geteuid() != 0)
        skip_test("only root can be other users");
    if (fits(0))
        skip_test("this kernel does not charge rings to RLIMIT_MEMLOCK");
    for (rlim_t size = 4096; size <= 128 * 1024; size += 4096) {
        bool fits_now = fits(size);
        if (fitted && !fits_now)
            fail_test("a ring fits with less than %zu bytes, but not with them",
                      (size_t)size);
        fitted = fits_now;
    }
    assert_true(fitted);
}
