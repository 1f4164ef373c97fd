// The arithmetic of the local models, in C so that it is fast in every build, and the threads it
// runs on. Nothing here allocates on a hot path, and nothing here reads a file.
#pragma once

#include "Encoder.h"
#include "Formats.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One set of kernels for one kind of processor. All sets compute the same in single precision and
// differ only in the order of their sums. Pointers to weights need no alignment.
typedef struct kernel_set {
    const char *name;

    // out[r] = the dot product of row r with x, for `count` rows that lie `row_bytes` apart.
    void (*rows_dot)(int type, const void *rows, size_t row_bytes, const float *x, long columns,
                     long count, float *out);
    // Writes `count` rows as floats, one after the other.
    void (*rows_expand)(int type, const void *rows, size_t row_bytes, long columns, long count,
                        float *out);

    // out = x / rms(x) * weight
    void (*rms_normalise)(const float *x, const float *weight, float epsilon, long count,
                          float *out);
    // Turns the pairs (x[2i], x[2i+1]) by the angles whose cosines and sines alternate in `turns`.
    void (*rotate)(float *x, const float *turns, long pairs);
    // gate = silu(gate) * up
    void (*silu_multiply)(float *gate, const float *up, long count);
    // x += y
    void (*add)(float *x, const float *y, long count);
    // x = softmax(x * scale)
    void (*softmax)(float *x, float scale, long count);

    void (*halves_from_floats)(const float *x, long count, uint16_t *out);
    void (*floats_from_halves)(const uint16_t *x, long count, float *out);

    // One query against `positions` keys and values of `width` halves each; `scores` is scratch of
    // `positions` floats. out = softmax(query . keys * scale) . values
    void (*attend)(const float *query, const uint16_t *keys, const uint16_t *values,
                   long positions, long width, float scale, float *scores, float *out);
} kernel_set;

// The fastest set that this processor can run, chosen once.
const kernel_set *kernel_set_best(void);
// The sets that this processor can run, slowest first; null past the last. For tests.
const kernel_set *kernel_set_at(int index);

// How to draw one token. A filter is off at top_k <= 0, top_p >= 1, min_p <= 0.
typedef struct kernel_sampling {
    float temperature;
    float top_p;
    float min_p;
    long top_k;
} kernel_sampling;

typedef struct kernel_candidate {
    float logit;
    int32_t token;
} kernel_candidate;

// Draws one of `count` logits: top-k, then top-p, then min-p on the model's own probabilities, then
// temperature on what is left, then `uniform` in [0, 1) picks. Temperature 0 picks the largest
// logit, the first of equals. `scratch` has room for `count`. Logits that are not numbers are never
// picked unless none is a number; then token 0 is.
int32_t kernel_sample(const float *logits, long count, const kernel_sampling *sampling,
                      double uniform, kernel_candidate *scratch);
// -log softmax(logits)[token], in double precision.
double kernel_negative_log_likelihood(const float *logits, long count, int32_t token);

// A lead thread that takes jobs in order, and helpers that share the lead's loops. They run at a
// lower priority than the threads that serve, and sleep when there is nothing to do.
typedef struct kernel_pool kernel_pool;

// Null when memory or threads run out. `threads` includes the lead.
kernel_pool *kernel_pool_create(int threads, int niceness);
// Lets the threads end once the jobs that were submitted have run. Does not wait for them.
void kernel_pool_release(kernel_pool *pool);
// Runs `job(context)` on the lead thread, after those before it. False when memory ran out.
bool kernel_pool_submit(kernel_pool *pool, void (*job)(void *context), void *context);
// Only from a job: calls `body` for consecutive ranges of 0..<count, at most `grain` long, on all
// threads, and returns when all are done. `worker` is below the number of threads.
void kernel_pool_share(kernel_pool *pool, long count, long grain,
                       void (*body)(void *context, long first, long last, int worker),
                       void *context);
