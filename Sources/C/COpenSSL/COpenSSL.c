#include "COpenSSL.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

int heptad_scrypt(const void *password, size_t password_bytes, const void *salt, size_t salt_bytes,
                  uint64_t n, uint64_t r, uint64_t p, uint64_t memory_max, uint8_t *key,
                  size_t key_bytes) {
    return EVP_PBE_scrypt(password, password_bytes, salt, salt_bytes, n, r, p, memory_max, key,
                          key_bytes) == 1;
}

int heptad_sha256(const void *data, size_t data_bytes, uint8_t digest[HEPTAD_SHA256_BYTES]) {
    return EVP_Digest(data, data_bytes, digest, NULL, EVP_sha256(), NULL) == 1;
}

void *heptad_digest_create(void) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(context);
        return NULL;
    }
    return context;
}

int heptad_digest_update(void *state, const void *data, size_t data_bytes) {
    return EVP_DigestUpdate(state, data, data_bytes) == 1;
}

int heptad_digest_read(const void *state, uint8_t digest[HEPTAD_SHA256_BYTES]) {
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    int is_done = copy != NULL && EVP_MD_CTX_copy_ex(copy, state) == 1 &&
                  EVP_DigestFinal_ex(copy, digest, NULL) == 1;
    EVP_MD_CTX_free(copy);
    return is_done;
}

void heptad_digest_free(void *state) { EVP_MD_CTX_free(state); }

int heptad_hmac_sha256(const void *key, size_t key_bytes, const void *data, size_t data_bytes,
                       uint8_t digest[HEPTAD_SHA256_BYTES]) {
    if (key_bytes > INT_MAX) return 0;
    return HMAC(EVP_sha256(), key, (int)key_bytes, data, data_bytes, digest, NULL) != NULL;
}

int heptad_seal(const uint8_t key[HEPTAD_SEAL_KEY_BYTES],
                const uint8_t nonce[HEPTAD_SEAL_NONCE_BYTES], const void *context,
                size_t context_bytes, const void *plain, size_t plain_bytes, uint8_t *sealed,
                uint8_t tag[HEPTAD_SEAL_TAG_BYTES]) {
    if (context_bytes > INT_MAX || plain_bytes > INT_MAX) return 0;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int count = 0;
    int is_done = cipher != NULL &&
                  EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
                  EVP_EncryptUpdate(cipher, NULL, &count, context, (int)context_bytes) == 1 &&
                  EVP_EncryptUpdate(cipher, sealed, &count, plain, (int)plain_bytes) == 1 &&
                  EVP_EncryptFinal_ex(cipher, sealed + count, &count) == 1 &&
                  EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, HEPTAD_SEAL_TAG_BYTES, tag) == 1;
    EVP_CIPHER_CTX_free(cipher);
    return is_done;
}

int heptad_unseal(const uint8_t key[HEPTAD_SEAL_KEY_BYTES],
                  const uint8_t nonce[HEPTAD_SEAL_NONCE_BYTES], const void *context,
                  size_t context_bytes, const void *sealed, size_t sealed_bytes,
                  const uint8_t tag[HEPTAD_SEAL_TAG_BYTES], uint8_t *plain) {
    if (context_bytes > INT_MAX || sealed_bytes > INT_MAX) return 0;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int count = 0;
    // The tag is not written, though the call does not say so.
    int is_done = cipher != NULL &&
                  EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
                  EVP_DecryptUpdate(cipher, NULL, &count, context, (int)context_bytes) == 1 &&
                  EVP_DecryptUpdate(cipher, plain, &count, sealed, (int)sealed_bytes) == 1 &&
                  EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, HEPTAD_SEAL_TAG_BYTES,
                                      (void *)tag) == 1 &&
                  EVP_DecryptFinal_ex(cipher, plain + count, &count) == 1;
    EVP_CIPHER_CTX_free(cipher);
    return is_done;
}

int heptad_random(void *buffer, size_t buffer_bytes) {
    if (buffer_bytes > INT_MAX) return 0;
    return RAND_bytes(buffer, (int)buffer_bytes) == 1;
}

int heptad_is_equal(const void *left, const void *right, size_t bytes) {
    return CRYPTO_memcmp(left, right, bytes) == 0;
}
