/* SPDX-License-Identifier: MIT */
/*
 * report.c -- telling people what went wrong with their tasks.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tenon/sync.h>

#include "task/task.h"

/* Lines of a report; more tasks than that are counted, not named. */
#define REPORT_LINES 20
#define REPORT_SIZE  3072

void loop_report(struct tn_loop *loop, enum tn_report what, const char *text)
{
    if (loop->report != NULL) {
        loop->report(what, text, loop->report_arg);
        return;
    }
    /* write(2), since this may be a signal handler; nobody to tell if it fails. */
    ssize_t unused = write(STDERR_FILENO, text, strlen(text));
    (void)unused;
}

#define WAIT_NAME(name, text) [WAIT_##name] = text,

/* `used`: clang keeps it whole then, for tools/tenon-gdb.py. */
__attribute__((used)) static const char *const wait_names[] = { WAIT_KINDS(WAIT_NAME) };

static int line_for(const struct tn_task *task, char *buf, size_t size)
{
    const struct tn_task *other = task->waits_on;
    const struct tn_mutex *mutex = task->waits_on;

    if (task->waits_for == WAIT_TASK)
        return snprintf(buf, size, "  task '%s' waits for task '%s' to end\n", task->name,
                        other->name);
    if (task->waits_for == WAIT_MUTEX)
        return snprintf(buf, size, "  task '%s' waits for mutex %p, held by '%s'\n",
                        task->name, task->waits_on,
                        mutex->owner != NULL ? mutex->owner->name : "nobody");
    return snprintf(buf, size, "  task '%s' waits for %s %p\n", task->name,
                    wait_names[task->waits_for], task->waits_on);
}

void report_deadlock(struct tn_loop *loop)
{
    char text[REPORT_SIZE];
    size_t used;
    unsigned lines = 0;

    used = (size_t)snprintf(text, sizeof(text),
                            "tenon: deadlock: each of %u tasks waits for another one\n",
                            loop->alive);
    for (struct link *at = loop->tasks.next; at != &loop->tasks; at = at->next) {
        if (lines++ == REPORT_LINES) {
            snprintf(text + used, sizeof(text) - used, "  ... and %u more\n",
                     loop->alive - REPORT_LINES);
            break;
        }
        used += (size_t)line_for(CONTAINER(at, struct tn_task, in_loop), text + used,
                                 sizeof(text) - used);
    }
    loop_report(loop, TN_REPORT_DEADLOCK, text);
}
