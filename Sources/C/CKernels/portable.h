// The kernels that plain C says well enough. A file for one kind of processor includes this under
// its own name for KERNEL(...) and its own target flags, so that the compiler vectorises them for
// that processor, and adds what it must be told: for each block format, NAME_rows and NAME_expand.
//
// KERNEL(name)     the name of a function in this set
// HALF_IS_NATIVE   1 where the processor converts half-precision numbers itself

#include "include/CKernels.h"

#include <string.h>

// Sums may be taken in any order; that is all the freedom the compiler gets.
#pragma clang fp reassociate(on)
#pragma clang fp contract(fast)

enum { BLOCK = 32, Q4_0_BYTES = 18, Q4_1_BYTES = 20, Q8_0_BYTES = 34 };

#if HALF_IS_NATIVE
#if defined(__aarch64__)
typedef __fp16 half;
#else
typedef _Float16 half;
#endif

static inline float KERNEL(half_at)(const void *bytes) {
    half value;
    memcpy(&value, bytes, 2);
    return (float)value;
}

static inline uint16_t KERNEL(half_of)(float value) {
    half narrowed = (half)value;
    uint16_t bits;
    memcpy(&bits, &narrowed, 2);
    return bits;
}
#else
static inline float KERNEL(half_at)(const void *bytes) {
    uint16_t bits;
    memcpy(&bits, bytes, 2);
    // Shifted into place, a half is a float whose exponent is 112 too small; multiplying by 2^112
    // also makes subnormals come out right. Infinity and NaN need their exponent filled.
    uint32_t magnitude = (uint32_t)(bits & 0x7fff) << 13;
    float value;
    memcpy(&value, &magnitude, 4);
    value *= 0x1p112f;
    uint32_t wide;
    memcpy(&wide, &value, 4);
    if ((bits & 0x7c00) == 0x7c00) wide = magnitude | 0x7f800000;
    wide |= (uint32_t)(bits & 0x8000) << 16;
    memcpy(&value, &wide, 4);
    return value;
}

// Rounds to nearest even.
static inline uint16_t KERNEL(half_of)(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) return sign | 0x7e00;
    if (bits >= 0x477ff000) return sign | 0x7c00;
    if (bits < 0x38800000) {
        // Subnormal: adding 1/2 leaves the rounded mantissa in the low bits.
        float magnitude;
        memcpy(&magnitude, &bits, 4);
        magnitude += 0.5f;
        memcpy(&bits, &magnitude, 4);
        return sign | (uint16_t)(bits - 0x3f000000);
    }
    bits += 0xfff + (bits >> 13 & 1);
    return sign | (uint16_t)((bits - 0x38000000) >> 13);
}
#endif

static inline float KERNEL(bfloat_at)(const void *bytes) {
    uint16_t bits;
    memcpy(&bits, bytes, 2);
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, 4);
    return value;
}

// Good to 2 units in the last place between -87 and 88, and held there outside.
static inline float KERNEL(exponential)(float x) {
    x = x > -87.0f ? x : -87.0f;  // Also takes NaN.
    x = x < 88.0f ? x : 88.0f;
    int32_t n = (int32_t)(x * 1.44269504f + (x < 0 ? -0.5f : 0.5f));
    float r = x - (float)n * 0.693359375f + (float)n * 2.12194440e-4f;
    float y = 1.3888889e-3f;
    y = y * r + 8.3333333e-3f;
    y = y * r + 4.1666667e-2f;
    y = y * r + 1.6666667e-1f;
    y = y * r + 0.5f;
    y = y * r + 1.0f;
    y = y * r + 1.0f;
    int32_t bits = (n + 127) << 23;
    float power;
    memcpy(&power, &bits, 4);
    return y * power;
}

static float KERNEL(dot_f32)(const uint8_t *row, const float *x, long columns) {
    float sum = 0;
    for (long i = 0; i < columns; i++) {
        float weight;
        memcpy(&weight, row + 4 * i, 4);
        sum += weight * x[i];
    }
    return sum;
}

static float KERNEL(dot_f16)(const uint8_t *row, const float *x, long columns) {
    float sum = 0;
    for (long i = 0; i < columns; i++) sum += KERNEL(half_at)(row + 2 * i) * x[i];
    return sum;
}

static float KERNEL(dot_bf16)(const uint8_t *row, const float *x, long columns) {
    float sum = 0;
    for (long i = 0; i < columns; i++) sum += KERNEL(bfloat_at)(row + 2 * i) * x[i];
    return sum;
}

static void KERNEL(rms_normalise)(const float *x, const float *weight, float epsilon, long count,
                                  float *out) {
    float sum = 0;
    for (long i = 0; i < count; i++) sum += x[i] * x[i];
    float scale = 1.0f / __builtin_sqrtf(sum / (float)count + epsilon);
    for (long i = 0; i < count; i++) out[i] = x[i] * scale * weight[i];
}

static void KERNEL(rotate)(float *x, const float *turns, long pairs) {
    for (long i = 0; i < pairs; i++) {
        float a = x[2 * i], b = x[2 * i + 1], cosine = turns[2 * i], sine = turns[2 * i + 1];
        x[2 * i] = a * cosine - b * sine;
        x[2 * i + 1] = a * sine + b * cosine;
    }
}

static void KERNEL(silu_multiply)(float *gate, const float *up, long count) {
    for (long i = 0; i < count; i++)
        gate[i] = gate[i] / (1.0f + KERNEL(exponential)(-gate[i])) * up[i];
}

static void KERNEL(add)(float *x, const float *y, long count) {
    for (long i = 0; i < count; i++) x[i] += y[i];
}

static void KERNEL(softmax)(float *x, float scale, long count) {
    float largest = -__builtin_inff();
    for (long i = 0; i < count; i++) largest = x[i] > largest ? x[i] : largest;
    float sum = 0;
    for (long i = 0; i < count; i++) {
        x[i] = KERNEL(exponential)((x[i] - largest) * scale);
        sum += x[i];
    }
    float share = 1.0f / sum;
    for (long i = 0; i < count; i++) x[i] *= share;
}

static void KERNEL(halves_from_floats)(const float *x, long count, uint16_t *out) {
    for (long i = 0; i < count; i++) {
        // Past the largest half it would become infinity, and NaN in the sums after it.
        float value = x[i] < 65504.0f ? x[i] : 65504.0f;
        out[i] = KERNEL(half_of)(value > -65504.0f ? value : -65504.0f);
    }
}

static void KERNEL(floats_from_halves)(const uint16_t *x, long count, float *out) {
    for (long i = 0; i < count; i++) out[i] = KERNEL(half_at)(x + i);
}

static void KERNEL(attend)(const float *query, const uint16_t *keys, const uint16_t *values,
                           long positions, long width, float scale, float *scores, float *out) {
    for (long t = 0; t < positions; t++) {
        const uint16_t *key = keys + t * width;
        float sum = 0;
        for (long i = 0; i < width; i++) sum += query[i] * KERNEL(half_at)(key + i);
        scores[t] = sum;
    }
    KERNEL(softmax)(scores, scale, positions);
    // 64 sums at a time stay in registers while the values stream by.
    for (long first = 0; first < width; first += 64) {
        float sums[64] = {0};
        if (width - first >= 64) {
            for (long t = 0; t < positions; t++) {
                const uint16_t *value = values + t * width + first;
                float score = scores[t];
                for (int i = 0; i < 64; i++) sums[i] += score * KERNEL(half_at)(value + i);
            }
            memcpy(out + first, sums, sizeof sums);
        } else {
            long rest = width - first;
            for (long t = 0; t < positions; t++)
                for (long i = 0; i < rest; i++)
                    sums[i] += scores[t] * KERNEL(half_at)(values + t * width + first + i);
            memcpy(out + first, sums, (size_t)rest * 4);
        }
    }
}

static void q4_0_rows(const uint8_t *, size_t, const float *, long, long, float *);
static void q4_1_rows(const uint8_t *, size_t, const float *, long, long, float *);
static void q8_0_rows(const uint8_t *, size_t, const float *, long, long, float *);
static void q4_0_expand(const uint8_t *, size_t, long, long, float *);
static void q4_1_expand(const uint8_t *, size_t, long, long, float *);
static void q8_0_expand(const uint8_t *, size_t, long, long, float *);

static void KERNEL(rows_dot)(int type, const void *rows, size_t row_bytes, const float *x,
                             long columns, long count, float *out) {
    const uint8_t *row = rows;
    switch (type) {
    case KERNEL_Q4_0: q4_0_rows(row, row_bytes, x, columns, count, out); break;
    case KERNEL_Q4_1: q4_1_rows(row, row_bytes, x, columns, count, out); break;
    case KERNEL_Q8_0: q8_0_rows(row, row_bytes, x, columns, count, out); break;
    case KERNEL_F32:
        for (long r = 0; r < count; r++) out[r] = KERNEL(dot_f32)(row + r * row_bytes, x, columns);
        break;
    case KERNEL_F16:
        for (long r = 0; r < count; r++) out[r] = KERNEL(dot_f16)(row + r * row_bytes, x, columns);
        break;
    case KERNEL_BF16:
        for (long r = 0; r < count; r++)
            out[r] = KERNEL(dot_bf16)(row + r * row_bytes, x, columns);
        break;
    }
}

static void KERNEL(rows_expand)(int type, const void *rows, size_t row_bytes, long columns,
                                long count, float *out) {
    const uint8_t *row = rows;
    switch (type) {
    case KERNEL_Q4_0: q4_0_expand(row, row_bytes, columns, count, out); break;
    case KERNEL_Q4_1: q4_1_expand(row, row_bytes, columns, count, out); break;
    case KERNEL_Q8_0: q8_0_expand(row, row_bytes, columns, count, out); break;
    case KERNEL_F32: memcpy(out, row, (size_t)(columns * count) * 4); break;
    case KERNEL_F16:
        for (long i = 0; i < columns * count; i++) out[i] = KERNEL(half_at)(row + 2 * i);
        break;
    case KERNEL_BF16:
        for (long i = 0; i < columns * count; i++) out[i] = KERNEL(bfloat_at)(row + 2 * i);
        break;
    }
}

#define KERNEL_SET(title)                                                                         \
    {                                                                                             \
        .name = title, .rows_dot = KERNEL(rows_dot), .rows_expand = KERNEL(rows_expand),          \
        .rms_normalise = KERNEL(rms_normalise), .rotate = KERNEL(rotate),                         \
        .silu_multiply = KERNEL(silu_multiply), .add = KERNEL(add), .softmax = KERNEL(softmax),   \
        .halves_from_floats = KERNEL(halves_from_floats),                                         \
        .floats_from_halves = KERNEL(floats_from_halves), .attend = KERNEL(attend),               \
    }
