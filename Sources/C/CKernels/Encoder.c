// Plain loops, which the compiler turns into vectors. It does so once for each kind of processor
// named below, and the loader picks the best that this one can run.
#include "include/Encoder.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__ELF__)
#define FOR_EACH_PROCESSOR \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif
#define INLINE static inline __attribute__((always_inline))

// e^x to 2 units in the last place, zero below -87 but for a factor of 1e-38.
INLINE float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
    float shifted = x * 1.44269504f + 12582912.0f;
    float whole = shifted - 12582912.0f;
    float rest = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    float power = 1.9875691500e-4f;
    power = power * rest + 1.3981999507e-3f;
    power = power * rest + 8.3334519073e-3f;
    power = power * rest + 4.1665795894e-2f;
    power = power * rest + 1.6666665459e-1f;
    power = power * rest + 5.0000001201e-1f;
    power = power * rest * rest + rest + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000u;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return power * scale;
}

// Abramowitz and Stegun 7.1.26.
INLINE float error_function(float x) {
    float size = fabsf(x);
    float t = 1.0f / (1.0f + 0.3275911f * size);
    float sum = 1.061405429f;
    sum = sum * t - 1.453152027f;
    sum = sum * t + 1.421413741f;
    sum = sum * t - 0.284496736f;
    sum = sum * t + 0.254829592f;
    return copysignf(1.0f - sum * t * exponential(-size * size), x);
}

INLINE float sum_of(const float *x, long count) {
#pragma clang fp reassociate(on)
    float sum = 0;
    for (long i = 0; i < count; i++) sum += x[i];
    return sum;
}

INLINE float sum_of_squares(const float *x, float mean, long count) {
#pragma clang fp reassociate(on)
    float sum = 0;
    for (long i = 0; i < count; i++) sum += (x[i] - mean) * (x[i] - mean);
    return sum;
}

INLINE float largest_of(const float *x, long count) {
    enum { LANES = 16 };
    float largest[LANES];
    for (int lane = 0; lane < LANES; lane++) largest[lane] = x[0];
    long i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int lane = 0; lane < LANES; lane++)
            largest[lane] = x[i + lane] > largest[lane] ? x[i + lane] : largest[lane];
    for (; i < count; i++) largest[0] = x[i] > largest[0] ? x[i] : largest[0];
    for (int lane = 1; lane < LANES; lane++)
        largest[0] = largest[lane] > largest[0] ? largest[lane] : largest[0];
    return largest[0];
}

FOR_EACH_PROCESSOR
void encoder_add_normalise(float *x, const float *bias, const float *residual, const float *weight,
                           const float *shift, float epsilon, long rows, long columns) {
    for (long row = 0; row < rows; row++, x += columns, residual += columns) {
        for (long i = 0; i < columns; i++) x[i] += bias[i] + residual[i];
        float mean = sum_of(x, columns) / (float)columns;
        float variance = sum_of_squares(x, mean, columns) / (float)columns;
        float scale = 1.0f / sqrtf(variance + epsilon);
        for (long i = 0; i < columns; i++) x[i] = (x[i] - mean) * scale * weight[i] + shift[i];
    }
}

FOR_EACH_PROCESSOR
void encoder_add_bias(float *x, const float *bias, long rows, long columns) {
    for (long row = 0; row < rows; row++, x += columns)
        for (long i = 0; i < columns; i++) x[i] += bias[i];
}

FOR_EACH_PROCESSOR
void encoder_add_bias_gelu(float *x, const float *bias, long rows, long columns) {
    for (long row = 0; row < rows; row++, x += columns)
        for (long i = 0; i < columns; i++) {
            float v = x[i] + bias[i];
            x[i] = 0.5f * v * (1.0f + error_function(v * 0.70710678f));
        }
}

FOR_EACH_PROCESSOR
void encoder_softmax(float *x, float scale, long rows, long columns) {
    if (columns < 1) return;
    for (long row = 0; row < rows; row++, x += columns) {
        float largest = largest_of(x, columns);
        for (long i = 0; i < columns; i++) x[i] = exponential((x[i] - largest) * scale);
        float share = 1.0f / sum_of(x, columns);
        for (long i = 0; i < columns; i++) x[i] *= share;
    }
}

FOR_EACH_PROCESSOR
float encoder_pool(const float *x, long rows, long columns, float *out) {
    for (long i = 0; i < columns; i++) out[i] = 0;
    for (long row = 0; row < rows; row++)
        for (long i = 0; i < columns; i++) out[i] += x[row * columns + i];
    for (long i = 0; i < columns; i++) out[i] /= (float)rows;
    float length = sqrtf(sum_of_squares(out, 0, columns));
    // Not true for a NaN either.
    if (!(length > 0 && length < INFINITY)) return length;
    for (long i = 0; i < columns; i++) out[i] /= length;
    return length;
}
