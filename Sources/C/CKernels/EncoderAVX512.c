// For x86-64 processors with AVX-512: Intel's servers since 2017. Whole numbers are multiplied by
// one instruction and added by another, and with bytes the first could overflow, as with AVX2.
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>
#pragma clang attribute push(                                                                     \
    __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)

#define KERNEL(name) encoder_avx512_##name
#define LANES 16
#define TILE 8
#define VECTORS 3
#define ADD_WORDS(sum, pair, weights)                                                             \
    sum += (ints)_mm512_madd_epi16(_mm512_set1_epi32(pair), (__m512i)(weights))
#define ADD_BYTES(sum, four, weights)                                                             \
    sum += ((weights) << 24 >> 24) * (int32_t)((four) & 255)                                      \
           + ((weights) << 16 >> 24) * (int32_t)((four) >> 8 & 255)                               \
           + ((weights) << 8 >> 24) * (int32_t)((four) >> 16 & 255)                               \
           + ((weights) >> 24) * (int32_t)((four) >> 24 & 255)
#define STORE_WORDS(to, numbers)                                                                  \
    _mm256_storeu_si256((__m256i *)(to), _mm512_cvtepi32_epi16((__m512i)(numbers)))
#define STORE_BYTES(to, numbers)                                                                  \
    _mm_storeu_si128((__m128i *)(to), _mm512_cvtepi32_epi8((__m512i)(numbers)))
#include "EncoderSet.h"

const encoder_kernels encoder_kernels_avx512 = ENCODER_KERNELS("avx512", true, false);
#pragma clang attribute pop
#endif
