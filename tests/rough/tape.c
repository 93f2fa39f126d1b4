/* SPDX-License-Identifier: MIT */
/*
 * tape.c -- the bytes of a direction: what they must be, what they were.
 *
 * The byte at a place is a hash of the tape's key and the place.  An end that reads keeps
 * an FNV-1a hash of what it got; the oracle works out what that has to be for as many bytes.
 *
 * Always true: an echo comes back as what was written, and so has the same key; and what a
 * relay reads on one side it writes on the other.
 */
#include "rough/stage.h"

#include <string.h>

#define FNV_START UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

struct stage *stage;
const struct scenario *scenario;

uint64_t mix(uint64_t one, uint64_t other)
{
    uint64_t mixed = one + UINT64_C(0x9e3779b97f4a7c15) * (other + 1); /* splitmix64 */

    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

uint64_t name_seed(uint64_t seed, const char *name)
{
    for (; *name != '\0'; name++)
        seed = mix(seed, (unsigned char)*name);
    return seed;
}

static struct tape tape_new(uint64_t key)
{
    return (struct tape){
        .key = key, .urgent_at = NOWHERE, .hash = FNV_START, .wrong_at = NOWHERE
    };
}

void view_open(struct view *view, uint16_t port, bool near_dialled, bool far)
{
    uint64_t name = scenario->one_key ? 0 : ((uint64_t)port << 1) + near_dialled;
    struct tape outwards = tape_new(mix(stage->seed, name));
    bool same = scenario->far.echo || scenario->one_key;
    struct tape inwards = tape_new(same ? outwards.key : ~outwards.key);

    *view =
        (struct view){ .port = port, .near_dialled = near_dialled, .marked = NOWHERE };
    view->wrote = far ? inwards : outwards;
    view->got = far ? outwards : inwards;
    if (scenario->far.urgent) { /* the witness reads it in line, the library beside it */
        view->wrote.urgent_at = stage->size / 4;
        view->got.urgent_at = far || stage->urgent_cleared ? stage->size / 4 : NOWHERE;
    }
}

static char byte_at(const struct tape *tape, uint64_t place)
{
    if (place == tape->urgent_at)
        return URGENT;
    if (place > tape->urgent_at)
        place--;
    return (char)(mix(tape->key, place) >> 56);
}

void tape_fill(const struct tape *tape, char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(tape, tape->count + i);
}

void tape_wrote(struct tape *tape, size_t size)
{
    tape->count += size;
}

void tape_got(struct tape *tape, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (tape->wrong_at == NOWHERE && bytes[i] != byte_at(tape, tape->count))
            tape->wrong_at = tape->count;
        tape->hash = (tape->hash ^ (unsigned char)bytes[i]) * FNV_PRIME;
        tape->count++;
    }
}

uint64_t tape_hash(const struct tape *tape, uint64_t count)
{
    uint64_t hash = FNV_START;

    for (uint64_t i = 0; i < count; i++)
        hash = (hash ^ (unsigned char)byte_at(tape, i)) * FNV_PRIME;
    return hash;
}
