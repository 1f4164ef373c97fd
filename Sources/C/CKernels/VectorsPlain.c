// For any processor, and the reference for the others.
#include "include/Vectors.h"

#include <math.h>
#include <string.h>

#define KERNEL(name) vectors_plain_##name

static void KERNEL(scan)(const int8_t *codes, const float *scales, const int32_t *places,
                         long stride, long count, const int16_t *const *queries,
                         const float *query_scales, long query_count, float *out,
                         long out_stride) {
    for (long r = 0; r < count; r++) {
        long place = places ? places[r] : r;
        const int8_t *row = codes + place * stride;
        for (long q = 0; q < query_count; q++) {
            const int16_t *query = queries[q];
            int32_t sum = 0;
            for (long i = 0; i < stride; i++) sum += row[i] * query[i];
            out[q * out_stride + r] = (float)sum * (scales[place] * query_scales[q]);
        }
    }
}

static long KERNEL(collect)(const float *scores, long count, float cut, int32_t *places) {
    long found = 0;
    for (long i = 0; i < count; i++) {
        places[found] = (int32_t)i;
        found += scores[i] >= cut;
    }
    return found;
}

#include "VectorsSet.h"

const vector_kernels vector_kernels_plain = VECTOR_KERNELS("plain");
