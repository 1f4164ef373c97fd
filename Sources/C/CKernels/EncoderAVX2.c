// For x86-64 processors with AVX2 and FMA: nearly all since 2013. Two sums of products of words go
// into one instruction here, and none of them can overflow; with bytes they could.
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

#define KERNEL(name) encoder_avx2_##name
#define LANES 8
#define TILE 6
#define VECTORS 2
#define ADD_WORDS(sum, pair, weights)                                                             \
    sum += (ints)_mm256_madd_epi16(_mm256_set1_epi32(pair), (__m256i)(weights))
#define STORE_WORDS(to, numbers) store_words(to, (__m256i)(numbers))
#define STORE_BYTES(to, numbers)                                                                  \
    for (int lane = 0; lane < LANES; lane++) (to)[lane] = (uint8_t)(numbers)[lane]
// Only for tests: two products of an unsigned and a signed byte do not fit in the 16 bits that the
// instruction for bytes has for them.
#define ADD_BYTES(sum, four, weights)                                                             \
    sum += ((weights) << 24 >> 24) * (int32_t)((four) & 255)                                      \
           + ((weights) << 16 >> 24) * (int32_t)((four) >> 8 & 255)                               \
           + ((weights) << 8 >> 24) * (int32_t)((four) >> 16 & 255)                               \
           + ((weights) >> 24) * (int32_t)((four) >> 24 & 255)

// Also where the numbers have more than their low 16 bits.
static inline __attribute__((always_inline)) void store_words(void *to, __m256i numbers) {
    const __m256i low = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, 0,
                                         1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1);
    __m256i halves = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(numbers, low), 0x08);
    _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(halves));
}

#include "EncoderSet.h"

const encoder_kernels encoder_kernels_avx2 = ENCODER_KERNELS("avx2", true, false);
#pragma clang attribute pop
#endif
