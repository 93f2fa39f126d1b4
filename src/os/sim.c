/* SPDX-License-Identifier: MIT */
/*
 * sim.c -- a kernel in memory: its clock, its events, and its struct os.
 *
 * Time moves in two ways only: each system call costs a little, and who waits jumps to
 * the next event.  Events run between calls, never within one, as packets are taken in
 * between a program's calls.
 *
 * Always true: the run depends on nothing but the seed, the options and the calls made;
 * no address, no real clock and no order of memory has a say in it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/sim_tcp.h"

#define CALL_COST_DEFAULT   500
#define DESCRIPTORS_DEFAULT 1024
#define FEED_MEMORY_DEFAULT ((size_t)1024 * 1024)
#define STALL_DEFAULT       (10800 * SIM_SECOND)

/* The virtual clock starts here: some time after a boot. */
#define START (1000 * SIM_SECOND)

#define FAULT_TEXT(name, text) [SIM_##name] = text,

static const char *const fault_texts[] = { SIM_FAULTS(FAULT_TEXT) };

const char *sim_fault_text(enum sim_fault fault)
{
    return fault_texts[fault];
}

/* ---- memory ---- */

void *sim_new(size_t size)
{
    return os_allocate(&os_linux, size);
}

void sim_free(void *memory)
{
    os_release(&os_linux, memory);
}

/* What the program allocates is real memory, counted. */
static void *sim_os_allocate(struct os *os, size_t size)
{
    void *memory = os_allocate(&os_linux, size);

    sim_of(os)->facts.allocations += memory != NULL;
    return memory;
}

static void sim_os_release(struct os *os, void *memory)
{
    sim_of(os)->facts.allocations -= memory != NULL;
    os_release(&os_linux, memory);
}

static void *sim_os_map(struct os *os, size_t size)
{
    void *pages = os_map(&os_linux, size);

    sim_of(os)->facts.mapped += pages != NULL ? size : 0;
    return pages;
}

static void sim_os_unmap(struct os *os, void *pages, size_t size)
{
    sim_of(os)->facts.mapped -= size;
    os_unmap(&os_linux, pages, size);
}

static int sim_os_guard(struct os *os, void *pages, size_t size)
{
    (void)os;
    return os_guard(&os_linux, pages, size);
}

static void sim_os_discard(struct os *os, void *pages, size_t size)
{
    (void)os;
    os_discard(&os_linux, pages, size);
}

static size_t sim_os_resident(struct os *os, const void *pages, size_t size)
{
    (void)os;
    return os_resident(&os_linux, pages, size);
}

/* ---- events and the clock ---- */

int sim_room(struct sim *sim, size_t count)
{
    size_t needed = sim->events_kept + count;
    size_t room = sim->events.room > 0 ? sim->events.room : 64;
    void *array;

    if (needed > sim->events.room) {
        while (room < needed)
            room *= 2;
        array = sim_new(room * sizeof(struct timer *));
        if (array == NULL)
            return -ENOMEM;
        sim_free(timers_grow(&sim->events, array, room));
    }
    sim->events_kept = needed;
    return 0;
}

void sim_room_back(struct sim *sim, size_t count)
{
    CHECK(sim->events_kept >= count);
    sim->events_kept -= count;
}

void sim_event_set(struct sim *sim, struct sim_event *event, int64_t point)
{
    timer_set(&sim->events, &event->timer, point);
}

void sim_event_clear(struct sim *sim, struct sim_event *event)
{
    timer_clear(&sim->events, &event->timer);
}

bool sim_step(struct sim *sim, int64_t limit)
{
    struct timer *first = timers_first(&sim->events);
    struct sim_event *event;

    if (first == NULL || first->point > limit)
        return false;
    CHECK(!sim->in_event);
    event = CONTAINER(first, struct sim_event, timer);
    if (first->point > sim->now)
        sim->now = first->point;
    timer_clear(&sim->events, first);
    sim->facts.events++;
    sim->in_event = true;
    event->run(sim, event);
    sim->in_event = false;
    return true;
}

void sim_call(struct sim *sim)
{
    int64_t cost = sim->options.call_cost;

    sim->facts.calls++;
    if (sim->in_event)
        return;
    if (cost > 0)
        sim->now += sim_random_between(&sim->chance_call, cost / 2, cost + cost / 2);
    while (sim_step(sim, sim->now))
        continue;
}

static int64_t sim_os_now(struct os *os)
{
    struct sim *sim = sim_of(os);

    sim_call(sim);
    return sim->now;
}

static int64_t sim_os_preemptions(struct os *os)
{
    (void)os;
    return 0;
}

int64_t sim_now(const struct sim *sim)
{
    return sim->now;
}

/* FNV-1a over whole words, with a stir: order counts, and every bit. */
void sim_trace(struct sim *sim, uint32_t what, uint64_t one, uint64_t other)
{
    const uint64_t words[4] = { what, (uint64_t)sim->now, one, other };

    for (int i = 0; i < 4; i++) {
        sim->hash = (sim->hash ^ words[i]) * UINT64_C(0x100000001b3);
        sim->hash ^= sim->hash >> 29;
    }
}

uint64_t sim_hash(const struct sim *sim)
{
    return sim->hash;
}

_Noreturn void sim_standstill(struct sim *sim, const char *why)
{
    fprintf(stderr, "sim: seed %llu, at %lld ns: %s\n",
            (unsigned long long)sim->options.seed, (long long)(sim->now - START), why);
    if (sim->options.stalled != NULL)
        sim->options.stalled(sim->options.stalled_arg);
    UNREACHED("the simulated program waits for what cannot come");
}

/* ---- making one ---- */

static int sim_os_copy(struct os *os, void *to, const void *from, size_t size)
{
    (void)os;
    memcpy(to, from, size); /* simulated callers pass memory that is there */
    return 0;
}

static const struct os_calls sim_calls = {
    .one_thread = true,
    .name = "sim",
    .read = sim_os_read,
    .write = sim_os_write,
    .readv = sim_os_readv,
    .writev = sim_os_writev,
    .readv2 = sim_os_readv2,
    .writev2 = sim_os_writev2,
    .open = sim_os_open,
    .mode = sim_os_mode,
    .close = sim_os_close,
    .fcntl = sim_os_fcntl,
    .ioctl = sim_os_ioctl,
    .poll = sim_os_poll,
    .dup = sim_os_dup,
    .eventfd = sim_os_eventfd,
    .pipe = sim_os_pipe,
    .splice_in = sim_os_splice_in,
    .splice_out = sim_os_splice_out,
    .signalfd = sim_os_signalfd,
    .handlers = sim_os_handlers,
    .blocked = sim_os_blocked,
    .socket = sim_os_socket,
    .socketpair = sim_os_socketpair,
    .bind = sim_os_bind,
    .listen = sim_os_listen,
    .accept = sim_os_accept,
    .connect = sim_os_connect,
    .shutdown = sim_os_shutdown,
    .recvfrom = sim_os_recvfrom,
    .sendto = sim_os_sendto,
    .recvmsg = sim_os_recvmsg,
    .sendmsg = sim_os_sendmsg,
    .getsockname = sim_os_getsockname,
    .getpeername = sim_os_getpeername,
    .getsockopt = sim_os_getsockopt,
    .setsockopt = sim_os_setsockopt,
    .stat = sim_os_stat,
    .chmod = sim_os_chmod,
    .unlink = sim_os_unlink,
    .now = sim_os_now,
    .late_now = sim_os_now,
    .preemptions = sim_os_preemptions,
    .allocate = sim_os_allocate,
    .release = sim_os_release,
    .map = sim_os_map,
    .unmap = sim_os_unmap,
    .guard = sim_os_guard,
    .copy = sim_os_copy,
    .discard = sim_os_discard,
    .resident = sim_os_resident,
    .driver_open = sim_driver_open,
};

static void options_take(struct sim *sim, const struct sim_options *options)
{
    if (options != NULL)
        sim->options = *options;
    if (sim->options.descriptors == 0)
        sim->options.descriptors = DESCRIPTORS_DEFAULT;
    if (sim->options.call_cost == 0)
        sim->options.call_cost = CALL_COST_DEFAULT;
    if (sim->options.fault_within == 0)
        sim->options.fault_within = SIM_SECOND;
    if (sim->options.feed_memory == 0)
        sim->options.feed_memory = FEED_MEMORY_DEFAULT;
    if (sim->options.stall == 0)
        sim->options.stall = STALL_DEFAULT;
}

int sim_open(struct sim **sim, const struct sim_options *options)
{
    struct sim *made = sim_new(sizeof(*made));

    if (made == NULL)
        return -ENOMEM;
    made->os.calls = &sim_calls;
    options_take(made, options);
    made->slot_count = made->options.descriptors;
    made->slots = sim_new(made->slot_count * sizeof(made->slots[0]));
    if (made->slots == NULL || sim_room(made, 64) < 0) {
        sim_free(made->slots);
        sim_free(made);
        return -ENOMEM;
    }
    sim_room_back(made, 64);
    list_init(&made->sockets);
    list_init(&made->wires);
    list_init(&made->segments);
    list_init(&made->routes);
    list_init(&made->drivers);
    list_init(&made->names);
    made->now = START;
    made->hash = SIM_DIGEST_START;
    sim_chances_open(made);
    made->next_port = (uint16_t)(32768 + sim_random_below(&made->chance_net, 28000));
    *sim = made;
    return 0;
}

void sim_close(struct sim *sim)
{
    CHECK(list_empty(&sim->drivers)); /* close the loops first */
    sim_files_close(sim);
    sim_wires_free(sim);
    sim_names_free(sim);
    CHECK(sim->events.count == 0 && list_empty(&sim->sockets));
    sim_free(sim->events.heap);
    sim_free(sim->slots);
    sim_free(sim);
}

struct sim *sim_under(struct os *os)
{
    return os->calls == &sim_calls ? sim_of(os) : NULL;
}

struct os *sim_os(struct sim *sim)
{
    return &sim->os;
}

void sim_facts(const struct sim *sim, struct sim_facts *facts)
{
    *facts = sim->facts;
}

void sim_raise(struct sim *sim, int number)
{
    CHECK(number > 0 && number < 64);
    sim->raised |= UINT64_C(1) << number;
    sim->interrupt = true;
    for (unsigned fd = 0; fd < sim->slot_count; fd++) {
        if (sim->slots[fd].file != NULL && !sim->slots[fd].file->is_socket)
            sim_wake(sim, sim->slots[fd].file, POLLIN);
    }
}
