// Which kernels this processor can run.
#include "include/CKernels.h"

#include <stdlib.h>
#include <string.h>

extern const kernel_set kernel_set_plain;
#if defined(__x86_64__)
extern const kernel_set kernel_set_avx2, kernel_set_avx512, kernel_set_avx512vnni;
#elif defined(__aarch64__)
extern const kernel_set kernel_set_neon;
#endif

const kernel_set *kernel_set_at(int index) {
    if (index == 0) return &kernel_set_plain;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
                && __builtin_cpu_supports("f16c");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                  && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
    if (index == 1 && avx2) return &kernel_set_avx2;
    if (index == 2 && avx512) return &kernel_set_avx512;
    if (index == 3 && vnni) return &kernel_set_avx512vnni;
#elif defined(__aarch64__)
    if (index == 1) return &kernel_set_neon;
#endif
    return 0;
}

const kernel_set *kernel_set_best(void) {
    static const kernel_set *chosen;
    const kernel_set *best = __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);
    if (best) return best;
    const char *wanted = getenv("HEPTAD_KERNELS");
    for (int i = 0; kernel_set_at(i); i++) {
        best = kernel_set_at(i);
        if (wanted && strcmp(wanted, best->name) == 0) break;
    }
    __atomic_store_n(&chosen, best, __ATOMIC_RELEASE);
    return best;
}

long kernel_attention_scratch(long width) { return 2 * KERNEL_PAGE * width; }
