// Which vector kernels this processor can run, and the checksum of the files they read.
#include "include/CKernels.h"

#include <string.h>

extern const vector_kernels vector_kernels_plain;
#if defined(__x86_64__)
extern const vector_kernels vector_kernels_avx2;
#endif

const vector_kernels *vector_kernels_at(int index) {
    if (index == 0) return &vector_kernels_plain;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (index == 1 && avx2) return &vector_kernels_avx2;
#endif
    return 0;
}

const vector_kernels *vector_kernels_best(void) {
    // What has AVX-512 has AVX2 too, and memory is no faster there.
    bool wants_plain = strcmp(kernel_set_best()->name, "plain") == 0;
    const vector_kernels *fast = wants_plain ? 0 : vector_kernels_at(1);
    return fast ? fast : vector_kernels_at(0);
}

uint64_t vector_checksum(const void *bytes, size_t count) {
    // Four chains, because a multiplication takes longer than a read.
    uint64_t sums[4] = {1, 2, 3, 4};
    const uint64_t factor = 0x9E3779B97F4A7C15;
    size_t i = 0;
    for (; i + 32 <= count; i += 32)
        for (int chain = 0; chain < 4; chain++) {
            uint64_t word;
            memcpy(&word, (const char *)bytes + i + 8 * chain, 8);
            sums[chain] = (sums[chain] ^ word) * factor;
            sums[chain] ^= sums[chain] >> 29;
        }
    uint64_t result = count;
    for (; i < count; i++) result = (result ^ ((const uint8_t *)bytes)[i]) * factor;
    for (int chain = 0; chain < 4; chain++) {
        result = (result ^ sums[chain]) * factor;
        result ^= result >> 29;
    }
    return result;
}
