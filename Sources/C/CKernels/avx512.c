// For x86-64 processors with AVX-512 F, BW, DQ and VL: servers since 2017.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>
#include <string.h>
#pragma clang attribute push(                                                                     \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
    apply_to = function)

#define KERNEL(name) avx512_##name
#define HALF_IS_NATIVE 1
#define VECTOR_BYTES 64
#define TILE_ROWS 6
#include "portable.h"

#define HAS_DOT_PRODUCTS 0
#include "avx512.h"

const kernel_set kernel_set_avx512 = KERNEL_SET("avx512");
#pragma clang attribute pop
#endif
