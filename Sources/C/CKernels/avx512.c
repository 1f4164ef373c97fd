// For x86-64 processors with AVX-512 F, BW, DQ and VL.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>
#include <string.h>
#pragma clang attribute push(                                                                     \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))),                  \
    apply_to = function)

#define KERNEL(name) avx512_##name
#define HALF_IS_NATIVE 1
#include "portable.h"

// The sixteen weights that a nibble of this block can stand for are one register, so a lookup
// replaces mask, conversion and scaling. The lookup reads only the low four bits of each index.
static inline void nibbles(const uint8_t *bytes, __m512 table, __m512 x0, __m512 x1, __m512 *even,
                           __m512 *odd) {
    __m512i index = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)bytes));
    *even = _mm512_fmadd_ps(_mm512_permutexvar_ps(index, table), x0, *even);
    *odd = _mm512_fmadd_ps(_mm512_permutexvar_ps(_mm512_srli_epi32(index, 4), table), x1, *odd);
}

static inline __m512 ramp(float first) {
    const __m512 steps = _mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_add_ps(steps, _mm512_set1_ps(first));
}

static inline void q4_1(const uint8_t *block, __m512 x0, __m512 x1, __m512 *even, __m512 *odd) {
    int32_t pair;
    memcpy(&pair, block, 4);
    __m512 both = _mm512_cvtph_ps(_mm256_set1_epi32(pair));  // d, m, d, m, ...
    __m512 table = _mm512_fmadd_ps(ramp(0), _mm512_moveldup_ps(both), _mm512_movehdup_ps(both));
    nibbles(block + 4, table, x0, x1, even, odd);
}

static inline __m512 scale_of(const uint8_t *block) {
    int16_t bits;
    memcpy(&bits, block, 2);
    return _mm512_cvtph_ps(_mm256_set1_epi16(bits));
}

static inline void q4_0(const uint8_t *block, __m512 x0, __m512 x1, __m512 *even, __m512 *odd) {
    nibbles(block + 2, _mm512_mul_ps(ramp(-8), scale_of(block)), x0, x1, even, odd);
}

static inline void q8_0(const uint8_t *block, __m512 x0, __m512 x1, __m512 *even, __m512 *odd) {
    __m128i low = _mm_loadu_si128((const __m128i *)(block + 2));
    __m128i high = _mm_loadu_si128((const __m128i *)(block + 18));
    __m512 sum = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(low)), x0);
    sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(high)), x1, sum);
    *even = _mm512_fmadd_ps(sum, scale_of(block), *even);
    (void)odd;
}

// Four rows at a time share the loads of x and keep eight sums in flight.
#define ROWS_DOT(block_kernel, block_bytes)                                                       \
    static void block_kernel##_rows(const uint8_t *rows, size_t row_bytes, const float *x,        \
                                    long columns, long count, float *out) {                       \
        long r = 0;                                                                               \
        for (; r + 4 <= count; r += 4) {                                                          \
            const uint8_t *row = rows + r * row_bytes;                                            \
            __m512 even[4], odd[4];                                                               \
            for (int j = 0; j < 4; j++) even[j] = odd[j] = _mm512_setzero_ps();                   \
            for (long i = 0; i < columns / BLOCK; i++) {                                          \
                __m512 x0 = _mm512_loadu_ps(x + i * BLOCK);                                       \
                __m512 x1 = _mm512_loadu_ps(x + i * BLOCK + 16);                                  \
                for (int j = 0; j < 4; j++)                                                       \
                    block_kernel(row + j * row_bytes + i * block_bytes, x0, x1, &even[j],         \
                                 &odd[j]);                                                        \
            }                                                                                     \
            for (int j = 0; j < 4; j++)                                                           \
                out[r + j] = _mm512_reduce_add_ps(_mm512_add_ps(even[j], odd[j]));                \
        }                                                                                         \
        for (; r < count; r++) {                                                                  \
            __m512 even = _mm512_setzero_ps(), odd = even;                                        \
            for (long i = 0; i < columns / BLOCK; i++)                                            \
                block_kernel(rows + r * row_bytes + i * block_bytes,                              \
                             _mm512_loadu_ps(x + i * BLOCK),                                      \
                             _mm512_loadu_ps(x + i * BLOCK + 16), &even, &odd);                   \
            out[r] = _mm512_reduce_add_ps(_mm512_add_ps(even, odd));                              \
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

const kernel_set kernel_set_avx512 = KERNEL_SET("avx512", rows_dot);
#pragma clang attribute pop
#endif
