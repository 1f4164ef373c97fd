// What a BERT encoder computes, in one set of functions for each kind of processor. The matrices are
// packed once into the order in which the products read them; whoever multiplies brings its rows in
// the format of the matrix.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How a matrix, and the rows that are multiplied with it, are kept.
enum {
    // Single precision on both sides.
    ENCODER_FLOATS = 0,
    // Whole numbers of 12 bits on both sides, whose products processors add up twice as fast as
    // floats. Each block of 384 inputs has a scale, in each row and for each output.
    ENCODER_WORDS = 1,
    // Whole numbers of 8 bits on both sides, with a scale for 32 inputs: twice as fast again where the
    // processor has instructions for it, and slower than words where it does not.
    ENCODER_BYTES = 2,
};

typedef struct encoder_kernels {
    const char *name;
    // Whether bytes are faster than words here, and words faster than floats.
    bool bytes_are_fast, words_are_fast;

    // The size of a packed matrix, and of one row to multiply with it. Both begin at multiples of 64.
    size_t (*packed_bytes)(int kind, long inputs, long outputs);
    size_t (*row_bytes)(int kind, long inputs);
    // Begins a packed matrix. Its outputs are then set in any order, from rows of `inputs` weights.
    void (*pack_begin)(void *packed, int kind, long inputs, long outputs);
    void (*pack_outputs)(void *packed, const float *weights, const float *bias, long first,
                         long count);
    // Brings `count` rows of floats, one after the other, into the format of a matrix.
    void (*format_rows)(int kind, const float *x, long inputs, long count, void *rows);
    // out[r] = rows[r] . matrix + bias, with rows of `out` that lie `stride` floats apart; then
    // gelu of it, if asked for: gelu(v) = v * (1 + erf(v / sqrt(2))) / 2, where erf is good to 5e-7.
    void (*multiply)(const void *packed, const void *rows, long count, float *out, long stride,
                     bool gelu);

    // One head: `count` queries against `length` keys and values of `width` floats each, in rows
    // that lie `stride` apart. out = softmax(queries . keys * scale) . values, in rows of
    // `out_stride`. `scratch` has room for attend_scratch(length, width) floats.
    void (*attend)(const float *queries, const float *keys, const float *values, long stride,
                   long count, long length, long width, float scale, float *scratch, float *out,
                   long out_stride);
    size_t (*attend_scratch)(long length, long width);

    // x = normalise(x + y) * weight + shift, row by row; a row of y follows the other.
    void (*add_normalise)(float *x, const float *y, const float *weight, const float *shift,
                          float epsilon, long rows, long columns);
    // x += y
    void (*add)(float *x, const float *y, long count);
    // The mean of the rows, scaled to length 1. Returns the length that the mean had; where that is
    // zero or not finite, `out` is the mean as it is.
    float (*pool)(const float *x, long rows, long columns, float *out);
} encoder_kernels;

// The set that goes with kernel_set_best(): the fastest one that this processor can run, or the one
// that tests ask for.
const encoder_kernels *encoder_kernels_best(void);
// The sets that this processor can run, slowest first; null past the last. For tests.
const encoder_kernels *encoder_kernels_at(int index);
