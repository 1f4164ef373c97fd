// For those that also have VNNI: servers since 2019, and Zen 4.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>
#include <string.h>
#pragma clang attribute push(                                                                     \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
    apply_to = function)

#define KERNEL(name) avx512vnni_##name
#define HALF_IS_NATIVE 1
#define VECTOR_BYTES 64
#define TILE_ROWS 6
#include "portable.h"

#define HAS_DOT_PRODUCTS 1
#include "avx512.h"

const kernel_set kernel_set_avx512vnni = KERNEL_SET("avx512vnni");
#pragma clang attribute pop
#endif
