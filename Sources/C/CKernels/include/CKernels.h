// The arithmetic of the local models, in C so that it is fast in every build, and the threads it
// runs on. Nothing here allocates on a hot path, and nothing here reads a file.
#pragma once

#include "Encoder.h"
#include "Formats.h"
#include "Packed.h"
#include "Pool.h"
#include "Sample.h"
#include "Vectors.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How many queries of one head `attend` takes at most, and how many positions a page of keys and
// values has.
enum { KERNEL_QUERIES_MAX = 64, KERNEL_PAGE = 32 };

// Queries of one head of keys and values, and where their answers go. Query q sees the positions
// from `first_seen[q]` on and before `end_seen[q]`.
typedef struct kernel_attention {
    const float *const *queries;
    float *const *out;
    const int32_t *first_seen, *end_seen;
    long count;
    // Where each page begins, and how many halves after that this head's keys
    // `[width][KERNEL_PAGE]` and values `[KERNEL_PAGE][width]` do.
    const uint16_t *const *pages;
    size_t keys_at, values_at;
    long width;
    float scale;
} kernel_attention;

// One set of kernels for one kind of processor. The sets differ in the order of their sums only:
// the products of integers in them are exact. Pointers to weights need no alignment.
typedef struct kernel_set {
    const char *name;

    // out[t][r] = the dot product of row r of the weights with row t of the activations, for the
    // panels `first` to `last` of the weights; with `adds`, out[t][r] += it. Rows of `out` are
    // `stride` apart. `scratch` has kernel_product_scratch(columns) bytes for this thread alone.
    void (*product)(const kernel_packed *weights, long first, long last, const kernel_rows *x,
                    long count, void *scratch, float *out, long stride, bool adds);
    // Makes blocks of integers of `columns` floats, a multiple of KERNEL_BLOCK; and of what they
    // leave over, unless `rest_codes` is null.
    void (*quantise)(const float *x, long columns, int8_t *codes, kernel_block *blocks,
                     int8_t *rest_codes, kernel_block *rest_blocks);

    // The same product for weights that are kept as F32, F16 or BF16 (numbered as GGUF does) where
    // they lie: out[r] = row r . x, for `count` rows that lie `row_bytes` apart.
    void (*rows_dot)(int type, const void *rows, size_t row_bytes, const float *x, long columns,
                     long count, float *out);

    // out = x / rms(x) * weight
    void (*rms_normalise)(const float *x, const float *weight, float epsilon, long count,
                          float *out);
    // Turns the pairs (x[2i], x[2i+1]) by the angles whose cosines and sines alternate in `turns`.
    void (*rotate)(float *x, const float *turns, long pairs);
    // The same for the pairs (x[i], x[i + pairs]).
    void (*rotate_halves)(float *x, const float *turns, long pairs);
    // gate = silu(gate) * up
    void (*silu_multiply)(float *gate, const float *up, long count);
    // gate = gelu(gate) * up, gelu in its tanh form
    void (*gelu_multiply)(float *gate, const float *up, long count);
    // x += y
    void (*add)(float *x, const float *y, long count);

    void (*halves_from_floats)(const float *x, long count, uint16_t *out);

    // out = softmax(query . keys * scale) . values, in one pass over the pages (Dao et al.,
    // FlashAttention). `scratch` has kernel_attention_scratch(width) floats.
    void (*attend)(const kernel_attention *attention, float *scratch);
} kernel_set;

// How much `attend` writes to beside its answers, in floats.
long kernel_attention_scratch(long width);

// The fastest set that this processor can run; the one that the environment variable
// HEPTAD_KERNELS names (plain, avx2, avx512, avx512vnni, neon), where the processor can run that.
// Chosen once.
const kernel_set *kernel_set_best(void);
// The sets that this processor can run, slowest first; null past the last. For tests.
const kernel_set *kernel_set_at(int index);
