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

// 32 nibbles times scale plus offset, times x, into two sums.
static inline void nibbles(const uint8_t *bytes, __m256 scale, __m256 offset, const float *x,
                           __m256 *even, __m256 *odd) {
    const __m128i mask = _mm_set1_epi8(15);
    __m128i packed = _mm_loadu_si128((const __m128i *)bytes);
    __m128i low = _mm_and_si128(packed, mask);
    __m128i high = _mm_and_si128(_mm_srli_epi16(packed, 4), mask);
    __m256 a = _mm256_fmadd_ps(widen(low), scale, offset);
    __m256 b = _mm256_fmadd_ps(widen(_mm_srli_si128(low, 8)), scale, offset);
    __m256 c = _mm256_fmadd_ps(widen(high), scale, offset);
    __m256 d = _mm256_fmadd_ps(widen(_mm_srli_si128(high, 8)), scale, offset);
    *even = _mm256_fmadd_ps(a, _mm256_loadu_ps(x), *even);
    *odd = _mm256_fmadd_ps(b, _mm256_loadu_ps(x + 8), *odd);
    *even = _mm256_fmadd_ps(c, _mm256_loadu_ps(x + 16), *even);
    *odd = _mm256_fmadd_ps(d, _mm256_loadu_ps(x + 24), *odd);
}

static inline void q4_1(const uint8_t *block, const float *x, __m256 *even, __m256 *odd) {
    __m256 scale = _mm256_set1_ps(KERNEL(half_at)(block));
    __m256 offset = _mm256_set1_ps(KERNEL(half_at)(block + 2));
    nibbles(block + 4, scale, offset, x, even, odd);
}

static inline void q4_0(const uint8_t *block, const float *x, __m256 *even, __m256 *odd) {
    float scale = KERNEL(half_at)(block);
    nibbles(block + 2, _mm256_set1_ps(scale), _mm256_set1_ps(-8 * scale), x, even, odd);
}

static inline void q8_0(const uint8_t *block, const float *x, __m256 *even, __m256 *odd) {
    __m256 scale = _mm256_set1_ps(KERNEL(half_at)(block));
    __m256 sum = _mm256_setzero_ps();
    for (int i = 0; i < 4; i++) {
        __m128i bytes = _mm_loadl_epi64((const __m128i *)(block + 2 + 8 * i));
        __m256 weights = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
        sum = _mm256_fmadd_ps(weights, _mm256_loadu_ps(x + 8 * i), sum);
    }
    *even = _mm256_fmadd_ps(sum, scale, *even);
    (void)odd;
}

// Two rows at a time share the loads of x and keep four sums in flight.
#define ROWS_DOT(block_kernel, block_bytes)                                                       \
    static void block_kernel##_rows(const uint8_t *rows, size_t row_bytes, const float *x,        \
                                    long columns, long count, float *out) {                       \
        long r = 0;                                                                               \
        for (; r + 2 <= count; r += 2) {                                                          \
            const uint8_t *first = rows + r * row_bytes, *second = first + row_bytes;             \
            __m256 a = _mm256_setzero_ps(), b = a, c = a, d = a;                                  \
            for (long i = 0; i < columns / BLOCK; i++) {                                          \
                block_kernel(first + i * block_bytes, x + i * BLOCK, &a, &b);                     \
                block_kernel(second + i * block_bytes, x + i * BLOCK, &c, &d);                    \
            }                                                                                     \
            out[r] = sum_of(_mm256_add_ps(a, b));                                                 \
            out[r + 1] = sum_of(_mm256_add_ps(c, d));                                             \
        }                                                                                         \
        for (; r < count; r++) {                                                                  \
            __m256 a = _mm256_setzero_ps(), b = a;                                                \
            for (long i = 0; i < columns / BLOCK; i++)                                            \
                block_kernel(rows + r * row_bytes + i * block_bytes, x + i * BLOCK, &a, &b);      \
            out[r] = sum_of(_mm256_add_ps(a, b));                                                 \
        }                                                                                         \
    }

ROWS_DOT(q4_0, Q4_0_BYTES)
ROWS_DOT(q4_1, Q4_1_BYTES)
ROWS_DOT(q8_0, Q8_0_BYTES)

static void rows_dot(int type, const void *rows, size_t row_bytes, const float *x, long columns,
                     long count, float *out) {
    switch (type) {
    case KERNEL_Q4_0: q4_0_rows(rows, row_bytes, x, columns, count, out); break;
    case KERNEL_Q4_1: q4_1_rows(rows, row_bytes, x, columns, count, out); break;
    case KERNEL_Q8_0: q8_0_rows(rows, row_bytes, x, columns, count, out); break;
    default: KERNEL(rows_dot_portable)(type, rows, row_bytes, x, columns, count, out); break;
    }
}

const kernel_set kernel_set_avx2 = KERNEL_SET("avx2", rows_dot);
#pragma clang attribute pop
#endif
