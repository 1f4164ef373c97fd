// For every processor, and what the other sets are tested against.
#define KERNEL(name) plain_##name
#define HALF_IS_NATIVE 0
#include "portable.h"

// Block by block, through a small buffer.
#define QUANTISED(block_kernel, block_bytes)                                                      \
    static void block_kernel##_rows(const uint8_t *rows, size_t row_bytes, const float *x,        \
                                    long columns, long count, float *out) {                       \
        for (long r = 0; r < count; r++) {                                                        \
            float sum = 0, w[BLOCK];                                                              \
            for (long i = 0; i < columns / BLOCK; i++) {                                          \
                block_kernel(rows + r * row_bytes + i * block_bytes, w);                          \
                for (int j = 0; j < BLOCK; j++) sum += w[j] * x[i * BLOCK + j];                   \
            }                                                                                     \
            out[r] = sum;                                                                         \
        }                                                                                         \
    }                                                                                             \
                                                                                                  \
    static void block_kernel##_expand(const uint8_t *rows, size_t row_bytes, long columns,        \
                                      long count, float *out) {                                   \
        for (long r = 0; r < count; r++)                                                          \
            for (long i = 0; i < columns / BLOCK; i++)                                            \
                block_kernel(rows + r * row_bytes + i * block_bytes,                              \
                             out + r * columns + i * BLOCK);                                      \
    }

static inline void q4_0(const uint8_t *block, float w[BLOCK]) {
    float d = plain_half_at(block);
    for (int i = 0; i < 16; i++) {
        w[i] = d * (float)((block[2 + i] & 15) - 8);
        w[i + 16] = d * (float)((block[2 + i] >> 4) - 8);
    }
}

static inline void q4_1(const uint8_t *block, float w[BLOCK]) {
    float d = plain_half_at(block), m = plain_half_at(block + 2);
    for (int i = 0; i < 16; i++) {
        w[i] = d * (float)(block[4 + i] & 15) + m;
        w[i + 16] = d * (float)(block[4 + i] >> 4) + m;
    }
}

static inline void q8_0(const uint8_t *block, float w[BLOCK]) {
    float d = plain_half_at(block);
    for (int i = 0; i < 32; i++) w[i] = d * (float)(int8_t)block[2 + i];
}

QUANTISED(q4_0, Q4_0_BYTES)
QUANTISED(q4_1, Q4_1_BYTES)
QUANTISED(q8_0, Q8_0_BYTES)

const kernel_set kernel_set_plain = KERNEL_SET("plain");
