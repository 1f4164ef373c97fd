// Which kernels of the encoder this processor can run.
#include "include/CKernels.h"

#include <string.h>

extern const encoder_kernels encoder_kernels_plain;
#if defined(__x86_64__)
extern const encoder_kernels encoder_kernels_avx2, encoder_kernels_avx512,
    encoder_kernels_avx512vnni;
#endif

const encoder_kernels *encoder_kernels_at(int index) {
    if (index == 0) return &encoder_kernels_plain;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                  && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
    if (index == 1 && avx2) return &encoder_kernels_avx2;
    if (index == 2 && avx512) return &encoder_kernels_avx512;
    if (index == 3 && vnni) return &encoder_kernels_avx512vnni;
#endif
    return 0;
}

const encoder_kernels *encoder_kernels_best(void) {
    const char *name = kernel_set_best()->name;
    const encoder_kernels *best = &encoder_kernels_plain, *next;
    for (int i = 0; (next = encoder_kernels_at(i)); i++)
        if (strcmp(next->name, name) == 0) best = next;
    return best;
}
