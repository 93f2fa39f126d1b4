/* SPDX-License-Identifier: MIT */
/*
 * digest.c -- a thin coat over EVP, so that the rest of the command sees bytes only.
 *
 * libcrypto's digests fail for want of memory alone, and that is found when one is made;
 * a failure later on would be a wrong digest, so it stops the program.
 */
#include "digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

struct digest {
    EVP_MD_CTX *sum, *spare; /* `spare` is for looking at the value so far */
};

static void must(int result)
{
    if (result != 1)
        abort();
}

bool digest_prepare(void)
{
    struct digest *digest = digest_new();

    digest_free(digest);
    return digest != NULL;
}

struct digest *digest_new(void)
{
    struct digest *digest = calloc(1, sizeof(*digest));

    if (!digest)
        return NULL;
    digest->sum = EVP_MD_CTX_new();
    digest->spare = EVP_MD_CTX_new();
    if (digest->sum && digest->spare &&
        EVP_DigestInit_ex(digest->sum, EVP_sha256(), NULL) == 1 &&
        EVP_MD_CTX_copy_ex(digest->spare, digest->sum) == 1)
        return digest;
    digest_free(digest);
    return NULL;
}

void digest_free(struct digest *digest)
{
    if (!digest)
        return;
    EVP_MD_CTX_free(digest->sum);
    EVP_MD_CTX_free(digest->spare);
    free(digest);
}

void digest_reset(struct digest *digest)
{
    must(EVP_DigestInit_ex(digest->sum, NULL, NULL));
}

void digest_add(struct digest *digest, const void *data, size_t size)
{
    must(EVP_DigestUpdate(digest->sum, data, size));
}

void digest_now(const struct digest *digest, unsigned char out[DIGEST_SIZE])
{
    must(EVP_MD_CTX_copy_ex(digest->spare, digest->sum));
    must(EVP_DigestFinal_ex(digest->spare, out, NULL));
}

void digest_keyed(const char *key, size_t key_size, const void *data, size_t size,
                  unsigned char out[DIGEST_SIZE])
{
    must(HMAC(EVP_sha256(), key, (int)key_size, data, size, out, NULL) != NULL);
}

bool digest_same(const unsigned char *one, const unsigned char *other)
{
    return CRYPTO_memcmp(one, other, DIGEST_SIZE) == 0;
}

const char *digest_text(const unsigned char *value, char text[DIGEST_TEXT])
{
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", value[i]);
    return text;
}
