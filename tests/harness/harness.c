/* SPDX-License-Identifier: MIT */
/*
 * harness.c -- run the registered tests, each in a child process, and count.
 *
 *      parent: fork --> wait for the child, at most for the limit --> judge, one line
 *      child:  note descriptors --> test --> compare --> exit (leak check of ASan)
 *
 * The child leads a process group, which is killed after it, so that nothing it started
 * outlives it.  What it prints goes to a file in memory and is shown if it failed.
 *
 * Always true: passed + failed + skipped is the number of tests that were chosen.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/inside.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOW_BUILD 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW_BUILD 1
#endif
#if defined(SLOW_BUILD)
#define SCALE_OF_BUILD 4U
#else
#define SCALE_OF_BUILD 1U
#endif

#define EXIT_SKIPPED 77
#define EXIT_HARNESS 78 /* the child's verdict says why */
#define EXIT_NO_TEST 5

/* With less that may be locked, a kernel may have no memory for one more ring. */
#define LOCKED_ENOUGH (4UL * 1024 * 1024)

/* Of a failed test's output; the end matters most. */
#define SHOWN_MAX (64 * 1024)

struct verdict *test_verdict;

static struct test *tests;
static const char *current_driver = "";
static sigset_t child_ends; /* SIGCHLD: blocked in the parent */
static unsigned passed, failed, skipped;

void test_register(struct test *test)
{
    struct test **at = &tests;

    while (*at != NULL && (*at)->line < test->line)
        at = &(*at)->next;
    test->next = *at;
    *at = test;
}

const char *test_driver(void)
{
    return strcmp(current_driver, "any") == 0 ? "epoll" : current_driver;
}

const char *test_driver_forced(void)
{
    return strcmp(current_driver, "any") == 0 ? "" : current_driver;
}

void test_need_ring(int result)
{
    struct rlimit lock;

    getrlimit(RLIMIT_MEMLOCK, &lock);
    if (result == -EPERM || result == -ENOSYS ||
        (result == -ENOMEM && lock.rlim_cur < LOCKED_ENOUGH))
        skip_test("no io_uring here (%s)", strerrordesc_np(-result));
}

unsigned test_scale(void)
{
    const char *text = getenv("TENON_TEST_SCALE");
    unsigned long scale = text != NULL ? strtoul(text, NULL, 10) : 0;

    return SCALE_OF_BUILD * (scale > 0 && scale < 1000 ? (unsigned)scale : 1);
}

_Noreturn void skip_test(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(test_verdict->why, sizeof(test_verdict->why), format, arguments);
    va_end(arguments);
    test_verdict->skipped = true;
    _exit(EXIT_SKIPPED); /* perhaps on a task's stack: no leak check here */
}

const char *uring_refused(void)
{
    static char why[96];
    static int result = 1;
    struct io_uring ring;

    if (result == 1) {
        /* What uring.c needs; where this works, the driver has to work too. */
        result = io_uring_queue_init(
            32, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
        if (result == 0)
            io_uring_queue_exit(&ring);
        snprintf(why, sizeof(why), "no io_uring here (%s)", strerror(-result));
    }
    return result < 0 ? why : NULL;
}

static tn_err task_body(void *arg)
{
    struct test *test = arg;

    test->fn();
    return tn_ok();
}

static void run_body(struct test *test)
{
    if (test->where == TEST_TASK_EACH_DRIVER)
        test_run(task_body, test, NULL, TN_OK, test->file, test->line);
    else
        test->fn();
}

/* ---- in the child ---- */

static void prepare_child(int output)
{
    struct rlimit core;

    sigprocmask(SIG_UNBLOCK, &child_ends, NULL);
    setpgid(0, 0);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    close(output);
    setvbuf(stdout, NULL, _IOLBF, 0);
    getrlimit(RLIMIT_CORE, &core);
    core.rlim_cur = 0;
    setrlimit(RLIMIT_CORE, &core);
}

static void set_driver(const char *driver)
{
    current_driver = driver;
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    if (test_driver_forced()[0] != '\0')
        setenv("TENON_DRIVER", driver, 1);
    else
        unsetenv("TENON_DRIVER");
}

static _Noreturn void child_main(struct test *test, const char *driver, int output)
{
    static struct descriptors before, after;

    prepare_child(output);
    set_driver(driver);
    descriptors_list(&before);
    alarms_start();
    run_body(test);
    alarms_stop();
    descriptors_list(&after);
    if (!test->may_leave_fds && !descriptors_compare(&before, &after, test_verdict->why,
                                                     sizeof(test_verdict->why)))
        exit(EXIT_HARNESS);
    exit(0);
}

/* ---- in the parent ---- */

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Whether CHILD has ended; its status stays to be fetched. */
static bool has_ended(pid_t child)
{
    siginfo_t info = { .si_pid = 0 };

    if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
        perror("waitid");
        exit(2);
    }
    return info.si_pid == child;
}

/*
 * Wait for the child; false if LIMIT_S was not enough and it had to be killed.  (SIGCHLD is
 * blocked here and ends the wait; valgrind 3.19 knows no pidfd_open.)
 */
static bool await_child(pid_t child, double limit_s, int *status)
{
    double end = seconds_now() + limit_s, left = limit_s;
    bool ended;

    while (!(ended = has_ended(child)) && left > 0) {
        struct timespec limit = { .tv_sec = (time_t)left };

        limit.tv_nsec = (long)((left - (double)limit.tv_sec) * 1e9);
        (void)sigtimedwait(&child_ends, NULL, &limit);
        left = end - seconds_now();
    }
    kill(-child, SIGKILL); /* also what it may have left running */
    if (!ended)
        kill(child, SIGKILL);
    while (waitpid(child, status, 0) < 0 && errno == EINTR)
        ;
    return ended;
}

static void show_output(int output)
{
    static char text[SHOWN_MAX];
    off_t end = lseek(output, 0, SEEK_END);
    ssize_t got = pread(output, text, sizeof(text) - 1,
                        end > SHOWN_MAX - 1 ? end - (SHOWN_MAX - 1) : 0);
    char *rest = text;
    char *line;

    text[got > 0 ? got : 0] = '\0';
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (rest != NULL || line[0] != '\0')
            printf("        %s\n", line);
    }
}

static void say(const char *word, const struct test *test, const char *driver,
                double took_s)
{
    printf("  %s %6.2f s  %s%s%s%s", word, took_s, test->name,
           driver[0] != '\0' ? " [" : "", driver, driver[0] != '\0' ? "]" : "");
}

static void judge(struct test *test, const char *driver, bool in_time, int status,
                  double took_s, int output)
{
    const char *why = test_verdict->why;

    if (in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        passed++;
        say("pass", test, driver, took_s);
        printf("\n");
        return;
    }
    if (in_time && WIFEXITED(status) && test_verdict->skipped) {
        skipped++;
        say("skip", test, driver, took_s);
        printf(": %s\n", why);
        return;
    }
    failed++;
    say("FAIL", test, driver, took_s);
    if (!in_time)
        printf(": not over after %u s\n", (unsigned)took_s);
    else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGABRT)
        printf(": %s\n", strsignal(WTERMSIG(status)));
    else if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_HARNESS)
        printf(": %s\n", why);
    else if (WIFEXITED(status))
        printf(": exit status %d\n", WEXITSTATUS(status));
    else
        printf(" (%s:%d)\n", test->file, test->line);
    show_output(output);
}

static void run_forked(struct test *test, const char *driver)
{
    unsigned limit_s = (test->limit_s != 0 ? test->limit_s : TEST_LIMIT_S) * test_scale();
    int output = memfd_create("output", MFD_CLOEXEC);
    double start = seconds_now();
    bool in_time;
    int status = 0;
    pid_t child;

    memset(test_verdict, 0, sizeof(*test_verdict));
    fflush(NULL);
    sigemptyset(&child_ends);
    sigaddset(&child_ends, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_ends, NULL);
    fcntl(output, F_SETFL, O_APPEND);
    child = fork();
    if (child == 0)
        child_main(test, driver, output);
    if (child < 0 || output < 0) {
        perror("cannot run a test");
        exit(2);
    }
    setpgid(child, child);
    in_time = await_child(child, limit_s, &status);
    judge(test, driver, in_time, status, seconds_now() - start, output);
    close(output);
    fflush(stdout);
}

static void run_on_driver(struct test *test, const char *driver, bool in_this_process)
{
    const char *why = skip_listed(test, driver);

    if (why == NULL && strcmp(driver, "uring") == 0)
        why = uring_refused();
    if (why != NULL) {
        skipped++;
        say("skip", test, driver, 0);
        printf(": %s\n", why);
    } else if (in_this_process) {
        set_driver(driver);
        run_body(test);
        passed++;
        say("pass", test, driver, 0);
        printf("\n");
    } else {
        run_forked(test, driver);
    }
}

static void run_where_it_belongs(struct test *test, bool in_this_process)
{
    const char *only = getenv("DRIVER");

    if (test->where == TEST_ONCE) {
        run_on_driver(test, "", in_this_process);
    } else if (only != NULL && only[0] != '\0') {
        run_on_driver(test, only, in_this_process);
    } else {
        run_on_driver(test, "epoll", in_this_process);
        run_on_driver(test, "uring", in_this_process);
    }
}

int main(int argc, char **argv)
{
    bool list = false, in_this_process = false;
    const char *part;
    int option;

    while ((option = getopt(argc, argv, "ld")) != -1) {
        if (option == '?') {
            fprintf(stderr, "usage: %s [-l] [-d] [PART OF A NAME]\n", argv[0]);
            return 2;
        }
        list |= option == 'l';
        in_this_process |= option == 'd';
    }
    part = optind < argc ? argv[optind] : "";
    alarms_prepare();
    test_verdict = mmap(NULL, sizeof(*test_verdict), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (test_verdict == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    for (struct test *test = tests; test != NULL; test = test->next) {
        if (strstr(test->name, part) == NULL)
            continue;
        if (list)
            printf("%s\n", test->name);
        else
            run_where_it_belongs(test, in_this_process);
    }
    if (list)
        return 0;
    alarms_tell();
    printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
    if (passed + failed + skipped == 0)
        return EXIT_NO_TEST;
    return failed > 0;
}
