// The kernels that plain C says well enough. A file for one kind of processor includes this under
// its own name for KERNEL(...) and its own target flags, so that the compiler vectorises them for
// that processor, and adds what it must be told: NAME_product.
//
// KERNEL(name)     the name of a function in this set
// HALF_IS_NATIVE   1 where the processor converts half-precision numbers itself
// VECTOR_BYTES     the size of a register
// TILE_ROWS        for how many rows a tile of 32 floats stays in registers

#include "include/CKernels.h"

#include <string.h>

// Sums may be taken in any order; that is all the freedom the compiler gets.
#pragma clang fp reassociate(on)
#pragma clang fp contract(fast)

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

static void KERNEL(rotate_halves)(float *x, const float *turns, long pairs) {
    for (long i = 0; i < pairs; i++) {
        float a = x[i], b = x[i + pairs], cosine = turns[2 * i], sine = turns[2 * i + 1];
        x[i] = a * cosine - b * sine;
        x[i + pairs] = a * sine + b * cosine;
    }
}

static void KERNEL(silu_multiply)(float *gate, const float *up, long count) {
    for (long i = 0; i < count; i++)
        gate[i] = gate[i] / (1.0f + KERNEL(exponential)(-gate[i])) * up[i];
}

static void KERNEL(gelu_multiply)(float *gate, const float *up, long count) {
    for (long i = 0; i < count; i++) {
        float x = gate[i];
        // (1 + tanh(y)) / 2 = 1 / (1 + exp(-2y))
        float y = 0.7978845608f * (x + 0.044715f * x * x * x);
        gate[i] = x / (1.0f + KERNEL(exponential)(-2 * y)) * up[i];
    }
}

static void KERNEL(add)(float *x, const float *y, long count) {
    for (long i = 0; i < count; i++) x[i] += y[i];
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

// Rounds a block times `inverse` to whole numbers from -127 to 127, and sums them.
static inline kernel_block KERNEL(round_block)(const float *x, float scale, float inverse,
                                               int8_t *codes) {
    int32_t low = 0, high = 0;
    for (int i = 0; i < KERNEL_BLOCK; i++) {
        float value = x[i] * inverse;
        value = value > -127 ? value : -127;  // Also takes NaN.
        value = value < 127 ? value : 127;
        // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
        value += 12582912.0f;
        int32_t bits;
        memcpy(&bits, &value, 4);
        codes[i] = (int8_t)bits;
    }
    for (int i = 0; i < 16; i++) low += codes[i];
    for (int i = 16; i < 32; i++) high += codes[i];
    return (kernel_block){scale, scale * (float)(low + high), scale * (float)low,
                          scale * (float)high};
}

static void KERNEL(quantise)(const float *x, long columns, int8_t *codes, kernel_block *blocks,
                             int8_t *rest_codes, kernel_block *rest_blocks) {
    for (long block = 0; block < columns / KERNEL_BLOCK; block++) {
        float largest = 0;
        for (int i = 0; i < KERNEL_BLOCK; i++) {
            float size = __builtin_fabsf(x[i]);
            largest = size > largest ? size : largest;
        }
        float scale = largest / 127, inverse = largest > 0 ? 127 / largest : 0;
        blocks[block] = KERNEL(round_block)(x, scale, inverse, codes);
        if (rest_codes) {
            // At most half of what a code stands for.
            float rest[KERNEL_BLOCK];
            for (int i = 0; i < KERNEL_BLOCK; i++) rest[i] = x[i] - scale * (float)codes[i];
            rest_blocks[block] =
                KERNEL(round_block)(rest, scale / 254, 254 * inverse, rest_codes);
            rest_codes += KERNEL_BLOCK;
        }
        x += KERNEL_BLOCK;
        codes += KERNEL_BLOCK;
    }
}

static void KERNEL(rows_dot)(int type, const void *rows, size_t row_bytes, const float *x,
                             long columns, long count, float *out) {
    const uint8_t *row = rows;
    for (long r = 0; r < count; r++, row += row_bytes) {
        switch (type) {
        case KERNEL_F32: out[r] = KERNEL(dot_f32)(row, x, columns); break;
        case KERNEL_F16: out[r] = KERNEL(dot_f16)(row, x, columns); break;
        case KERNEL_BF16: out[r] = KERNEL(dot_bf16)(row, x, columns); break;
        }
    }
}

// A register of floats, and how many make a tile's row.
typedef float KERNEL(vector) __attribute__((vector_size(VECTOR_BYTES)));
enum { LANES = VECTOR_BYTES / 4, TILE = 32, TILE_VECTORS = TILE / LANES };

static inline KERNEL(vector) KERNEL(load)(const float *from) {
    KERNEL(vector) v;
    memcpy(&v, from, sizeof v);
    return v;
}

// c[r] += a[r] . b, for `rows` rows of TILE sums each that stay in registers: a[r] has `inner`
// numbers, the rows of b are `b_stride` apart.
static inline __attribute__((always_inline)) void KERNEL(tile)(
    const int rows, const float *const *a, const float *b, long b_stride, long inner,
    float *const *c) {
    KERNEL(vector) sums[TILE_ROWS][TILE_VECTORS];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < TILE_VECTORS; v++) sums[r][v] = KERNEL(load)(c[r] + v * LANES);
    for (long i = 0; i < inner; i++, b += b_stride) {
#pragma clang loop unroll(full)
        for (int v = 0; v < TILE_VECTORS; v++) {
            KERNEL(vector) column = KERNEL(load)(b + v * LANES);
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++) sums[r][v] += a[r][i] * column;
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < TILE_VECTORS; v++)
            memcpy(c[r] + v * LANES, &sums[r][v], sizeof sums[r][v]);
}

// Turns the scores of one query and one page into weights. Returns what the answer until now and
// its sum of weights are to be multiplied with, since the largest score may have grown.
static inline float KERNEL(weigh)(float *scores, long first, long end, float scale, float *largest,
                                  float *total) {
    const float least = -__builtin_inff();
    // Few pages have positions that are not seen.
    first = first < 0 ? 0 : first < KERNEL_PAGE ? first : KERNEL_PAGE;
    end = end < 0 ? 0 : end;
    for (long t = 0; t < first; t++) scores[t] = least;
    for (long t = end; t < KERNEL_PAGE; t++) scores[t] = least;
    // In pairs, for many at a time: a compiler does not reorder sums by itself.
    float most_of[KERNEL_PAGE], sum_of[LANES] = {0};
    for (int t = 0; t < KERNEL_PAGE; t++) {
        scores[t] *= scale;
        most_of[t] = scores[t];
    }
    for (int width = KERNEL_PAGE / 2; width > 0; width /= 2)
        for (int t = 0; t < width; t++)
            most_of[t] = most_of[t] > most_of[t + width] ? most_of[t] : most_of[t + width];
    float most = most_of[0] > *largest ? most_of[0] : *largest;
    if (!(most > least)) {
        for (int t = 0; t < KERNEL_PAGE; t++) scores[t] = 0;
        return 1;
    }
    for (int t = 0; t < KERNEL_PAGE; t++) scores[t] = KERNEL(exponential)(scores[t] - most);
    for (long t = 0; t < first; t++) scores[t] = 0;
    for (long t = end; t < KERNEL_PAGE; t++) scores[t] = 0;
    for (int t = 0; t < KERNEL_PAGE; t++) sum_of[t % LANES] += scores[t];
    float sum = 0;
    for (int t = 0; t < LANES; t++) sum += sum_of[t];
    float shrink = *largest == most ? 1 : KERNEL(exponential)(*largest - most);
    *largest = most;
    *total = *total * shrink + sum;
    return shrink;
}

static inline __attribute__((always_inline)) void KERNEL(attend_page)(
    const kernel_attention *a, const int rows, long first_query, long page, const float *keys,
    const float *values, float *largest, float *total) {
    float scores[TILE_ROWS][KERNEL_PAGE] = {{0}};
    float *score_rows[TILE_ROWS];
    const float *weight_rows[TILE_ROWS];
    float *out[TILE_ROWS];
    long begins = page * KERNEL_PAGE;
    for (int r = 0; r < rows; r++) weight_rows[r] = score_rows[r] = scores[r];
    KERNEL(tile)(rows, a->queries + first_query, keys, KERNEL_PAGE, a->width, score_rows);
    for (int r = 0; r < rows; r++) {
        long q = first_query + r;
        float shrink = KERNEL(weigh)(scores[r], a->first_seen[q] - begins, a->end_seen[q] - begins,
                                     a->scale, largest + q, total + q);
        if (shrink != 1)
            for (long i = 0; i < a->width; i++) a->out[q][i] *= shrink;
    }
    long column = 0;
    for (; column + TILE <= a->width; column += TILE) {
        for (int r = 0; r < rows; r++) out[r] = a->out[first_query + r] + column;
        KERNEL(tile)(rows, weight_rows, values + column, a->width, KERNEL_PAGE, out);
    }
    for (int r = 0; r < rows && column < a->width; r++)
        for (int t = 0; t < KERNEL_PAGE; t++)
            for (long i = column; i < a->width; i++)
                a->out[first_query + r][i] += scores[r][t] * values[t * a->width + i];
}

static void KERNEL(attend)(const kernel_attention *a, float *scratch) {
    float *keys = scratch, *values = keys + KERNEL_PAGE * a->width;
    float largest[KERNEL_QUERIES_MAX], total[KERNEL_QUERIES_MAX];
    long first = a->first_seen[0], end = a->end_seen[0];
    for (long q = 0; q < a->count; q++) {
        first = a->first_seen[q] < first ? a->first_seen[q] : first;
        end = a->end_seen[q] > end ? a->end_seen[q] : end;
        largest[q] = -__builtin_inff();
        total[q] = 0;
        memset(a->out[q], 0, (size_t)a->width * 4);
    }
    for (long page = first / KERNEL_PAGE; page * KERNEL_PAGE < end; page++) {
        // What was not written yet may be anything, and nothing times NaN is NaN.
        long seen = end - page * KERNEL_PAGE;
        seen = seen < KERNEL_PAGE ? seen : KERNEL_PAGE;
        KERNEL(floats_from_halves)(a->pages[page] + a->keys_at, KERNEL_PAGE * a->width, keys);
        KERNEL(floats_from_halves)(a->pages[page] + a->values_at, seen * a->width, values);
        memset(values + seen * a->width, 0, (size_t)((KERNEL_PAGE - seen) * a->width) * 4);
        long q = 0;
        while (q < a->count) {
            // In a prompt most queries are before most positions.
            if (a->end_seen[q] <= page * KERNEL_PAGE) {
                q++;
            } else if (q + TILE_ROWS <= a->count) {
                KERNEL(attend_page)(a, TILE_ROWS, q, page, keys, values, largest, total);
                q += TILE_ROWS;
            } else {
                KERNEL(attend_page)(a, 1, q, page, keys, values, largest, total);
                q++;
            }
        }
    }
    for (long q = 0; q < a->count; q++) {
        float share = total[q] > 0 ? 1 / total[q] : 0;
        for (long i = 0; i < a->width; i++) a->out[q][i] *= share;
    }
}

static void KERNEL(product)(const kernel_packed *, long, long, const kernel_rows *, long, void *,
                            float *, long, bool);

#define KERNEL_SET(set_name)                                                                      \
    {                                                                                             \
        .name = set_name, .product = KERNEL(product), .quantise = KERNEL(quantise),               \
        .rows_dot = KERNEL(rows_dot), .rms_normalise = KERNEL(rms_normalise),                     \
        .rotate = KERNEL(rotate), .rotate_halves = KERNEL(rotate_halves),                         \
        .silu_multiply = KERNEL(silu_multiply), .gelu_multiply = KERNEL(gelu_multiply),           \
        .add = KERNEL(add), .halves_from_floats = KERNEL(halves_from_floats),                     \
        .attend = KERNEL(attend),                                                                 \
    }
