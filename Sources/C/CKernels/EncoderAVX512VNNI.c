// For x86-64 processors with AVX-512 and its instructions for neural networks, which multiply and
// add whole numbers at once: Intel since 2019, AMD since 2022.
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>
#pragma clang attribute push(                                                                     \
    __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))),            \
    apply_to = function)

#define KERNEL(name) encoder_avx512vnni_##name
#define LANES 16
#define TILE 8
#define VECTORS 3
#define ADD_WORDS(sum, pair, weights)                                                             \
    sum = (ints)_mm512_dpwssd_epi32((__m512i)(sum), _mm512_set1_epi32(pair), (__m512i)(weights))
#define ADD_BYTES(sum, four, weights)                                                             \
    sum = (ints)_mm512_dpbusd_epi32((__m512i)(sum), _mm512_set1_epi32(four), (__m512i)(weights))
#define STORE_WORDS(to, numbers)                                                                  \
    _mm256_storeu_si256((__m256i *)(to), _mm512_cvtepi32_epi16((__m512i)(numbers)))
#define STORE_BYTES(to, numbers)                                                                  \
    _mm_storeu_si128((__m128i *)(to), _mm512_cvtepi32_epi8((__m512i)(numbers)))
#include "EncoderSet.h"

const encoder_kernels encoder_kernels_avx512vnni = ENCODER_KERNELS("avx512vnni", true, true);
#pragma clang attribute pop
#endif
