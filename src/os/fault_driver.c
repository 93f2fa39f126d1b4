/* SPDX-License-Identifier: MIT */
/*
 * fault_driver.c -- making a driver fail; see fault.h.
 *
 * The driver is the inner system's, with its table of calls replaced by ours: arming and
 * waiting may fail, all the rest is passed on.
 */
#include "base/check.h"
#include "os/fault.h"

static struct fault *self_of(struct os *os)
{
    return CONTAINER(os, struct fault, os);
}

static const struct os_driver_calls *driver_inner(struct os_driver *driver)
{
    return self_of(driver->os)->driver_calls;
}

static void fault_arm(struct os_driver *driver, struct os_event *event)
{
    int result =
        fault_hit(driver->os, event->type == OS_BATCH ? FAULT_SENDTO : FAULT_ARM);

    if (result < 0)
        os_event_refuse(driver, event, result);
    else
        driver_inner(driver)->arm(driver, event);
}

static void fault_cancel(struct os_driver *driver, struct os_event *event)
{
    driver_inner(driver)->cancel(driver, event);
}

static void fault_give(struct os_driver *driver, struct os_segment *segment)
{
    driver_inner(driver)->give(driver, segment);
}

static int fault_wait(struct os_driver *driver, int64_t timeout_ns)
{
    if (fault_hit(driver->os, FAULT_WAIT) < 0)
        return -EINTR; /* the only failure that its contract knows */
    return driver_inner(driver)->wait(driver, timeout_ns);
}

static unsigned fault_cancel_fd(struct os_driver *driver, int fd)
{
    return driver_inner(driver)->cancel_fd(driver, fd);
}

static int fault_descriptor(struct os_driver *driver)
{
    return driver_inner(driver)->descriptor(driver);
}

static void fault_driver_close(struct os_driver *driver)
{
    struct fault *fault = self_of(driver->os);

    fault->driver_calls->close(driver);
    fault->drivers--;
}

static const struct os_driver_calls faulty_driver_calls = {
    .arm = fault_arm,
    .cancel = fault_cancel,
    .give = fault_give,
    .wait = fault_wait,
    .cancel_fd = fault_cancel_fd,
    .descriptor = fault_descriptor,
    .close = fault_driver_close,
};

/*
 * The real drivers want nothing of their system but memory and close, so they are given
 * this one, and their allocations can fail too.  Another system may need its own.
 */
int fault_driver_open(struct os *os, const char *name,
                      const struct os_driver_options *options, struct os_driver **driver)
{
    struct fault *fault = self_of(os);
    struct os *given = fault->inner == &os_linux ? os : fault->inner;
    int result = fault_hit(os, FAULT_DRIVER_OPEN);

    if (result == 0)
        result = fault->inner->calls->driver_open(given, name, options, driver);
    if (result < 0)
        return result;
    CHECK(fault->drivers == 0 || fault->driver_calls == (*driver)->calls);
    fault->drivers++;
    fault->driver_calls = (*driver)->calls;
    (*driver)->calls = &faulty_driver_calls;
    (*driver)->os = os;
    return 0;
}
