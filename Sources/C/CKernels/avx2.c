// For x86-64 processors with AVX2, FMA and F16C: nearly all since 2013.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define KERNEL(name) avx2_##name
#define HALF_IS_NATIVE 1
#include "portable.h"

static inline float sum_of(__m256 v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

// Eight unsigned bytes as floats.
static inline __m256 widen(__m128i bytes) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}

static inline void nibbles(const uint8_t *bytes, float scale, float offset, __m256 w[4]) {
    const __m128i mask = _mm_set1_epi8(15);
    __m256 scales = _mm256_set1_ps(scale), offsets = _mm256_set1_ps(offset);
    __m128i packed = _mm_loadu_si128((const __m128i *)bytes);
    __m128i low = _mm_and_si128(packed, mask);
    __m128i high = _mm_and_si128(_mm_srli_epi16(packed, 4), mask);
    w[0] = _mm256_fmadd_ps(widen(low), scales, offsets);
    w[1] = _mm256_fmadd_ps(widen(_mm_srli_si128(low, 8)), scales, offsets);
    w[2] = _mm256_fmadd_ps(widen(high), scales, offsets);
    w[3] = _mm256_fmadd_ps(widen(_mm_srli_si128(high, 8)), scales, offsets);
}

// The 32 weights of a block.
static inline void q4_1(const uint8_t *block, __m256 w[4]) {
    nibbles(block + 4, KERNEL(half_at)(block), KERNEL(half_at)(block + 2), w);
}

static inline void q4_0(const uint8_t *block, __m256 w[4]) {
    float scale = KERNEL(half_at)(block);
    nibbles(block + 2, scale, -8 * scale, w);
}

static inline void q8_0(const uint8_t *block, __m256 w[4]) {
    __m256 scale = _mm256_set1_ps(KERNEL(half_at)(block));
    for (int i = 0; i < 4; i++) {
        __m128i bytes = _mm_loadl_epi64((const __m128i *)(block + 2 + 8 * i));
        w[i] = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)), scale);
    }
}

static inline void add_products(const __m256 w[4], const float *x, __m256 *even, __m256 *odd) {
    *even = _mm256_fmadd_ps(w[0], _mm256_loadu_ps(x), *even);
    *odd = _mm256_fmadd_ps(w[1], _mm256_loadu_ps(x + 8), *odd);
    *even = _mm256_fmadd_ps(w[2], _mm256_loadu_ps(x + 16), *even);
    *odd = _mm256_fmadd_ps(w[3], _mm256_loadu_ps(x + 24), *odd);
}

// Two rows at a time share the loads of x and keep four sums in flight. The weights are asked for
// 8 KB ahead, as in avx512.c.
#define QUANTISED(block_kernel, block_bytes)                                                      \
    static void block_kernel##_rows(const uint8_t *rows, size_t row_bytes, const float *x,        \
                                    long columns, long count, float *out) {                       \
        __m256 w[4];                                                                              \
        long r = 0;                                                                               \
        for (; r + 2 <= count; r += 2) {                                                          \
            const uint8_t *first = rows + r * row_bytes, *second = first + row_bytes;             \
            __m256 a = _mm256_setzero_ps(), b = a, c = a, d = a;                                  \
            for (long i = 0; i < columns / BLOCK; i++) {                                          \
                const uint8_t *ahead = first + 2 * i * block_bytes + AHEAD_BYTES;                 \
                _mm_prefetch(ahead, _MM_HINT_T0);                                                 \
                if (block_bytes > 32) _mm_prefetch(ahead + 64, _MM_HINT_T0);                      \
                block_kernel(first + i * block_bytes, w);                                         \
                add_products(w, x + i * BLOCK, &a, &b);                                           \
                block_kernel(second + i * block_bytes, w);                                        \
                add_products(w, x + i * BLOCK, &c, &d);                                           \
            }                                                                                     \
            out[r] = sum_of(_mm256_add_ps(a, b));                                                 \
            out[r + 1] = sum_of(_mm256_add_ps(c, d));                                             \
        }                                                                                         \
        for (; r < count; r++) {                                                                  \
            __m256 a = _mm256_setzero_ps(), b = a;                                                \
            for (long i = 0; i < columns / BLOCK; i++) {                                          \
                block_kernel(rows + r * row_bytes + i * block_bytes, w);                          \
                add_products(w, x + i * BLOCK, &a, &b);                                           \
            }                                                                                     \
            out[r] = sum_of(_mm256_add_ps(a, b));                                                 \
        }                                                                                         \
    }                                                                                             \
                                                                                                  \
    static void block_kernel##_expand(const uint8_t *rows, size_t row_bytes, long columns,        \
                                      long count, float *out) {                                   \
        __m256 w[4];                                                                              \
        for (long r = 0; r < count; r++)                                                          \
            for (long i = 0; i < columns / BLOCK; i++) {                                          \
                block_kernel(rows + r * row_bytes + i * block_bytes, w);                          \
                for (int j = 0; j < 4; j++)                                                       \
                    _mm256_storeu_ps(out + r * columns + i * BLOCK + 8 * j, w[j]);                \
            }                                                                                     \
    }

enum { AHEAD_BYTES = 8192 };

QUANTISED(q4_0, Q4_0_BYTES)
QUANTISED(q4_1, Q4_1_BYTES)
QUANTISED(q8_0, Q8_0_BYTES)

const kernel_set kernel_set_avx2 = KERNEL_SET("avx2");
#pragma clang attribute pop
#endif
