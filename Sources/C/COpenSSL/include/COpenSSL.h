#pragma once

// The few primitives of libcrypto that Heptad uses, each with plain arguments. Functions that can
// fail return 1 on success and 0 on failure.

#include <stddef.h>
#include <stdint.h>

#define HEPTAD_SHA256_BYTES 32

// scrypt (RFC 7914) with cost n (a power of two), block size r and parallelism p. Fails when the
// parameters are not valid or need more than memory_max bytes.
int heptad_scrypt(const void *password, size_t password_bytes, const void *salt, size_t salt_bytes,
                  uint64_t n, uint64_t r, uint64_t p, uint64_t memory_max, uint8_t *key,
                  size_t key_bytes);

int heptad_sha256(const void *data, size_t data_bytes, uint8_t digest[HEPTAD_SHA256_BYTES]);

// SHA-256 of bytes that come in pieces. Null where there is no memory. heptad_digest_read writes the
// digest of what came so far; more may follow.
void *heptad_digest_create(void);
int heptad_digest_update(void *state, const void *data, size_t data_bytes);
int heptad_digest_read(const void *state, uint8_t digest[HEPTAD_SHA256_BYTES]);
void heptad_digest_free(void *state);

int heptad_hmac_sha256(const void *key, size_t key_bytes, const void *data, size_t data_bytes,
                       uint8_t digest[HEPTAD_SHA256_BYTES]);

#define HEPTAD_SEAL_KEY_BYTES 32
#define HEPTAD_SEAL_NONCE_BYTES 12
#define HEPTAD_SEAL_TAG_BYTES 16

// AES-256-GCM. `sealed` takes as many bytes as the plain text has; `context` is not in it, and has to
// be the same when it is opened. A nonce may be used once with a key.
int heptad_seal(const uint8_t key[HEPTAD_SEAL_KEY_BYTES],
                const uint8_t nonce[HEPTAD_SEAL_NONCE_BYTES], const void *context,
                size_t context_bytes, const void *plain, size_t plain_bytes, uint8_t *sealed,
                uint8_t tag[HEPTAD_SEAL_TAG_BYTES]);

// Fails for bytes, a context, a nonce or a tag that are not those that were sealed; `plain` must not
// be looked at then.
int heptad_unseal(const uint8_t key[HEPTAD_SEAL_KEY_BYTES],
                  const uint8_t nonce[HEPTAD_SEAL_NONCE_BYTES], const void *context,
                  size_t context_bytes, const void *sealed, size_t sealed_bytes,
                  const uint8_t tag[HEPTAD_SEAL_TAG_BYTES], uint8_t *plain);

int heptad_random(void *buffer, size_t buffer_bytes);

// 1 when the two are the same, in a time that does not depend on what they hold.
int heptad_is_equal(const void *left, const void *right, size_t bytes);
