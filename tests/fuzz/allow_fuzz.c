/* SPDX-License-Identifier: MIT */
/*
 * allow_fuzz.c -- networks: 10.0.0.0/8 and the like, against a slow and simple judgement.
 *
 * The first 16 bytes are the address that asks to be let in.
 */
#include "fuzz.h"

#include <netinet/in.h>

#include "gate.h"

static bool bit_of(const unsigned char *bytes, unsigned number)
{
    return (bytes[number / 8] >> (7 - number % 8) & 1) != 0;
}

static bool is_inside(const struct network *network, const unsigned char *bytes)
{
    for (unsigned i = 0; i < network->bits; i++) {
        if (bit_of(network->bytes, i) != bit_of(bytes, i))
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    struct network network;
    tn_addr addr;
    char *text;

    if (size < sizeof(in6.sin6_addr))
        return 0;
    memcpy(&in6.sin6_addr, data, sizeof(in6.sin6_addr));
    addr = tn_addr_from((const struct sockaddr *)&in6, sizeof(in6));
    text = fuzz_text(data + sizeof(in6.sin6_addr), size - sizeof(in6.sin6_addr));
    if (allow_read(text, &network)) {
        fuzz_must(network.bits <= 128);
        fuzz_must(allow_has(&network, 1, &addr) == is_inside(&network, data));
        fuzz_must(strcmp(text, "all") != 0 || allow_has(&network, 1, &addr));
    }
    free(text);
    return 0;
}
