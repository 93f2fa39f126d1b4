/* SPDX-License-Identifier: MIT */
/*
 * dice.c -- draws by seed, and the reading and writing of what verdict.c is told and tells.
 *
 * For each packet one random number is mixed of seed, direction and N, and each question
 * asked of it gets a number mixed from that one.  So the answers do not depend on which
 * questions are asked.
 */
#include "rough/dice.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rough/stage.h"

bool dice_parse(struct dice *dice, const char *text, uint64_t seed)
{
    const struct {
        const char *name;
        unsigned *value;
    } names[] = {
        { "delay", &dice->delay },         { "jitter", &dice->jitter },
        { "reorder", &dice->reorder },     { "hold", &dice->hold },
        { "duplicate", &dice->duplicate }, { "corrupt", &dice->corrupt },
        { "lose", &dice->lose },           { "syn-loss", &dice->syn_loss },
        { "ack-loss", &dice->ack_loss },   { "clear-urg", &dice->clear_urg },
    };

    *dice = (struct dice){ .seed = seed };
    while (*text != '\0') {
        size_t size = strcspn(text, "=,"), i = 0;
        char *end = NULL;

        while (i < sizeof(names) / sizeof(names[0]) &&
               (strlen(names[i].name) != size || memcmp(names[i].name, text, size) != 0))
            i++;
        if (i == sizeof(names) / sizeof(names[0]))
            return false;
        text += size;
        *names[i].value = 1;
        if (*text == '=') {
            *names[i].value = (unsigned)strtoul(text + 1, &end, 10);
            text = end;
        }
        text += *text == ',';
    }
    return true;
}

struct draw dice_draw(const struct dice *dice, int way, uint64_t n)
{
    uint64_t packet = mix(mix(dice->seed, (uint64_t)way), n);
    struct draw draw = {
        .lose = mix(packet, 1) % 1000 < dice->lose,
        .syn_loss = mix(packet, 2) % 1000 < dice->syn_loss,
        .ack_loss = mix(packet, 3) % 1000 < dice->ack_loss,
        .duplicate = mix(packet, 4) % 1000 < dice->duplicate,
        .corrupt = mix(packet, 5) % 1000 < dice->corrupt,
        .held = mix(packet, 6) % 1000 < dice->reorder,
        .jitter_us = dice->jitter > 0 ? mix(packet, 7) % (dice->jitter * 1000) : 0,
        .where = mix(packet, 8),
    };

    return draw;
}

uint64_t dice_fold(uint64_t hash, const struct draw *draw)
{
    unsigned bits = draw->lose | (unsigned)draw->syn_loss << 1 |
                    (unsigned)draw->ack_loss << 2 | (unsigned)draw->duplicate << 3 |
                    (unsigned)draw->corrupt << 4 | (unsigned)draw->held << 5;

    return mix(hash, draw->jitter_us << 8 | bits);
}

uint64_t dice_hash(const struct dice *dice, int way, uint64_t count)
{
    uint64_t hash = 0;

    for (uint64_t n = 0; n < count; n++) {
        struct draw draw = dice_draw(dice, way, n);

        hash = dice_fold(hash, &draw);
    }
    return hash;
}

void tally_print(const struct tally *tally)
{
    printf("drawn %" PRIu64 " %" PRIu64 " hash %" PRIx64 " %" PRIx64 " changed %" PRIu64
           "\n",
           tally->drawn[0], tally->drawn[1], tally->hash[0], tally->hash[1],
           tally->changed);
    fflush(stdout);
}

bool tally_parse(struct tally *tally, const char *line)
{
    return sscanf(line,
                  "drawn %" SCNu64 " %" SCNu64 " hash %" SCNx64 " %" SCNx64
                  " changed %" SCNu64,
                  &tally->drawn[0], &tally->drawn[1], &tally->hash[0], &tally->hash[1],
                  &tally->changed) == 5;
}
