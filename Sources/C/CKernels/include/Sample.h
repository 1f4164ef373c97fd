// Picking a token from its logits.
#pragma once

#include <stdint.h>

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
// The `keep` largest logits in `out`, best first, of equals the smaller token; those that are not
// numbers are left out. Returns how many there are.
long kernel_largest(const float *logits, long count, long keep, kernel_candidate *out);
// log sum exp(logits), in double precision, over those that are numbers.
double kernel_log_total(const float *logits, long count);
// Makes the logits -infinity whose bit, the lowest first, is not set in `allowed`.
void kernel_mask(float *logits, long count, const uint64_t *allowed);
// -log softmax(logits)[token], in double precision.
double kernel_negative_log_likelihood(const float *logits, long count, int32_t token);
