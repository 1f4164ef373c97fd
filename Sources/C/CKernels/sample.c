// Picking a token from its logits.
#include "include/CKernels.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

// Larger logits first, and of equals the smaller token, so that a seed means one answer.
static int by_logit(const void *left, const void *right) {
    const kernel_candidate *a = left, *b = right;
    if (a->logit != b->logit) return a->logit > b->logit ? -1 : 1;
    return (a->token > b->token) - (a->token < b->token);
}

// A vocabulary is looked through in runs of this many: most have nothing to look at in them.
enum { RUN = 64 };

// Whether any number of a run is above `floor`: many are compared at a time.
static inline bool any_above(const float *logits, float floor) {
    int above = 0;
    for (int i = 0; i < RUN; i++) above |= logits[i] > floor;
    return above;
}

// A heap whose root is the worst that is kept.
long kernel_largest(const float *logits, long count, long keep, kernel_candidate *heap) {
    long size = 0;
    if (keep <= 0) return 0;
    for (long i = 0; i < count; i++) {
        // Of equals the first is kept, so that only what is above the worst comes in.
        while (size == keep && i + RUN <= count && !any_above(logits + i, heap[0].logit)) i += RUN;
        if (i == count) break;
        kernel_candidate candidate = {logits[i], (int32_t)i};
        if (isnan(candidate.logit)) continue;
        long place;
        if (size < keep) {
            place = size++;
            while (place > 0 && by_logit(&heap[(place - 1) / 2], &candidate) < 0) {
                heap[place] = heap[(place - 1) / 2];
                place = (place - 1) / 2;
            }
        } else {
            if (by_logit(&candidate, &heap[0]) > 0) continue;
            place = 0;
            for (long child; (child = 2 * place + 1) < size; place = child) {
                if (child + 1 < size && by_logit(&heap[child], &heap[child + 1]) < 0) child++;
                if (by_logit(&candidate, &heap[child]) > 0) break;
                heap[place] = heap[child];
            }
        }
        heap[place] = candidate;
    }
    qsort(heap, (size_t)size, sizeof *heap, by_logit);
    return size;
}

// All candidates at or above `floor`, in the order of their tokens.
static long above(const float *logits, long count, float floor, kernel_candidate *out) {
    long size = 0;
    for (long i = 0; i < count; i++)
        if (logits[i] >= floor) out[size++] = (kernel_candidate){logits[i], (int32_t)i};
    return size;
}

// How many of the sorted candidates it takes to hold `share` of `total`; 0 when they do not.
static long nucleus(const kernel_candidate *sorted, long size, double share, double total,
                    float best) {
    double sum = 0;
    for (long i = 0; i < size; i++) {
        sum += exp((double)sorted[i].logit - best);
        if (sum >= share * total) return i + 1;
    }
    return 0;
}

// Top-k and top-p: the candidates left, in `out`.
static long shortlist(const float *logits, long count, const kernel_sampling *sampling, float best,
                      kernel_candidate *out) {
    if (sampling->top_k > 0 && sampling->top_k < count) {
        long size = kernel_largest(logits, count, sampling->top_k, out);
        if (!(sampling->top_p < 1)) return size;
        double total = 0;
        for (long i = 0; i < size; i++) total += exp((double)out[i].logit - best);
        long kept = nucleus(out, size, sampling->top_p, total, best);
        return kept ? kept : size;
    }
    if (!(sampling->top_p < 1)) return above(logits, count, -INFINITY, out);

    // Sorting the whole vocabulary costs milliseconds, and its head nearly always suffices.
    double total = 0;
    for (long i = 0; i < count; i++)
        if (!isnan(logits[i])) total += exp((double)logits[i] - best);
    for (float depth = 8;; depth *= 4) {
        bool isAll = depth > 1000;
        long size = above(logits, count, isAll ? -INFINITY : best - depth, out);
        qsort(out, (size_t)size, sizeof *out, by_logit);
        long kept = nucleus(out, size, sampling->top_p, total, best);
        if (kept) return kept;
        if (isAll) return size;
    }
}

int32_t kernel_sample(const float *logits, long count, const kernel_sampling *sampling,
                      double uniform, kernel_candidate *scratch) {
    int32_t first = 0;
    float best = -INFINITY;
    for (long i = 0; i < count; i++) {
        while (i + RUN <= count && !any_above(logits + i, best)) i += RUN;
        if (i < count && logits[i] > best) {
            best = logits[i];
            first = (int32_t)i;
        }
    }
    if (!(sampling->temperature > 0) || sampling->top_k == 1 || isinf(best)) return first;

    long size = shortlist(logits, count, sampling, best, scratch);
    float floor = sampling->min_p > 0 ? best + logf(sampling->min_p) : -FLT_MAX;
    double total = 0;
    for (long i = 0; i < size; i++)
        if (scratch[i].logit >= floor)
            total += exp(((double)scratch[i].logit - best) / sampling->temperature);
    double left = uniform * total;
    int32_t picked = first;
    for (long i = 0; i < size; i++) {
        if (!(scratch[i].logit >= floor)) continue;
        picked = scratch[i].token;
        left -= exp(((double)scratch[i].logit - best) / sampling->temperature);
        if (left < 0) break;
    }
    return picked;
}

double kernel_log_total(const float *logits, long count) {
    double best = -INFINITY, total = 0;
    for (long i = 0; i < count; i++)
        if (logits[i] > best) best = logits[i];
    if (isinf(best)) return best;
    for (long i = 0; i < count; i++)
        if (!isnan(logits[i])) total += exp(logits[i] - best);
    return log(total) + best;
}

void kernel_mask(float *logits, long count, const uint64_t *allowed) {
    for (long i = 0; i < count; i++)
        if (!(allowed[i >> 6] >> (i & 63) & 1)) logits[i] = -INFINITY;
}

double kernel_negative_log_likelihood(const float *logits, long count, int32_t token) {
    double best = -INFINITY, total = 0;
    for (long i = 0; i < count; i++)
        if (logits[i] > best) best = logits[i];
    for (long i = 0; i < count; i++) total += exp(logits[i] - best);
    return log(total) + best - logits[token];
}
