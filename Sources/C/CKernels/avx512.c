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

static inline __m512 ramp(float first) {
    const __m512 steps = _mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_add_ps(steps, _mm512_set1_ps(first));
}

static inline __m512 scale_of(const uint8_t *block) {
    int16_t bits;
    memcpy(&bits, block, 2);
    return _mm512_cvtph_ps(_mm256_set1_epi16(bits));
}

// The sixteen weights that a nibble of a block can stand for are one register, so a lookup replaces
// mask, conversion and scaling. The lookup reads only the low four bits of each index.
static inline void look_up(const uint8_t *bytes, __m512 table, __m512 *w0, __m512 *w1) {
    __m512i index = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)bytes));
    *w0 = _mm512_permutexvar_ps(index, table);
    *w1 = _mm512_permutexvar_ps(_mm512_srli_epi32(index, 4), table);
}

// The 32 weights of a block.
static inline void q4_1(const uint8_t *block, __m512 *w0, __m512 *w1) {
    int32_t pair;
    memcpy(&pair, block, 4);
    __m512 both = _mm512_cvtph_ps(_mm256_set1_epi32(pair));  // d, m, d, m, ...
    __m512 table = _mm512_fmadd_ps(ramp(0), _mm512_moveldup_ps(both), _mm512_movehdup_ps(both));
    look_up(block + 4, table, w0, w1);
}

static inline void q4_0(const uint8_t *block, __m512 *w0, __m512 *w1) {
    look_up(block + 2, _mm512_mul_ps(ramp(-8), scale_of(block)), w0, w1);
}

static inline void q8_0(const uint8_t *block, __m512 *w0, __m512 *w1) {
    __m512 scale = scale_of(block);
    __m128i low = _mm_loadu_si128((const __m128i *)(block + 2));
    __m128i high = _mm_loadu_si128((const __m128i *)(block + 18));
    *w0 = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(low)), scale);
    *w1 = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(high)), scale);
}

// Four rows at a time share the loads of x and keep eight sums in flight. The processor does not
// see by itself that the four streams are one, so the weights are asked for 8 KB ahead: without,
// Q8_0 from memory took 4.0 ns a block where it now takes 0.8.
#define QUANTISED(block_kernel, block_bytes)                                                      \
    static void block_kernel##_rows(const uint8_t *rows, size_t row_bytes, const float *x,        \
                                    long columns, long count, float *out) {                       \
        long r = 0;                                                                               \
        for (; r + 4 <= count; r += 4) {                                                          \
            const uint8_t *row = rows + r * row_bytes;                                            \
            __m512 even[4], odd[4];                                                               \
            for (int j = 0; j < 4; j++) even[j] = odd[j] = _mm512_setzero_ps();                   \
            for (long i = 0; i < columns / BLOCK; i++) {                                          \
                const uint8_t *ahead = row + 4 * i * block_bytes + AHEAD_BYTES;                   \
                _mm_prefetch(ahead, _MM_HINT_T0);                                                 \
                _mm_prefetch(ahead + 64, _MM_HINT_T0);                                            \
                __m512 x0 = _mm512_loadu_ps(x + i * BLOCK);                                       \
                __m512 x1 = _mm512_loadu_ps(x + i * BLOCK + 16);                                  \
                for (int j = 0; j < 4; j++) {                                                     \
                    __m512 w0, w1;                                                                \
                    block_kernel(row + j * row_bytes + i * block_bytes, &w0, &w1);                \
                    even[j] = _mm512_fmadd_ps(w0, x0, even[j]);                                   \
                    odd[j] = _mm512_fmadd_ps(w1, x1, odd[j]);                                     \
                }                                                                                 \
            }                                                                                     \
            for (int j = 0; j < 4; j++)                                                           \
                out[r + j] = _mm512_reduce_add_ps(_mm512_add_ps(even[j], odd[j]));                \
        }                                                                                         \
        for (; r < count; r++) {                                                                  \
            __m512 even = _mm512_setzero_ps(), odd = even, w0, w1;                                \
            for (long i = 0; i < columns / BLOCK; i++) {                                          \
                block_kernel(rows + r * row_bytes + i * block_bytes, &w0, &w1);                   \
                even = _mm512_fmadd_ps(w0, _mm512_loadu_ps(x + i * BLOCK), even);                 \
                odd = _mm512_fmadd_ps(w1, _mm512_loadu_ps(x + i * BLOCK + 16), odd);              \
            }                                                                                     \
            out[r] = _mm512_reduce_add_ps(_mm512_add_ps(even, odd));                              \
        }                                                                                         \
    }                                                                                             \
                                                                                                  \
    static void block_kernel##_expand(const uint8_t *rows, size_t row_bytes, long columns,        \
                                      long count, float *out) {                                   \
        for (long r = 0; r < count; r++)                                                          \
            for (long i = 0; i < columns / BLOCK; i++) {                                          \
                __m512 w0, w1;                                                                    \
                block_kernel(rows + r * row_bytes + i * block_bytes, &w0, &w1);                   \
                _mm512_storeu_ps(out + r * columns + i * BLOCK, w0);                              \
                _mm512_storeu_ps(out + r * columns + i * BLOCK + 16, w1);                         \
            }                                                                                     \
    }

enum { AHEAD_BYTES = 8192 };

QUANTISED(q4_0, Q4_0_BYTES)
QUANTISED(q4_1, Q4_1_BYTES)
QUANTISED(q8_0, Q8_0_BYTES)

const kernel_set kernel_set_avx512 = KERNEL_SET("avx512");
#pragma clang attribute pop
#endif
