/* SPDX-License-Identifier: MIT */
/*
 * sim_chance.c -- what is left to chance, by the seed.
 *
 * Numbers come from xoshiro256** (Blackman, Vigna 2018), in separate streams for the
 * network, for calls, for the driver and for the program, so that a change in one leaves
 * the others alone.
 */
#include "os/sim_inside.h"

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void random_seed(struct sim_random *random, uint64_t *seed)
{
    for (int i = 0; i < 4; i++)
        random->state[i] = splitmix(seed);
}

static uint64_t rotate(uint64_t word, int by)
{
    return word << by | word >> (64 - by);
}

uint64_t sim_random_next(struct sim_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t sim_random_below(struct sim_random *random, uint64_t limit)
{
    return limit > 1 ? sim_random_next(random) % limit : 0;
}

int64_t sim_random_between(struct sim_random *random, int64_t least, int64_t most)
{
    if (most <= least)
        return least;
    return least + (int64_t)sim_random_below(random, (uint64_t)(most - least) + 1);
}

void sim_count(struct sim *sim, enum sim_fault fault)
{
    sim->facts.faults[fault]++;
    sim_trace(sim, 'F', (uint64_t)fault, 0);
}

bool sim_may_strike(struct sim *sim)
{
    uint64_t most = sim->options.strikes_most;

    sim->strikes++;
    return most == 0 || sim->strikes <= most;
}

bool sim_strikes(struct sim *sim, struct sim_random *random, enum sim_fault fault)
{
    uint32_t chance = sim->options.chances.of[fault];

    if (chance == 0 || sim_random_below(random, 1000000) >= chance ||
        !sim_may_strike(sim))
        return false;
    sim_count(sim, fault);
    return true;
}

void sim_chances_set(struct sim *sim, const struct sim_chances *chances)
{
    sim->options.chances = *chances;
}

uint64_t sim_draw(struct sim *sim, uint64_t limit)
{
    return sim_random_below(&sim->chance_user, limit);
}

void sim_chances_open(struct sim *sim)
{
    uint64_t seed = sim->options.seed;

    random_seed(&sim->chance_net, &seed);
    random_seed(&sim->chance_call, &seed);
    random_seed(&sim->chance_driver, &seed);
    random_seed(&sim->chance_user, &seed);
}
