/* SPDX-License-Identifier: MIT */
/*
 * main.cpp -- C++ exceptions in tasks: thrown, caught, and in flight while others run.
 *
 * What has been caught is kept per thread by the C++ runtime, so a task that parks in a
 * catch block would come back to what another task has caught since.  See context.c.
 */
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include <tenon.h>

static unsigned passed, failed;

static void check(const char *name, bool holds)
{
    std::printf("  %s  %s\n", holds ? "pass" : "FAIL", name);
    passed += holds;
    failed += !holds;
}

struct thrower {
    const char *text;
    bool right;
};

/* Each frame between the throw and the catch has something to destroy. */
static void throw_deep(const char *text, int depth)
{
    std::string here(text);

    if (depth == 0) {
        tn_yield();
        throw std::runtime_error(here);
    }
    throw_deep(text, depth - 1);
}

/* Catch, let the others run inside the catch block, throw it again. */
static void catch_and_rethrow(const char *text)
{
    try {
        throw_deep(text, 5);
    } catch (const std::exception &) {
        tn_yield();
        try {
            throw_deep("inner", 3);
        } catch (const std::exception &) {
            tn_yield();
        }
        tn_yield();
        throw; /* the one of the outer block, of this task */
    }
}

static tn_err throw_and_catch(void *arg)
{
    thrower *self = static_cast<thrower *>(arg);

    self->right = true;
    for (int i = 0; i < 100; i++) {
        try {
            catch_and_rethrow(self->text);
            self->right = false;
        } catch (const std::exception &caught) {
            tn_yield();
            self->right = self->right && std::string(caught.what()) == self->text;
            self->right = self->right && std::uncaught_exceptions() == 0;
        }
    }
    return tn_ok();
}

static tn_err run_throwers(void *arg)
{
    thrower *throwers = static_cast<thrower *>(arg);
    tn_err err = tn_ok();

    for (int i = 0; i < 3 && !tn_failed(err); i++)
        err = tn_go(nullptr, throw_and_catch, &throwers[i], nullptr, nullptr);
    return err;
}

static tn_err let_one_escape(void *)
{
    throw std::runtime_error("nobody catches this");
}

static void terminated()
{
    std::_Exit(42);
}

/* As in a thread: std::terminate, not a crash in some frame below the task's first. */
static bool escape_terminates()
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        std::set_terminate(terminated);
        tn_ignore(tn_run(let_one_escape, nullptr, nullptr)); /* it does not come back */
        std::_Exit(1);
    }
    return waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 42;
}

int main()
{
    thrower throwers[3] = { { "one", false }, { "two", false }, { "three", false } };
    tn_err err = tn_run(run_throwers, throwers, nullptr);
    char text[200];

    if (tn_failed(err))
        std::printf("%s\n", tn_err_text(err, text, sizeof(text)));
    check("tasks that throw come to their end", !tn_failed(err));
    check("each task catches what it has thrown, whatever others do meanwhile",
          throwers[0].right && throwers[1].right && throwers[2].right);
    check("an exception that leaves its task ends the program by std::terminate",
          escape_terminates());
    std::printf("%u passed, %u failed, 0 skipped\n", passed, failed);
    return failed > 0;
}
