// Comparing one vector with many: what the vector index computes. Rows are scanned as whole numbers of
// 8 bits, a quarter of their bytes, and the best are then compared as they are.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Codes of a row lie this far apart, filled up with zeros: a multiple of 32.
static inline long vector_stride(long columns) { return (columns + 31) / 32 * 32; }

// What is known of rows that were made codes: how far the longest way is from a row to what its codes
// say, and the greatest length of what codes say. Only ever grows.
typedef struct vector_bounds {
    float error, length;
} vector_bounds;

typedef struct vector_kernels {
    const char *name;

    // Makes codes of `count` rows: element = code * scale of the row. A row that holds something that
    // is not a number gets a scale that is not one either.
    void (*quantise)(const float *rows, long columns, long count, int8_t *codes, float *scales,
                     vector_bounds *bounds);
    // out[q][r] = query q . row r, for queries of whole numbers of 16 bits, as long as a row of codes,
    // with scales of their own. The sums of the products must fit in 31 bits. The rows are those at
    // `places`, or the first `count` where that is null. Rows of `out` are `out_stride` apart.
    void (*scan)(const int8_t *codes, const float *scales, const int32_t *places, long stride,
                 long count, const int16_t *const *queries, const float *query_scales,
                 long query_count, float *out, long out_stride);
    // The places of the scores that are `cut` or more, in order; returns how many there are. `places`
    // has room for all.
    long (*collect)(const float *scores, long count, float cut, int32_t *places);
    // The place of the largest of one score or more.
    long (*largest)(const float *scores, long count);
    float (*dot)(const float *x, const float *y, long count);
} vector_kernels;

// The set that goes with kernel_set_best().
const vector_kernels *vector_kernels_best(void);
// The sets that this processor can run, slowest first; null past the last. For tests.
const vector_kernels *vector_kernels_at(int index);

// Tells a file that was damaged from one that was not; not against forgery.
uint64_t vector_checksum(const void *bytes, size_t count);
