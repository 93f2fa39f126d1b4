/* SPDX-License-Identifier: MIT */
/*
 * program_fuzz.c -- a program of operations on a connection, run on the simulator, each
 * answer watched by the oracle of tests/sim.
 *
 *      bytes 0..7   the world: driver, kind of connection, network, faults, endings, chance
 *      then, by 3   an operation: who does it and which; how much; how long it may take
 *
 * Each side has two tasks, one that reads and one that writes; each does its operations in
 * their order, and one of a side may cancel the other's task for good.  Every operation has
 * a limit, so that any program comes to an end.
 */
#include "fuzz.h"

#include "sim/world.h"
#include "task/run.h"

enum { HEADER = 8, OPERATION = 3, OPERATIONS_MOST = 120 };

/* The low three bits say who: side, and reader or writer; a reader's and a writer's others. */
enum { READ, READ_ALL, READ_UNTIL, PEEK, LEASE, READER_SLEEPS, CANCEL_WRITER, READS };
enum { WRITE, WRITEV, CONFIRM, END, WRITER_SLEEPS, CANCEL_READER, WRITES };

struct program {
    const uint8_t *header, *operations;
    size_t count;
};

struct player {
    const struct program *program;
    struct side *side;
    struct tn_task *tasks[2];
    bool writes; /* for the task that is being started */
};

static size_t size_of(uint8_t byte)
{
    return (size_t)(byte & 31) << (byte >> 5) * 2 | 1;
}

static tn_deadline limit_of(uint8_t byte)
{
    if (byte == 0)
        return TN_NOW;
    return tn_in((int64_t)(1 + (byte & 15)) * (TN_US << (byte >> 4)) * 10);
}

static void cancel_other(struct player *player, bool writes)
{
    if (player->tasks[!writes] != NULL)
        tn_cancel(player->tasks[!writes]);
}

static void do_read(struct player *player, const uint8_t *operation)
{
    struct side *side = player->side;
    tn_deadline limit = limit_of(operation[2]);
    size_t size = size_of(operation[1]);

    switch ((operation[0] >> 2) % READS) {
    case READ:
        tn_ignore(op_read(side, size, limit));
        break;
    case READ_ALL:
        tn_ignore(op_read_all(side, size, limit));
        break;
    case READ_UNTIL:
        tn_ignore(op_read_until(side, size, limit));
        break;
    case PEEK:
        tn_ignore(op_peek(side, size, limit));
        break;
    case LEASE:
        tn_ignore(op_lease(side, (operation[1] & 15) * TN_US * 100, limit));
        break;
    case READER_SLEEPS:
        tn_ignore(tn_sleep(limit));
        break;
    default:
        cancel_other(player, false);
        break;
    }
}

static void do_write(struct player *player, const uint8_t *operation)
{
    struct side *side = player->side;
    tn_deadline limit = limit_of(operation[2]);
    size_t size = size_of(operation[1]);

    switch ((operation[0] >> 2) % WRITES) {
    case WRITE:
        tn_ignore(op_write(side, size, limit));
        break;
    case WRITEV:
        tn_ignore(op_writev(side, size, limit));
        break;
    case CONFIRM:
        tn_ignore(op_confirm(side, limit));
        break;
    case END:
        tn_ignore(op_end(side));
        break;
    case WRITER_SLEEPS:
        tn_ignore(tn_sleep(limit));
        break;
    default:
        cancel_other(player, true);
        break;
    }
}

/* One of the four tasks: the operations that are its own. */
static tn_err play_half(void *arg)
{
    struct player *player = arg;
    const struct program *program = player->program;
    bool writes = player->writes;
    unsigned me = (unsigned)player->side->at | (writes ? 2U : 0U);

    for (size_t i = 0; i < program->count; i++) {
        const uint8_t *operation = program->operations + i * OPERATION;

        if ((operation[0] & 3) != me)
            continue;
        if (writes)
            do_write(player, operation);
        else
            do_read(player, operation);
    }
    return tn_ok();
}

static void end_side(struct side *side, uint8_t how)
{
    tn_deadline limit = limit_of(how | 0x80);

    switch (how & 3) {
    case 0:
        op_abort(side);
        break;
    case 1:
        tn_ignore(op_close(side, false, TN_NOW));
        break;
    case 2:
        tn_ignore(op_close(side, true, limit));
        break;
    default:
        tn_ignore(op_close(side, false, limit));
        break;
    }
}

static void play(struct side *side, const struct program *program)
{
    static const struct tn_task_options names[] = { { .name = "reader" },
                                                    { .name = "writer" } };
    struct player player = { .program = program, .side = side };

    for (int half = 0; half < 2; half++) {
        player.writes = half == 1;
        must(!tn_failed(
            tn_go(NULL, play_half, &player, &names[half], &player.tasks[half])));
        tn_yield(); /* it takes `writes` before it is another's */
    }
    for (int half = 0; half < 2; half++)
        must(!tn_failed(tn_join(&player.tasks[half], NULL, tn_shielded(INT64_MAX))));
    end_side(side, program->header[6 + side->at]);
}

static tn_err play_accepted(struct side *side, void *arg)
{
    play(side, arg);
    return tn_ok();
}

static struct tn_conn_options options_of(const struct program *program)
{
    uint8_t bits = program->header[1];
    struct tn_conn_options options = {
        .confirmable = (bits & 1) != 0,
        .nagle = (bits & 2) != 0,
        .user_timeout = (bits & 4) != 0 ? TN_SECOND : 0,
        .send_buffer = (bits & 8) != 0 ? 2500 : 0,
        .receive_buffer = (bits & 16) != 0 ? 1200 : 0,
    };

    return options;
}

static void play_tcp(const struct program *program)
{
    struct tn_conn_options options = options_of(program);
    struct service service;
    struct side *side = NULL;

    if (!service_open(&service, "10.0.0.2:0", 0, &options, play_accepted,
                      (void *)(uintptr_t)program))
        return;
    if (!tn_failed(op_dial(&side, &service.addr, &options, tn_in(20 * TN_SECOND))))
        play(side, program);
    service_close(&service);
}

struct half_pair {
    struct side *side;
    const struct program *program;
};

static tn_err play_paired(void *arg)
{
    const struct half_pair *half = arg;

    play(half->side, half->program);
    return tn_ok();
}

static void play_unix(const struct program *program)
{
    struct tn_conn *near = NULL, *far = NULL;
    struct tn_task *task = NULL;
    struct side *sides[2];
    struct half_pair other;

    must(!tn_failed(tn_pair(&near, &far)));
    pair_open(near, far, sides);
    other = (struct half_pair){ sides[1], program };
    must(!tn_failed(tn_go(NULL, play_paired, &other, NULL, &task)));
    play(sides[0], program);
    must(!tn_failed(tn_join(&task, NULL, TN_NEVER)));
}

static tn_err world_main(void *arg)
{
    const struct program *program = arg;

    if ((program->header[0] & 2) != 0)
        play_unix(program);
    else
        play_tcp(program);
    return tn_ok();
}

/* ---- one world ---- */

static void stalled(void *arg)
{
    (void)arg;
    finding(__FILE__, __LINE__, "a standstill: no task can ever run again");
}

static void draw_weather(const struct program *program, struct sim_options *options)
{
    static const int64_t delays[] = { 0, 50 * TN_US, 2 * TN_MS, 40 * TN_MS };
    static const uint32_t segments[] = { 536, 1448, 8948, 65483 };
    const uint8_t *header = program->header;
    unsigned faults = header[3] | (unsigned)header[4] << 8;

    *options = (struct sim_options){
        .seed = header[5],
        .stalled = stalled,
        .route.there.delay_min = delays[header[2] & 3],
        .route.there.delay_max = delays[header[2] & 3] * 2,
        .route.back.delay_min = delays[header[2] >> 2 & 3],
        .route.back.delay_max = delays[header[2] >> 2 & 3] * 2,
        .route.segment = segments[header[2] >> 4 & 3],
        .route.ack_delay = (header[2] & 64) != 0 ? 40 * TN_MS : 0,
        .fault_within = (header[2] & 128) != 0 ? TN_SECOND : 5 * TN_MS,
        .call_cost = 1000,
        .descriptors = 256,
        .feed_memory = (header[0] & 4) != 0 ? 65536 : 1024 * 1024,
    };
    /* What happens now and then; what happens to one connection in a few. */
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++) {
        bool rare = fault >= SIM_CUT && fault <= SIM_ABORTED;

        if (fault != SIM_OPTION && (faults >> fault % 16 & 1) != 0)
            options->chances.of[fault] = rare ? 300000 : 100000;
    }
}

static void check_leaks(void)
{
    struct sim_facts facts;

    sim_facts(world->sim, &facts);
    must(world->begun == world->ended);
    must(facts.descriptors == 0 && facts.allocations == 0 && facts.mapped == 0);
    must(facts.armed == 0 && facts.lent == 0 && facts.sigpipes == 0);
}

static void run(const struct program *program)
{
    struct world here = { .seed = program->header[5], .random = program->header[5] };
    struct tn_loop_options loop = { 0 };
    struct sim_options options;

    loop.driver = (program->header[0] & 1) != 0 ? "uring" : "epoll";
    draw_weather(program, &options);
    here.weather = options;
    here.verbose = getenv("V") != NULL;
    world = &here;
    must(sim_open(&here.sim, &options) == 0);
    must(!tn_failed(
        run_on(sim_os(here.sim), world_main, (void *)(uintptr_t)program, &loop)));
    check_leaks();
    check_outcomes();
    ledgers_free();
    sim_close(here.sim);
    world = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct program program = { data, data + HEADER, 0 };

    if (size < HEADER)
        return 0;
    program.count = (size - HEADER) / OPERATION;
    if (program.count > OPERATIONS_MOST)
        program.count = OPERATIONS_MOST;
    run(&program);
    return 0;
}
