// For any processor; on x86-64 with the instructions that all of them have.
#define KERNEL(name) encoder_plain_##name
#define LANES 4
#define TILE 6
#define VECTORS 2

#if defined(__x86_64__)
#include <emmintrin.h>
#define ADD_WORDS(sum, pair, weights)                                                             \
    sum += (ints)_mm_madd_epi16(_mm_set1_epi32(pair), (__m128i)(weights))
#else
#define ADD_WORDS(sum, pair, weights)                                                             \
    sum += ((weights) << 16 >> 16) * (int32_t)(int16_t)(pair) + ((weights) >> 16) * ((pair) >> 16)
#endif
#define STORE_WORDS(to, numbers)                                                                  \
    for (int lane = 0; lane < LANES; lane++) (to)[lane] = (int16_t)(numbers)[lane]
#define STORE_BYTES(to, numbers)                                                                  \
    for (int lane = 0; lane < LANES; lane++) (to)[lane] = (uint8_t)(numbers)[lane]
#define ADD_BYTES(sum, four, weights)                                                             \
    sum += ((weights) << 24 >> 24) * (int32_t)((four) & 255)                                      \
           + ((weights) << 16 >> 24) * (int32_t)((four) >> 8 & 255)                               \
           + ((weights) << 8 >> 24) * (int32_t)((four) >> 16 & 255)                               \
           + ((weights) >> 24) * (int32_t)((four) >> 24 & 255)
#include "EncoderSet.h"

#if defined(__x86_64__)
const encoder_kernels encoder_kernels_plain = ENCODER_KERNELS("plain", true, false);
#else
const encoder_kernels encoder_kernels_plain = ENCODER_KERNELS("plain", false, false);
#endif
