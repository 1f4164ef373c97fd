// For x86-64 processors with AVX2, FMA and F16C: nearly all since 2013.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define KERNEL(name) avx2_##name
#define HALF_IS_NATIVE 1
#define VECTOR_BYTES 32
#define TILE_ROWS 3
#include "portable.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

// Eight rows of a panel at a time: a register holds four columns of each.
// Weights are asked for this far ahead: a processor does not see by itself that a panel goes on.
enum { ROWS = 8, LINES_MAX = 4, AHEAD_BYTES = 4096 };

INLINE __m256i codes_at(const uint8_t *from) { return _mm256_loadu_si256((const void *)from); }

INLINE __m256 halves_at(const uint8_t *from) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const void *)from));
}

// Four activations for every row.
INLINE __m256i four(const int8_t *from) {
    int32_t bits;
    memcpy(&bits, from, 4);
    return _mm256_set1_epi32(bits);
}

// Pairs of 16-bit sums as 32-bit sums.
INLINE __m256i widen(__m256i sums) { return _mm256_madd_epi16(sums, _mm256_set1_epi16(1)); }

// What a group of four columns adds for one token: 16-bit sums of two products each. Codes of 4 bits
// give 15 * 127 * 2 at most, so that eight groups stay in 16 bits; codes of 6 bits 63 * 127 * 2, two
// groups. For signed codes the activations take the sign, and there is no room for a second.
INLINE __m256i products(__m256i codes, __m256i activations) {
    return _mm256_maddubs_epi16(codes, activations);
}

// The codes of a group as they come to the product: out of the panel, or unpacked before.
INLINE __m256i codes_of(const int packing, const bool unpacked, const uint8_t *block,
                        const int group) {
    const __m256i low_bits = _mm256_set1_epi8(15);
    if (packing == KERNEL_PACKED_8) return codes_at(block + group * 64);
    if (unpacked) return codes_at(block + group * 32);
    __m256i codes = codes_at(block + group % 4 * 64);
    codes = _mm256_and_si256(group < 4 ? codes : _mm256_srli_epi16(codes, 4), low_bits);
    if (packing == KERNEL_PACKED_6) {
        __m256i high = codes_at(block + 256 + group / 4 * 64);
        high = group % 4 < 2 ? _mm256_slli_epi16(high, 4 - group % 4 * 2)
                             : _mm256_srli_epi16(high, group % 4 * 2 - 4);
        codes = _mm256_or_si256(codes, _mm256_and_si256(high, _mm256_set1_epi8(0x30)));
    }
    return codes;
}

// One block of eight rows and `lines` rows of activations. `scales` and `offsets` are those of the rows, for
// each half of the block where there are two.
INLINE void block_product(const int packing, const bool unpacked, const int lines,
                          const uint8_t *block, const __m256 *scales, const __m256 *offsets,
                          const int8_t *activations, long columns, const kernel_block *infos,
                          long blocks, __m256 *totals) {
    __m256i sums[LINES_MAX][2];
    const int halves = packing == KERNEL_PACKED_6 ? 2 : 1;
    UNROLL for (int half = 0; half < halves; half++) {
        UNROLL for (int t = 0; t < lines; t++) sums[t][half] = _mm256_setzero_si256();
        // Groups whose products share a 16-bit sum.
        const int run = packing == KERNEL_PACKED_4 ? 8 : packing == KERNEL_PACKED_6 ? 2 : 1;
        UNROLL for (int first = half * 4; first < (half + 1) * (8 / halves); first += run) {
            __m256i run_sums[LINES_MAX];
            UNROLL for (int group = first; group < first + run; group++) {
                __m256i codes = codes_of(packing, unpacked, block, group);
                __m256i sizes =
                    packing == KERNEL_PACKED_8 ? _mm256_abs_epi8(codes) : _mm256_setzero_si256();
                UNROLL for (int t = 0; t < lines; t++) {
                    __m256i x = four(activations + t * columns + 4 * group);
                    __m256i product = packing == KERNEL_PACKED_8
                                          ? products(sizes, _mm256_sign_epi8(x, codes))
                                          : products(codes, x);
                    run_sums[t] =
                        group == first ? product : _mm256_add_epi16(run_sums[t], product);
                }
            }
            UNROLL for (int t = 0; t < lines; t++)
                sums[t][half] = _mm256_add_epi32(sums[t][half], widen(run_sums[t]));
        }
    }
    UNROLL for (int t = 0; t < lines; t++) {
        const kernel_block *info = infos + t * blocks;
        __m256 scale = _mm256_set1_ps(info->scale);
        UNROLL for (int half = 0; half < halves; half++) {
            totals[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[t][half]),
                                        _mm256_mul_ps(scales[half], scale), totals[t]);
            if (packing == KERNEL_PACKED_8) continue;
            float sum = halves == 1 ? info->sum : half == 0 ? info->low_sum : info->high_sum;
            totals[t] =
                _mm256_fmadd_ps(offsets[half], _mm256_set1_ps(sum), totals[t]);
        }
    }
}

INLINE void finish(const __m256 *totals, const int tokens, float *out, long stride, long rows,
                   bool adds) {
    UNROLL for (int t = 0; t < tokens; t++) {
        float *target = out + t * stride;
        if (rows >= ROWS) {
            __m256 before = adds ? _mm256_loadu_ps(target) : _mm256_setzero_ps();
            _mm256_storeu_ps(target, _mm256_add_ps(totals[t], before));
        } else {
            float values[ROWS];
            _mm256_storeu_ps(values, totals[t]);
            for (long r = 0; r < rows; r++) target[r] = values[r] + (adds ? target[r] : 0);
        }
    }
}

// Straight out of the panels, for a few tokens: what counts is how fast the weights come in.
INLINE void panel_product(const int packing, const int lines,
                          const uint8_t *panel, const kernel_rows *x, long columns, float *out, long stride, long rows,
                          bool adds) {
    const long blocks = columns / KERNEL_BLOCK;
    const int bytes = packing == KERNEL_PACKED_4   ? KERNEL_PACKED_4_BYTES
                      : packing == KERNEL_PACKED_6 ? KERNEL_PACKED_6_BYTES
                                                   : KERNEL_PACKED_8_BYTES;
    const int scales_at = packing == KERNEL_PACKED_4 ? 256 : packing == KERNEL_PACKED_6 ? 384 : 512;
    __m256 totals[2][LINES_MAX];
    UNROLL for (int t = 0; t < lines; t++) totals[0][t] = totals[1][t] = _mm256_setzero_ps();
    for (long b = 0; b < blocks; b++) {
        const uint8_t *block = panel + b * bytes;
        UNROLL for (int line = 0; line < (bytes + 63) / 64; line++)
            _mm_prefetch(block + AHEAD_BYTES + 64 * line, _MM_HINT_T0);
        UNROLL for (int side = 0; side < 2; side++) {
            const uint8_t *scale = block + scales_at + 16 * side;
            __m256 scales[2], offsets[2];
            scales[0] = halves_at(scale);
            if (packing == KERNEL_PACKED_4) offsets[0] = halves_at(scale + 32);
            if (packing == KERNEL_PACKED_6) {
                scales[1] = halves_at(scale + 32);
                offsets[0] = halves_at(scale + 64);
                offsets[1] = halves_at(scale + 96);
            }
            block_product(packing, false, lines, block + 32 * side, scales, offsets,
                          x->codes + b * KERNEL_BLOCK, columns, x->blocks + b, blocks,
                          totals[side]);
        }
    }
    finish(totals[0], lines, out, stride, rows, adds);
    if (rows > ROWS) finish(totals[1], lines, out + ROWS, stride, rows - ROWS, adds);
}

// A side of a panel as the product of many tokens reads it: codes a byte each, scales and offsets
// as floats.
typedef struct {
    const uint8_t *codes;
    long code_bytes;
    const float *scales;
} side;

INLINE side unpack(const int packing, const uint8_t *panel, int which, long blocks,
                   uint8_t *scratch) {
    const int halves = packing == KERNEL_PACKED_6 ? 2 : 1;
    const int bytes = packing == KERNEL_PACKED_4   ? KERNEL_PACKED_4_BYTES
                      : packing == KERNEL_PACKED_6 ? KERNEL_PACKED_6_BYTES
                                                   : KERNEL_PACKED_8_BYTES;
    const int scales_at = packing == KERNEL_PACKED_4 ? 256 : packing == KERNEL_PACKED_6 ? 384 : 512;
    uint8_t *codes = scratch;
    float *scales = (float *)(scratch + (packing == KERNEL_PACKED_8 ? 0 : blocks * 256));
    for (long b = 0; b < blocks; b++) {
        const uint8_t *block = panel + b * bytes;
        if (packing != KERNEL_PACKED_8) {
            UNROLL for (int group = 0; group < 8; group++)
                _mm256_storeu_si256((void *)(codes + b * 256 + group * 32),
                                    codes_of(packing, false, block + 32 * which, group));
        }
        const int rows = packing == KERNEL_PACKED_8 ? 1 : 2 * halves;
        UNROLL for (int i = 0; i < rows; i++)
            _mm256_storeu_ps(scales + (b * rows + i) * ROWS,
                             halves_at(block + scales_at + 32 * i + 16 * which));
    }
    return (side){packing == KERNEL_PACKED_8 ? panel + 32 * which : codes,
                  packing == KERNEL_PACKED_8 ? KERNEL_PACKED_8_BYTES : 256, scales};
}

INLINE void side_product(const int packing, const int lines, side s,
                         const kernel_rows *x, long token, long columns, float *out, long stride, long rows, bool adds) {
    const long blocks = columns / KERNEL_BLOCK;
    const int halves = packing == KERNEL_PACKED_6 ? 2 : 1;
    const int per_block = packing == KERNEL_PACKED_8 ? 1 : 2 * halves;
    const int8_t *activations = x->codes + token * columns;
    const kernel_block *infos = x->blocks + token * blocks;
    __m256 totals[LINES_MAX];
    UNROLL for (int t = 0; t < lines; t++) totals[t] = _mm256_setzero_ps();
    for (long b = 0; b < blocks; b++) {
        __m256 scales[2], offsets[2];
        UNROLL for (int h = 0; h < halves; h++) {
            scales[h] = _mm256_loadu_ps(s.scales + (b * per_block + h) * ROWS);
            if (packing != KERNEL_PACKED_8)
                offsets[h] = _mm256_loadu_ps(s.scales + (b * per_block + halves + h) * ROWS);
        }
        block_product(packing, true, lines, s.codes + b * s.code_bytes, scales, offsets,
                      activations + b * KERNEL_BLOCK, columns, infos + b, blocks, totals);
    }
    finish(totals, lines, out + token * stride, stride, rows, adds);
}

INLINE void product_of(const int packing, const kernel_packed *weights, long first, long last,
                       const kernel_rows *x, long count, uint8_t *scratch, float *out,
                       long stride, bool adds) {
    const long columns = weights->columns, blocks = columns / KERNEL_BLOCK;
    const size_t bytes = kernel_packed_bytes(packing, KERNEL_PANEL, columns);
    for (long panel = first; panel < last; panel++) {
        const uint8_t *start = weights->panels + (size_t)panel * bytes;
        float *target = out + panel * KERNEL_PANEL;
        long left = weights->rows - panel * KERNEL_PANEL;
        long rows = left < KERNEL_PANEL ? left : KERNEL_PANEL;
        switch (count) {
        case 1: panel_product(packing, 1, start, x, columns, target, stride, rows, adds); break;
        case 2: panel_product(packing, 2, start, x, columns, target, stride, rows, adds); break;
        case 3: panel_product(packing, 3, start, x, columns, target, stride, rows, adds); break;
        case 4: panel_product(packing, 4, start, x, columns, target, stride, rows, adds); break;
        default:
            for (int which = 0; which < 2 && rows > which * ROWS; which++) {
                side s = unpack(packing, start, which, blocks, scratch);
                float *own = target + which * ROWS;
                long own_rows = rows - which * ROWS, t = 0;
                for (; count - t >= LINES_MAX; t += LINES_MAX)
                    side_product(packing, LINES_MAX, s, x, t, columns, own, stride,
                                 own_rows, adds);
                for (; t < count; t++)
                    side_product(packing, 1, s, x, t, columns, own, stride, own_rows,
                                 adds);
            }
        }
    }
}

#define PRODUCT(packing)                                                                          \
    case packing:                                                                                 \
        product_of(packing, weights, first, last, x, count, scratch, out, stride, adds);          \
        break;

static void avx2_product(const kernel_packed *weights, long first, long last,
                         const kernel_rows *x, long count, void *scratch, float *out,
                         long stride, bool adds) {
    switch (weights->packing) {
        PRODUCT(KERNEL_PACKED_4)
        PRODUCT(KERNEL_PACKED_6)
        PRODUCT(KERNEL_PACKED_8)
    }
}

const kernel_set kernel_set_avx2 = KERNEL_SET("avx2");
#pragma clang attribute pop
#endif
