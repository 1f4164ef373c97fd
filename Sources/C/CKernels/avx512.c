// For x86-64 processors with AVX-512 F, BW, DQ, VL and VNNI: servers since 2019, and Zen 4.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>
#include <string.h>
#pragma clang attribute push(                                                                     \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))),       \
    apply_to = function)

#define KERNEL(name) avx512_##name
#define HALF_IS_NATIVE 1
#define VECTOR_BYTES 64
#define TILE_ROWS 6
#include "portable.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

// A whole panel at a time: a register holds four columns of each of its rows. Weights are asked for
// AHEAD_BYTES ahead: a processor does not see by itself that a panel goes on.
enum { LINES_MAX = 8, AHEAD_BYTES = 4096 };

INLINE __m512i codes_at(const uint8_t *from) { return _mm512_loadu_si512((const void *)from); }

INLINE __m512 halves_at(const uint8_t *from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)from));
}

// Four activations for every row.
INLINE __m512i four(const int8_t *from) {
    int32_t bits;
    memcpy(&bits, from, 4);
    return _mm512_set1_epi32(bits);
}

// The codes of a group of four columns, unsigned: out of the panel, or unpacked before. Signed codes
// are 128 too large, which the offsets make up for.
INLINE __m512i codes_of(const int packing, const bool unpacked, const uint8_t *block,
                        const int group) {
    const __m512i low_bits = _mm512_set1_epi8(15);
    if (unpacked) return codes_at(block + group * 64);
    if (packing == KERNEL_PACKED_8)
        return _mm512_xor_si512(codes_at(block + group * 64), _mm512_set1_epi8((char)0x80));
    __m512i codes = codes_at(block + group % 4 * 64);
    codes = _mm512_and_si512(group < 4 ? codes : _mm512_srli_epi16(codes, 4), low_bits);
    if (packing == KERNEL_PACKED_6) {
        __m512i high = codes_at(block + 256 + group / 4 * 64);
        high = group % 4 < 2 ? _mm512_slli_epi16(high, 4 - group % 4 * 2)
                             : _mm512_srli_epi16(high, group % 4 * 2 - 4);
        codes = _mm512_or_si512(codes, _mm512_and_si512(high, _mm512_set1_epi8(0x30)));
    }
    return codes;
}

INLINE int bytes_of(const int packing) {
    return packing == KERNEL_PACKED_4   ? KERNEL_PACKED_4_BYTES
           : packing == KERNEL_PACKED_6 ? KERNEL_PACKED_6_BYTES
                                        : KERNEL_PACKED_8_BYTES;
}

// The scales and offsets of a block, for each half of it where there are two.
INLINE void scales_of(const int packing, const uint8_t *block, __m512 *scales, __m512 *offsets) {
    const uint8_t *scale =
        block + (packing == KERNEL_PACKED_4 ? 256 : packing == KERNEL_PACKED_6 ? 384 : 512);
    scales[0] = halves_at(scale);
    switch (packing) {
    case KERNEL_PACKED_4: offsets[0] = halves_at(scale + 32); break;
    case KERNEL_PACKED_6:
        scales[1] = halves_at(scale + 32);
        offsets[0] = halves_at(scale + 64);
        offsets[1] = halves_at(scale + 96);
        break;
    default: offsets[0] = _mm512_mul_ps(scales[0], _mm512_set1_ps(-128)); break;
    }
}

// One block of a panel and `lines` rows of activations.
INLINE void block_product(const int packing, const bool unpacked, const int lines,
                          const uint8_t *block, const __m512 *scales, const __m512 *offsets,
                          const int8_t *activations, long columns, const kernel_block *infos,
                          long blocks, __m512 *totals) {
    const int halves = packing == KERNEL_PACKED_6 ? 2 : 1;
    UNROLL for (int half = 0; half < halves; half++) {
        __m512i sums[LINES_MAX];
        UNROLL for (int t = 0; t < lines; t++) sums[t] = _mm512_setzero_si512();
        UNROLL for (int group = half * 4; group < (half + 1) * (8 / halves); group++) {
            __m512i codes = codes_of(packing, unpacked, block, group);
            UNROLL for (int t = 0; t < lines; t++)
                sums[t] = _mm512_dpbusd_epi32(sums[t], codes,
                                              four(activations + t * columns + 4 * group));
        }
        UNROLL for (int t = 0; t < lines; t++) {
            const kernel_block *info = infos + t * blocks;
            totals[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[t]),
                                        _mm512_mul_ps(scales[half], _mm512_set1_ps(info->scale)),
                                        totals[t]);
            float sum = halves == 1 ? info->sum : half == 0 ? info->low_sum : info->high_sum;
            totals[t] =
                _mm512_fmadd_ps(offsets[half], _mm512_set1_ps(sum), totals[t]);
        }
    }
}

INLINE void finish(const __m512 *totals, const int tokens, float *out, long stride, long rows,
                   bool adds) {
    const __mmask16 mask = (__mmask16)((1u << rows) - 1);
    UNROLL for (int t = 0; t < tokens; t++) {
        float *target = out + t * stride;
        __m512 before = adds ? _mm512_maskz_loadu_ps(mask, target) : _mm512_setzero_ps();
        _mm512_mask_storeu_ps(target, mask, _mm512_add_ps(totals[t], before));
    }
}

// Straight out of the panels, for a few tokens: what counts is how fast the weights come in.
INLINE void panel_product(const int packing, const int lines,
                          const uint8_t *panel, const kernel_rows *x, long columns, float *out, long stride, long rows,
                          bool adds) {
    const long blocks = columns / KERNEL_BLOCK;
    const int bytes = bytes_of(packing);
    __m512 totals[LINES_MAX];
    UNROLL for (int t = 0; t < lines; t++) totals[t] = _mm512_setzero_ps();
    for (long b = 0; b < blocks; b++) {
        const uint8_t *block = panel + b * bytes;
        UNROLL for (int line = 0; line < (bytes + 63) / 64; line++)
            _mm_prefetch(block + AHEAD_BYTES + 64 * line, _MM_HINT_T0);
        __m512 scales[2], offsets[2];
        scales_of(packing, block, scales, offsets);
        block_product(packing, false, lines, block, scales, offsets, x->codes + b * KERNEL_BLOCK,
                      columns, x->blocks + b, blocks, totals);
    }
    finish(totals, lines, out, stride, rows, adds);
}

// A panel as the product of many tokens reads it: codes a byte each, scales and offsets as floats.
INLINE void unpack(const int packing, const uint8_t *panel, long blocks, uint8_t *codes,
                   float *scales) {
    const int halves = packing == KERNEL_PACKED_6 ? 2 : 1;
    for (long b = 0; b < blocks; b++) {
        const uint8_t *block = panel + b * bytes_of(packing);
        UNROLL for (int group = 0; group < 8; group++)
            _mm512_storeu_si512((void *)(codes + b * 512 + group * 64),
                                codes_of(packing, false, block, group));
        __m512 own[2], offsets[2];
        scales_of(packing, block, own, offsets);
        UNROLL for (int half = 0; half < halves; half++) {
            _mm512_storeu_ps(scales + (b * halves + half) * 32, own[half]);
            _mm512_storeu_ps(scales + (b * halves + half) * 32 + 16, offsets[half]);
        }
    }
}

INLINE void unpacked_product(const int packing, const int lines,
                             const uint8_t *codes, const float *floats, const kernel_rows *x,
                             long token, long columns,
                             float *out, long stride, long rows, bool adds) {
    const long blocks = columns / KERNEL_BLOCK;
    const int halves = packing == KERNEL_PACKED_6 ? 2 : 1;
    __m512 totals[LINES_MAX];
    UNROLL for (int t = 0; t < lines; t++) totals[t] = _mm512_setzero_ps();
    for (long b = 0; b < blocks; b++) {
        __m512 scales[2], offsets[2];
        UNROLL for (int half = 0; half < halves; half++) {
            scales[half] = _mm512_loadu_ps(floats + (b * halves + half) * 32);
            offsets[half] = _mm512_loadu_ps(floats + (b * halves + half) * 32 + 16);
        }
        block_product(packing, true, lines, codes + b * 512, scales, offsets,
                      x->codes + token * columns + b * KERNEL_BLOCK, columns,
                      x->blocks + token * blocks + b, blocks, totals);
    }
    finish(totals, lines, out + token * stride, stride, rows, adds);
}

INLINE void product_of(const int packing, const kernel_packed *weights, long first, long last,
                       const kernel_rows *x, long count, uint8_t *scratch, float *out,
                       long stride, bool adds) {
    const long columns = weights->columns, blocks = columns / KERNEL_BLOCK;
    const size_t bytes = kernel_packed_bytes(packing, KERNEL_PANEL, columns);
    float *scales = (float *)(scratch + columns * KERNEL_PANEL);
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
            unpack(packing, start, blocks, scratch, scales);
            long t = 0;
            for (; count - t >= LINES_MAX; t += LINES_MAX)
                unpacked_product(packing, LINES_MAX, scratch, scales, x, t, columns, target,
                                 stride, rows, adds);
            for (; t < count; t++)
                unpacked_product(packing, 1, scratch, scales, x, t, columns, target,
                                 stride, rows, adds);
        }
    }
}

#define PRODUCT(packing)                                                                          \
    case packing:                                                                                 \
        product_of(packing, weights, first, last, x, count, scratch, out, stride, adds);          \
        break;

static void avx512_product(const kernel_packed *weights, long first, long last,
                           const kernel_rows *x, long count, void *scratch, float *out,
                           long stride, bool adds) {
    switch (weights->packing) {
        PRODUCT(KERNEL_PACKED_4)
        PRODUCT(KERNEL_PACKED_6)
        PRODUCT(KERNEL_PACKED_8)
    }
}

const kernel_set kernel_set_avx512 = KERNEL_SET("avx512");
#pragma clang attribute pop
#endif
