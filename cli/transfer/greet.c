/* SPDX-License-Identifier: MIT */
/*
 * greet.c -- hellos, and proofs of a token.
 *
 * The token itself is never sent.  Each side proves it by HMAC-SHA-256 with the token as
 * the key, over its role and both hellos, in each of which are 32 random bytes: a proof
 * is good for this connection only, and one side's is not the other's.  The sender, who
 * came unasked, goes first.
 */
#include "wire.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define MAGIC_SIZE  8
#define FLAG_TOKEN  1
#define NONCE_AT    16
#define GREET_LIMIT (10 * TN_SECOND) /* who connects and says nothing is not waited for */

static const char sender_magic[MAGIC_SIZE] = { 't', 'e', 'n', 'o', 'n', '-', 's', '\n' };
static const char receiver_magic[MAGIC_SIZE] = {
    't', 'e', 'n', 'o', 'n', '-', 'r', '\n'
};

static tn_err make_hello(unsigned char *hello, bool sender, const char *token)
{
    size_t done = NONCE_AT;

    memset(hello, 0, HELLO_SIZE);
    memcpy(hello, sender ? sender_magic : receiver_magic, MAGIC_SIZE);
    wire_put(hello + 8, 2, WIRE_VERSION);
    wire_put(hello + 10, 2, token ? FLAG_TOKEN : 0);
    while (done < HELLO_SIZE) {
        ssize_t count = getrandom(hello + done, HELLO_SIZE - done, 0);
        if (count < 0 && errno != EINTR)
            return tn_err_errno(errno);
        done += count > 0 ? (size_t)count : 0;
    }
    return tn_ok();
}

static tn_err check_hello(struct wire *wire, const unsigned char *hello, bool from_sender,
                          const char *token)
{
    bool has_token = wire_get(hello + 10, 2) & FLAG_TOKEN;
    unsigned version = (unsigned)wire_get(hello + 8, 2);

    if (memcmp(hello, from_sender ? sender_magic : receiver_magic, MAGIC_SIZE) != 0)
        return tn_err_user(TN_UNSUPPORTED, 0);
    /* A later sender speaks ours too if its receiver does; a later receiver knows that. */
    if (version < WIRE_VERSION || (!from_sender && version != WIRE_VERSION))
        return wire_refuse(wire, REFUSED_VERSION, "version %u is not spoken here, but %d",
                           version, WIRE_VERSION);
    if (has_token && !token)
        return wire_refuse(wire, REFUSED_TOKEN, "no --token is set on the %s's side",
                           from_sender ? "receiver" : "sender");
    if (!has_token && token)
        return wire_refuse(wire, REFUSED_TOKEN, "no --token is set on the %s's side",
                           from_sender ? "sender" : "receiver");
    return tn_ok();
}

/* The proof of whoever is the sender, or is not, with both hellos. */
static void prove(const char *token, bool sender, const unsigned char *hellos,
                  unsigned char *proof)
{
    unsigned char text[1 + 2 * HELLO_SIZE] = { sender ? 's' : 'r' };

    memcpy(text + 1, hellos, 2 * (size_t)HELLO_SIZE);
    digest_keyed(token, strlen(token), text, sizeof(text), proof);
}

static tn_err send_proof(struct wire *wire, const char *token, bool sender,
                         const unsigned char *hellos)
{
    unsigned char proof[DIGEST_SIZE];

    prove(token, sender, hellos, proof);
    return wire_send(wire, MESSAGE_PROOF, proof, sizeof(proof));
}

static tn_err check_proof(struct wire *wire, const char *token, bool of_sender,
                          const unsigned char *hellos)
{
    unsigned char proof[DIGEST_SIZE], wanted[DIGEST_SIZE];
    tn_err err = wire_expect(wire, MESSAGE_PROOF, proof, sizeof(proof));

    if (tn_failed(err))
        return err;
    prove(token, of_sender, hellos, wanted);
    if (!digest_same(proof, wanted))
        return wire_refuse(wire, REFUSED_TOKEN, "the tokens differ");
    return tn_ok();
}

/* HELLOS: the sender's, then the receiver's. */
static tn_err exchange(struct wire *wire, bool sender, const char *token,
                       unsigned char *hellos)
{
    unsigned char *ours = hellos + (sender ? 0 : HELLO_SIZE);
    unsigned char *theirs = hellos + (sender ? HELLO_SIZE : 0);
    tn_err err = make_hello(ours, sender, token);

    if (sender && !tn_failed(err))
        err = tn_write(wire->conn, ours, HELLO_SIZE, NULL, wire->deadline);
    if (!tn_failed(err))
        err = wire_body(wire, theirs, HELLO_SIZE);
    if (tn_failed(err))
        return err;
    err = check_hello(wire, theirs, !sender, token);
    /* It is answered even if it is refused, so that the refusal can be read. */
    if (!sender && err.kind != TN_UNSUPPORTED) {
        tn_err told = tn_write(wire->conn, ours, HELLO_SIZE, NULL, wire->deadline);
        err = tn_failed(err) ? err : told;
    }
    return err;
}

tn_err wire_greet(struct wire *wire, bool sender, const char *token)
{
    unsigned char hellos[2 * HELLO_SIZE];
    tn_deadline deadline = wire->deadline;
    tn_err err;

    wire->deadline = tn_sooner(deadline, tn_in(GREET_LIMIT));
    err = exchange(wire, sender, token, hellos);
    if (token && sender && !tn_failed(err))
        err = send_proof(wire, token, true, hellos);
    if (token && !tn_failed(err))
        err = check_proof(wire, token, !sender, hellos);
    if (token && !sender && !tn_failed(err))
        err = send_proof(wire, token, false, hellos);
    wire->deadline = deadline;
    return err;
}
