// The kernels of the encoder, written once for vectors of LANES floats. A file for one kind of
// processor includes this with its own target flags and says:
//
// KERNEL(name)     the name of a function in this set
// LANES            floats in a vector
// TILE, VECTORS    rows and vectors of outputs that a product works on at a time
// STORE_WORDS(to, numbers), STORE_BYTES(to, numbers)   the low 16 or 8 bits of each lane
// ADD_WORDS(sum, pair, weights)   sum += the products of two 16-bit numbers, for each lane
// ADD_BYTES(sum, four, weights)   sum += the products of four 8-bit numbers, the first unsigned
//
// A product keeps TILE x VECTORS vectors of sums in registers. For each step it loads VECTORS vectors
// of weights and one number of each row, so it computes more than it loads. Weights are packed in
// panels of VECTORS * LANES outputs, step after step, and cut into blocks of inputs so that a panel
// stays in the first cache while all rows pass.

#include "include/Encoder.h"

#include <math.h>
#include <string.h>

// A multiplication and an addition may become one instruction; sums keep their order.
#pragma clang fp contract(fast)

#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("clang loop unroll(full)")

enum {
    PANEL = VECTORS * LANES,
    FLOATS_BLOCK = 192,
    // 384 products of two numbers up to 2047 fit in 32 bits.
    WORDS_BLOCK = 384,
    WORDS_MAX = 2047,
    BYTES_BLOCK = 384,
    BYTES_MAX = 127,
    // Inputs that share a scale.
    BYTES_GROUP = 32,
    // Rows that a product of bytes works on at a time: it keeps two sums for each output.
    BYTES_TILE = 4,
    // Vectors of queries that attention works on at a time, and keys or numbers of values.
    QUERIES = 2,
};

typedef float floats __attribute__((ext_vector_type(LANES)));
typedef int32_t ints __attribute__((ext_vector_type(LANES)));
typedef uint32_t bits __attribute__((ext_vector_type(LANES)));

INLINE floats load(const float *x) {
    floats v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE void store(float *x, floats v) { memcpy(x, &v, sizeof v); }

INLINE ints load_ints(const void *x) {
    ints v;
    memcpy(&v, x, sizeof v);
    return v;
}

// The first `count` lanes; the others are zero.
INLINE floats load_some(const float *x, long count) {
    floats v = 0;
    memcpy(&v, x, (size_t)count * 4);
    return v;
}

INLINE void store_some(float *x, floats v, long count) { memcpy(x, &v, (size_t)count * 4); }

INLINE float sum_of(floats v) {
    float sum = 0;
    for (int i = 0; i < LANES; i++) sum += v[i];
    return sum;
}

INLINE floats either(ints mask, floats yes, floats no) {
    return (floats)(((ints)yes & mask) | ((ints)no & ~mask));
}

// Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
#define ROUNDER 12582912.0f

// e^x to 2 units in the last place for x between -87 and 0, and what it is at -87 below.
INLINE floats exponential(floats x) {
    x = either(x > -87.0f, x, (floats)-87.0f);
    floats shifted = x * 1.44269504f + ROUNDER;
    floats whole = shifted - ROUNDER;
    floats rest = x - whole * 0.693359375f;
    rest = rest + whole * 2.12194440e-4f;
    floats power = rest * 1.9875691500e-4f + 1.3981999507e-3f;
    power = power * rest + 8.3334519073e-3f;
    power = power * rest + 4.1665795894e-2f;
    power = power * rest + 1.6666665459e-1f;
    power = power * rest + 5.0000001201e-1f;
    power = power * (rest * rest) + (rest + 1.0f);
    return power * (floats)(((bits)shifted << 23) + 0x3f800000u);
}

// The quotient of two polynomials in x^2 that is nearest to erf(x) / x up to 3.95, by relative error;
// past that erf is 1 in single precision.
INLINE floats gelu(floats v) {
    floats x = v * 0.70710678f;
    floats square = x * x;
    floats over = square * 2.0259065e-06f + 2.84688489e-04f;
    over = over * square + 3.80818662e-03f;
    over = over * square + 5.28755130e-02f;
    over = over * square + 1.91550866e-01f;
    over = over * square + 1.12837911f;
    floats under = square * 3.78318255e-05f + 1.1707322e-03f;
    under = under * square + 1.50551405e-02f;
    under = under * square + 1.14559859e-01f;
    under = under * square + 5.03090203e-01f;
    under = under * square + 1.0f;
    floats end = (floats)(((bits)x & 0x80000000) | 0x3f800000);
    floats erf = either(square < 15.5f, x * over / under, end);
    return v * 0.5f * (1.0f + erf);
}

// MARK: Packed matrices

typedef struct {
    long inputs, outputs, panels;
    int kind;
} matrix;

INLINE long rounded_up(long x, long unit) { return (x + unit - 1) / unit * unit; }

// Numbers of a row that one step of a product takes at once, and in a block.
INLINE long step_of(int kind) { return kind == ENCODER_BYTES ? 4 : kind == ENCODER_WORDS ? 2 : 1; }

INLINE long block_of(int kind) {
    return kind == ENCODER_BYTES ? BYTES_BLOCK : kind == ENCODER_WORDS ? WORDS_BLOCK : FLOATS_BLOCK;
}

INLINE long blocks_of(int kind, long inputs) {
    return (inputs + block_of(kind) - 1) / block_of(kind);
}

// Numbers that share a scale: in words those of a block.
INLINE long group_of(int kind) { return kind == ENCODER_BYTES ? BYTES_GROUP : block_of(kind); }

INLINE long groups_of(int kind, long inputs) {
    return kind == ENCODER_FLOATS ? 0 : (inputs + group_of(kind) - 1) / group_of(kind);
}

// In floats; a row of whole numbers begins with the scales of its groups.
INLINE long scales_of(int kind, long inputs) { return rounded_up(groups_of(kind, inputs), 16); }

static size_t KERNEL(row_bytes)(int kind, long inputs) {
    long step = step_of(kind);
    return (size_t)rounded_up(
        4 * scales_of(kind, inputs) + rounded_up(inputs, step) * 4 / step, 64);
}

// A packed matrix: `matrix`, the biases, the scales, for bytes the sums of the weights times -128, and
// the weights. Scales and sums of the groups of a panel follow each other.
INLINE long panels_of(long outputs) { return (outputs + PANEL - 1) / PANEL; }

INLINE float *biases_of(const void *packed) { return (float *)((char *)packed + 64); }

INLINE float *scales_at(const matrix *m, long group, long panel) {
    return biases_of(m)
           + (m->panels + panel * groups_of(m->kind, m->inputs) + group) * PANEL;
}

INLINE int32_t *sums_at(const matrix *m, long group, long panel) {
    return (int32_t *)scales_at(m, m->panels * groups_of(m->kind, m->inputs) + group, panel);
}

INLINE size_t weights_start(int kind, long inputs, long outputs) {
    long tables = 1 + groups_of(kind, inputs) * (kind == ENCODER_BYTES ? 2 : 1);
    return (size_t)rounded_up(64 + tables * panels_of(outputs) * PANEL * 4, 64);
}

// Steps in a block; the last block may be shorter.
INLINE long steps_in(int kind, long inputs, long block) {
    long rest = inputs - block * block_of(kind);
    return ((rest < block_of(kind) ? rest : block_of(kind)) + step_of(kind) - 1) / step_of(kind);
}

INLINE char *weights_at(const matrix *m, long block, long panel) {
    long before = block * (block_of(m->kind) / step_of(m->kind)) * m->panels
                  + panel * steps_in(m->kind, m->inputs, block);
    return (char *)m + weights_start(m->kind, m->inputs, m->outputs) + before * PANEL * 4;
}

static size_t KERNEL(packed_bytes)(int kind, long inputs, long outputs) {
    long steps = (inputs + step_of(kind) - 1) / step_of(kind);
    return weights_start(kind, inputs, outputs)
           + (size_t)(steps * panels_of(outputs) * PANEL * 4);
}

static void KERNEL(pack_begin)(void *packed, int kind, long inputs, long outputs) {
    memset(packed, 0, KERNEL(packed_bytes)(kind, inputs, outputs));
    *(matrix *)packed =
        (matrix){.inputs = inputs, .outputs = outputs, .panels = panels_of(outputs), .kind = kind};
}

// The factor that brings the largest of the numbers to `max`, and in `scale` what undoes it: not a
// number where one of them is not finite, so that the product is not either.
INLINE float factor_of(const float *x, long count, float max, float *scale) {
    // The sizes of floats are in the order of their bits, and those that are not finite come last.
    ints largest = 0;
    for (; count > 0; count -= LANES, x += LANES) {
        floats v = count < LANES ? load_some(x, count) : load(x);
        largest = __builtin_elementwise_max(largest, (ints)v & 0x7fffffff);
    }
    int32_t bits = __builtin_reduce_max(largest);
    float size;
    memcpy(&size, &bits, 4);
    *scale = bits < 0x7f800000 ? size / max : NAN;
    // For numbers so small that the factor would overflow, none is as good.
    return size > 1e-30f && bits < 0x7f800000 ? max / size : 0;
}

static void KERNEL(pack_outputs)(void *packed, const float *weights, const float *bias, long first,
                                 long count) {
    const matrix *m = packed;
    const long step = step_of(m->kind), size = block_of(m->kind);
    for (long row = 0; row < count; row++, weights += m->inputs) {
        long panel = (first + row) / PANEL, lane = (first + row) % PANEL;
        biases_of(m)[first + row] = bias[row];
        if (m->kind == ENCODER_FLOATS) {
            for (long i = 0; i < m->inputs; i++)
                ((float *)weights_at(m, i / size, panel))[i % size * PANEL + lane] = weights[i];
            continue;
        }
        for (long group = 0; group < groups_of(m->kind, m->inputs); group++) {
            long start = group * group_of(m->kind), end = start + group_of(m->kind);
            if (end > m->inputs) end = m->inputs;
            char *to = weights_at(m, start / size, panel);
            float factor = factor_of(weights + start, end - start,
                                     m->kind == ENCODER_WORDS ? WORDS_MAX : BYTES_MAX,
                                     scales_at(m, group, panel) + lane);
            int32_t sum = 0;
            for (long i = start; i < end; i++) {
                int32_t whole = factor > 0 ? (int32_t)rintf(weights[i] * factor) : 0;
                long place = (i % size / step * PANEL + lane) * step + i % step;
                if (m->kind == ENCODER_WORDS) ((int16_t *)to)[place] = (int16_t)whole;
                else ((int8_t *)to)[place] = (int8_t)whole;
                sum += whole;
            }
            // Bytes of a row are unsigned, 128 more than they stand for.
            if (m->kind == ENCODER_BYTES) sums_at(m, group, panel)[lane] = -128 * sum;
        }
    }
}

static void KERNEL(format_rows)(int kind, const float *x, long inputs, long count, void *rows) {
    const long row_bytes = (long)KERNEL(row_bytes)(kind, inputs), size = group_of(kind);
    for (long row = 0; row < count; row++, x += inputs) {
        char *to = (char *)rows + row * row_bytes;
        if (kind == ENCODER_FLOATS) {
            memcpy(to, x, (size_t)inputs * 4);
            continue;
        }
        float *scales = (float *)to;
        int16_t *as_words = (int16_t *)(scales + scales_of(kind, inputs));
        uint8_t *as_bytes = (uint8_t *)as_words;
        for (long first = 0; first < inputs; first += size) {
            long last = inputs - first < size ? inputs : first + size;
            float factor =
                factor_of(x + first, last - first, kind == ENCODER_WORDS ? WORDS_MAX : BYTES_MAX,
                          scales + first / size);
            long i = first;
            for (; i + LANES <= last; i += LANES) {
                ints whole = (ints)(load(x + i) * factor + ROUNDER);
                if (kind == ENCODER_WORDS) STORE_WORDS(as_words + i, whole);
                else STORE_BYTES(as_bytes + i, whole + 128);
            }
            for (; i < last; i++) {
                int32_t whole = factor > 0 ? (int32_t)rintf(x[i] * factor) : 0;
                if (kind == ENCODER_WORDS) as_words[i] = (int16_t)whole;
                else as_bytes[i] = (uint8_t)(whole + 128);
            }
        }
        // The last step of a product may read a little more; those weights are zero.
        for (long i = inputs; i % step_of(kind) != 0; i++) {
            if (kind == ENCODER_WORDS) as_words[i] = 0;
            else as_bytes[i] = 0;
        }
    }
}

// MARK: Products

// A panel of a block, and where its rows and outputs are.
typedef struct {
    const char *weights;
    long steps;
    const float *biases, *scales;
    const int32_t *sums;
    // Of a row: its scales for this block and its numbers, in bytes from its beginning.
    long scale_at, numbers_at, row_bytes;
    // Outputs of this panel that there are.
    long outputs, stride;
    bool is_first, is_last, gelus;
} task;

// Rows are found from two pointers, so that all six addresses need no arithmetic of their own.
#define STEPS(number, vector, load_vector, add)                                                   \
    _Pragma("clang loop unroll_count(2)") for (long i = 0; i < steps; i++) {                      \
        vector w[VECTORS];                                                                        \
        UNROLLED for (int j = 0; j < PANEL * 4; j += 64)                                          \
            __builtin_prefetch(weights + ahead + j);                                              \
        UNROLLED for (int j = 0; j < VECTORS; j++)                                                \
            w[j] = load_vector((const void *)(weights + j * LANES * 4));                          \
        UNROLLED for (int r = 0; r < count; r++) {                                                \
            number own;                                                                           \
            memcpy(&own, r < 3 ? low + r * row_bytes : high + (r - 3) * row_bytes, 4);            \
            UNROLLED for (int j = 0; j < VECTORS; j++) add(sums[r][j], own, w[j]);                \
        }                                                                                         \
        weights += PANEL * 4;                                                                     \
        low += 4;                                                                                 \
        high += 4;                                                                                \
    }

#define ADD_FLOATS(sum, number, weights) sum += weights * (floats)(number)

INLINE float scale_of(const char *place) {
    float scale;
    memcpy(&scale, place, 4);
    return scale;
}

// `count` rows times a panel of a block.
INLINE void tile(const int count, const int kind, const task *t, const char *rows, float *out) {
    const char *weights = t->weights;
    const long steps = t->steps, row_bytes = t->row_bytes;
    // The next panel is fetched while this one is used. Few rows would otherwise wait for it.
    const long ahead = steps * PANEL * 4;
    const char *low = rows + t->numbers_at, *high = low + 3 * row_bytes;
    floats values[TILE][VECTORS];
    if (kind == ENCODER_FLOATS) {
        floats sums[TILE][VECTORS];
        UNROLLED for (int r = 0; r < count; r++)
            UNROLLED for (int j = 0; j < VECTORS; j++) sums[r][j] = 0;
        STEPS(float, floats, load, ADD_FLOATS)
        UNROLLED for (int r = 0; r < count; r++)
            UNROLLED for (int j = 0; j < VECTORS; j++) values[r][j] = sums[r][j];
    } else if (kind == ENCODER_WORDS) {
        ints sums[TILE][VECTORS];
        UNROLLED for (int r = 0; r < count; r++)
            UNROLLED for (int j = 0; j < VECTORS; j++) sums[r][j] = 0;
        STEPS(int32_t, ints, load_ints, ADD_WORDS)
        UNROLLED for (int r = 0; r < count; r++) {
            float own = scale_of(rows + r * row_bytes + t->scale_at);
            UNROLLED for (int j = 0; j < VECTORS; j++)
                values[r][j] = __builtin_convertvector(sums[r][j], floats)
                               * (load(t->scales + j * LANES) * own);
        }
    } else {
        UNROLLED for (int r = 0; r < count; r++)
            UNROLLED for (int j = 0; j < VECTORS; j++) values[r][j] = 0;
        const char *scales_of_rows = rows + t->scale_at;
        const float *scales = t->scales;
        const int32_t *starts = t->sums;
        for (long rest = t->steps; rest > 0; rest -= BYTES_GROUP / 4) {
            const long steps = rest < BYTES_GROUP / 4 ? rest : BYTES_GROUP / 4;
            ints sums[TILE][VECTORS];
            UNROLLED for (int r = 0; r < count; r++)
                UNROLLED for (int j = 0; j < VECTORS; j++)
                    sums[r][j] = load_ints(starts + j * LANES);
            STEPS(int32_t, ints, load_ints, ADD_BYTES)
            UNROLLED for (int r = 0; r < count; r++) {
                float own = scale_of(scales_of_rows + r * row_bytes);
                UNROLLED for (int j = 0; j < VECTORS; j++)
                    values[r][j] += __builtin_convertvector(sums[r][j], floats)
                                    * (load(scales + j * LANES) * own);
            }
            scales_of_rows += 4;
            scales += PANEL;
            starts += PANEL;
        }
    }
    UNROLLED for (int j = 0; j < VECTORS; j++) {
        long lanes = t->outputs - j * LANES;
        if (lanes <= 0) break;
        UNROLLED for (int r = 0; r < count; r++) {
            float *to = out + r * t->stride + j * LANES;
            floats value = values[r][j];
            if (t->is_first) value += load(t->biases + j * LANES);
            else value += lanes < LANES ? load_some(to, lanes) : load(to);
            if (t->is_last && t->gelus) value = gelu(value);
            if (lanes < LANES) store_some(to, value, lanes);
            else store(to, value);
        }
    }
}

// All rows times a panel of a block. Not inlined: the compiler runs out of registers otherwise.
#define TILES(kind, height)                                                                       \
    static __attribute__((noinline)) void kind##_tiles(const task *t, const char *rows,           \
                                                       long count, float *out) {                  \
        for (long tiles = (count + height - 1) / height; tiles > 0; tiles--) {                    \
            /* Tiles of nearly the same height are faster than a low one at the end. */           \
            long now = (count + tiles - 1) / tiles;                                               \
            switch (now) {                                                                        \
                TILE_CASES(kind)                                                                  \
            }                                                                                     \
            count -= now;                                                                         \
            rows += now * t->row_bytes;                                                           \
            out += now * t->stride;                                                               \
        }                                                                                         \
    }
#define TILE_CASE(kind, n)                                                                        \
    case n:                                                                                       \
        if (n <= (kind == ENCODER_BYTES ? BYTES_TILE : TILE)) tile(n, kind, t, rows, out);        \
        break;
#define SIX_CASES(kind)                                                                           \
    TILE_CASE(kind, 1) TILE_CASE(kind, 2) TILE_CASE(kind, 3) TILE_CASE(kind, 4)                   \
    TILE_CASE(kind, 5) TILE_CASE(kind, 6)
#if TILE == 8
#define TILE_CASES(kind) SIX_CASES(kind) TILE_CASE(kind, 7) TILE_CASE(kind, 8)
#else
#define TILE_CASES(kind) SIX_CASES(kind)
#endif

TILES(ENCODER_FLOATS, TILE)
TILES(ENCODER_WORDS, TILE)
TILES(ENCODER_BYTES, BYTES_TILE)

static void KERNEL(multiply)(const void *packed, const void *rows, long count, float *out,
                             long stride, bool gelus) {
    const matrix *m = packed;
    const long blocks = blocks_of(m->kind, m->inputs);
    task t = {.row_bytes = (long)KERNEL(row_bytes)(m->kind, m->inputs), .stride = stride,
              .gelus = gelus};
    for (long block = 0; block < blocks; block++) {
        t.steps = steps_in(m->kind, m->inputs, block);
        const long group = block * (block_of(m->kind) / group_of(m->kind));
        t.scale_at = 4 * group;
        t.numbers_at = 4 * scales_of(m->kind, m->inputs)
                       + block * (block_of(m->kind) / step_of(m->kind)) * 4;
        t.is_first = block == 0;
        t.is_last = block == blocks - 1;
        for (long panel = 0; panel < m->panels; panel++) {
            t.weights = weights_at(m, block, panel);
            t.biases = biases_of(m) + panel * PANEL;
            t.scales = scales_at(m, group, panel);
            t.sums = sums_at(m, group, panel);
            t.outputs = m->outputs - panel * PANEL;
            float *to = out + panel * PANEL;
            if (m->kind == ENCODER_FLOATS) ENCODER_FLOATS_tiles(&t, rows, count, to);
            else if (m->kind == ENCODER_WORDS) ENCODER_WORDS_tiles(&t, rows, count, to);
            else ENCODER_BYTES_tiles(&t, rows, count, to);
        }
    }
}

// MARK: Attention

// Queries are turned so that they lie side by side in vectors. Then the scores of a key are a vector
// too, and all that softmax needs of the others are maxima and sums lane by lane.

static size_t KERNEL(attend_scratch)(long length, long width) {
    return (size_t)((length + 2 * width) * QUERIES * LANES);
}

// sums[i] = the products of n rows, each `row_step` after the other, of numbers `step` apart.
INLINE void attend_tile(const int n, const int vectors, const float *rows, long row_step, long step,
                        long count, const float *with, floats sums[4][QUERIES]) {
    UNROLLED for (int i = 0; i < n; i++)
        UNROLLED for (int j = 0; j < vectors; j++) sums[i][j] = 0;
    for (long k = 0; k < count; k++, with += vectors * LANES) {
        floats w[QUERIES];
        UNROLLED for (int j = 0; j < vectors; j++) w[j] = load(with + j * LANES);
        UNROLLED for (int i = 0; i < n; i++) {
            floats own = rows[i * row_step + k * step];
            UNROLLED for (int j = 0; j < vectors; j++) sums[i][j] += own * w[j];
        }
    }
}

INLINE void attend_some(const int vectors, const float *queries, const float *keys,
                        const float *values, long stride, long count, long length, long width,
                        float scale, float *scratch, float *out, long out_stride) {
    const long lanes = vectors * LANES;
    float *turned = scratch, *results = turned + lanes * width, *scores = results + lanes * width;
    for (long i = 0; i < width; i++) {
        for (long q = 0; q < count; q++) turned[i * lanes + q] = queries[q * stride + i] * scale;
        for (long q = count; q < lanes; q++) turned[i * lanes + q] = 0;
    }
    floats sums[4][QUERIES], largest[QUERIES], total[QUERIES];
    UNROLLED for (int j = 0; j < vectors; j++) largest[j] = -INFINITY, total[j] = 0;
    long t = 0;
    for (; t + 4 <= length; t += 4) {
        attend_tile(4, vectors, keys + t * stride, stride, 1, width, turned, sums);
        UNROLLED for (int i = 0; i < 4; i++)
            UNROLLED for (int j = 0; j < vectors; j++) {
                largest[j] = either(sums[i][j] > largest[j], sums[i][j], largest[j]);
                store(scores + (t + i) * lanes + j * LANES, sums[i][j]);
            }
    }
    for (; t < length; t++) {
        attend_tile(1, vectors, keys + t * stride, stride, 1, width, turned, sums);
        UNROLLED for (int j = 0; j < vectors; j++) {
            largest[j] = either(sums[0][j] > largest[j], sums[0][j], largest[j]);
            store(scores + t * lanes + j * LANES, sums[0][j]);
        }
    }
    for (t = 0; t < length; t++)
        UNROLLED for (int j = 0; j < vectors; j++) {
            floats power = exponential(load(scores + t * lanes + j * LANES) - largest[j]);
            total[j] += power;
            store(scores + t * lanes + j * LANES, power);
        }
    UNROLLED for (int j = 0; j < vectors; j++) total[j] = 1.0f / total[j];
    long i = 0;
    for (; i + 4 <= width; i += 4) {
        attend_tile(4, vectors, values + i, 1, stride, length, scores, sums);
        UNROLLED for (int k = 0; k < 4; k++)
            UNROLLED for (int j = 0; j < vectors; j++)
                store(results + (i + k) * lanes + j * LANES, sums[k][j] * total[j]);
    }
    for (; i < width; i++) {
        attend_tile(1, vectors, values + i, 1, stride, length, scores, sums);
        UNROLLED for (int j = 0; j < vectors; j++)
            store(results + i * lanes + j * LANES, sums[0][j] * total[j]);
    }
    for (long q = 0; q < count; q++)
        for (i = 0; i < width; i++) out[q * out_stride + i] = results[i * lanes + q];
}

static void KERNEL(attend)(const float *queries, const float *keys, const float *values,
                           long stride, long count, long length, long width, float scale,
                           float *scratch, float *out, long out_stride) {
    while (count > 0) {
        long now;
        if (count > LANES) {
            now = count < QUERIES * LANES ? count : QUERIES * LANES;
            attend_some(QUERIES, queries, keys, values, stride, now, length, width, scale, scratch,
                        out, out_stride);
        } else {
            now = count;
            attend_some(1, queries, keys, values, stride, now, length, width, scale, scratch, out,
                        out_stride);
        }
        count -= now;
        queries += now * stride;
        out += now * out_stride;
    }
}

// MARK: The rest

static void KERNEL(add)(float *x, const float *y, long count) {
    for (long i = 0; i < count; i++) x[i] += y[i];
}

static void KERNEL(add_normalise)(float *x, const float *y, const float *weight, const float *shift,
                                  float epsilon, long rows, long columns) {
    const long whole = columns / LANES * LANES, rest = columns - whole;
    for (long row = 0; row < rows; row++, x += columns, y += columns) {
        floats sums = 0, squares = 0;
        for (long i = 0; i < whole; i += LANES) {
            floats v = load(x + i) + load(y + i);
            store(x + i, v);
            sums += v;
        }
        for (long i = whole; i < columns; i++) {
            x[i] += y[i];
            sums[i - whole] += x[i];
        }
        float mean = sum_of(sums) / (float)columns;
        for (long i = 0; i < whole; i += LANES) {
            floats v = load(x + i) - mean;
            squares += v * v;
        }
        for (long i = whole; i < columns; i++)
            squares[i - whole] += (x[i] - mean) * (x[i] - mean);
        float scale = 1.0f / sqrtf(sum_of(squares) / (float)columns + epsilon);
        for (long i = 0; i < whole; i += LANES)
            store(x + i, (load(x + i) - mean) * scale * load(weight + i) + load(shift + i));
        for (long i = columns - rest; i < columns; i++)
            x[i] = (x[i] - mean) * scale * weight[i] + shift[i];
    }
}

static float KERNEL(pool)(const float *x, long rows, long columns, float *out) {
    for (long i = 0; i < columns; i++) out[i] = 0;
    for (long row = 0; row < rows; row++)
        for (long i = 0; i < columns; i++) out[i] += x[row * columns + i];
    float squares[8] = {0}, sum = 0;
    for (long i = 0; i < columns; i++) {
        out[i] /= (float)rows;
        squares[i % 8] += out[i] * out[i];
    }
    for (int i = 0; i < 8; i++) sum += squares[i];
    float length = sqrtf(sum);
    // Not true for a NaN either.
    if (!(length > 0 && length < INFINITY)) return length;
    for (long i = 0; i < columns; i++) out[i] /= length;
    return length;
}

#define ENCODER_KERNELS(title, fast_words, fast_bytes)                                            \
    {                                                                                             \
        .name = title, .words_are_fast = fast_words, .bytes_are_fast = fast_bytes,                \
        .packed_bytes = KERNEL(packed_bytes), .row_bytes = KERNEL(row_bytes),                     \
        .pack_begin = KERNEL(pack_begin), .pack_outputs = KERNEL(pack_outputs),                   \
        .format_rows = KERNEL(format_rows), .multiply = KERNEL(multiply),                         \
        .attend = KERNEL(attend), .attend_scratch = KERNEL(attend_scratch),                       \
        .add_normalise = KERNEL(add_normalise), .add = KERNEL(add), .pool = KERNEL(pool),         \
    }
