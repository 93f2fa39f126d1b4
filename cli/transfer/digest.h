/* SPDX-License-Identifier: MIT */
/*
 * digest.h -- SHA-256 of what goes by, and of a token (OpenSSL's libcrypto).
 *
 * Only the command needs that library; libtenon itself does not.
 */
#ifndef TENON_CLI_TRANSFER_DIGEST_H
#define TENON_CLI_TRANSFER_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#define DIGEST_SIZE 32
#define DIGEST_TEXT (2 * DIGEST_SIZE + 1)

struct digest;

/* digest_prepare -- the first thing, on the first stack: libcrypto sets itself up there. */
bool digest_prepare(void);

/* digest_new -- that of nothing; NULL if there is no memory. */
struct digest *digest_new(void);

/* digest_free -- takes NULL. */
void digest_free(struct digest *digest);

/* digest_reset -- that of nothing again. */
void digest_reset(struct digest *digest);

/* digest_add -- SIZE more bytes. */
void digest_add(struct digest *digest, const void *data, size_t size);

/* digest_now -- the value so far into OUT; more may be added. */
void digest_now(const struct digest *digest, unsigned char out[DIGEST_SIZE]);

/* digest_keyed -- HMAC-SHA-256 (RFC 2104) of SIZE bytes with the KEY of KEY_SIZE. */
void digest_keyed(const char *key, size_t key_size, const void *data, size_t size,
                  unsigned char out[DIGEST_SIZE]);

/* digest_same -- whether both are equal, in a time that does not tell where they differ. */
bool digest_same(const unsigned char *one, const unsigned char *other);

/* digest_text -- VALUE in hexadecimal, in TEXT; returns TEXT. */
const char *digest_text(const unsigned char *value, char text[DIGEST_TEXT]);

#endif
