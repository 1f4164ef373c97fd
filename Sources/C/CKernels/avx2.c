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

// A register holds four columns of eight rows: one side of a panel. Straight out of a panel up to
// LINES_MAX tokens are multiplied with a side at a time, RUNS_MAX times; unpacked, WIDE_LINES with both sides, which
// is as many as there are registers for. Weights are asked for AHEAD_BYTES ahead: a processor does
// not see by itself that a panel goes on.
enum { ROWS = 8, LINES_MAX = 4, RUNS_MAX = 3, WIDE_LINES = 2, AHEAD_BYTES = 1024 };

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

INLINE bool has_four_bits(const int packing) {
    return packing == KERNEL_PACKED_4 || packing == KERNEL_PACKED_4_ROUNDED;
}

// How far the codes of blocks are apart.
INLINE int bytes_of(const int packing) {
    return packing == KERNEL_PACKED_4           ? KERNEL_PACKED_4_BYTES
           : packing == KERNEL_PACKED_6         ? KERNEL_PACKED_6_BYTES
           : packing == KERNEL_PACKED_4_ROUNDED ? KERNEL_ROUNDED_BLOCK
                                                : KERNEL_PACKED_8_BYTES;
}

// How many scales the columns of a block have.
INLINE int halves_of(const int packing) { return packing == KERNEL_PACKED_6 ? 2 : 1; }

// What a panel begins with: where its codes are, and, for each side, what all of its scales need.
typedef struct {
    const uint8_t *start, *codes;
    __m256 step[2], least[2], middle_step[2], middle_least[2];
} panel_head;

INLINE panel_head head_of(const int packing, const uint8_t *panel, long blocks) {
    panel_head head = {.start = panel, .codes = panel};
    if (packing != KERNEL_PACKED_4_ROUNDED) return head;
    head.codes = panel + kernel_rounded_codes(blocks);
    UNROLL for (int side = 0; side < 2; side++) {
        head.step[side] = halves_at(panel + 16 * side);
        head.least[side] = halves_at(panel + 32 + 16 * side);
        head.middle_step[side] = halves_at(panel + 64 + 16 * side);
        head.middle_least[side] = halves_at(panel + 96 + 16 * side);
    }
    return head;
}

INLINE __m256 line_at(const uint8_t *bytes, __m256 step, __m256 least) {
    __m256i codes = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)bytes));
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(codes), step, least);
}

// The scales and offsets of one side of block `b` in a panel, for one of its halves.
INLINE void scales_of(const int packing, const panel_head *head, long b, int side, int half,
                      __m256 *scales, __m256 *offsets) {
    if (packing == KERNEL_PACKED_4_ROUNDED) {
        const uint8_t *bytes = head->start + KERNEL_ROUNDED_SCALES + 32 * b + 8 * side;
        *scales = line_at(bytes, head->step[side], head->least[side]);
        *offsets = _mm256_fnmadd_ps(
            *scales, _mm256_set1_ps(KERNEL_ROUNDED_MIDDLE),
            line_at(bytes + 16, head->middle_step[side], head->middle_least[side]));
        return;
    }
    const int codes = packing == KERNEL_PACKED_4 ? 256 : packing == KERNEL_PACKED_6 ? 384 : 512;
    const uint8_t *own = head->codes + b * bytes_of(packing) + codes + 16 * side;
    *scales = halves_at(own + 32 * half);
    *offsets = packing == KERNEL_PACKED_8 ? _mm256_setzero_ps()
                                          : halves_at(own + 32 * (halves_of(packing) + half));
}

// What one half of a block (`half` of `halves`) adds for `sides` times eight rows and `lines` rows of
// activations, as whole numbers. Two sides share what is read of the activations; the codes of the
// second come `apart` bytes after those of the first.
INLINE void sums_of(const int packing, const bool unpacked, const int sides, const int lines,
                    const int half, const uint8_t *block, long apart, const int8_t *activations,
                    long columns, __m256i (*sums)[LINES_MAX]) {
    // Groups whose products share a 16-bit sum.
    const int run = has_four_bits(packing) ? 8 : packing == KERNEL_PACKED_6 ? 2 : 1;
    const int groups = 8 / halves_of(packing);
    UNROLL for (int first = half * groups; first < (half + 1) * groups; first += run) {
        __m256i run_sums[2][LINES_MAX];
        UNROLL for (int group = first; group < first + run; group++) {
            __m256i codes[2], sizes[2];
            UNROLL for (int side = 0; side < sides; side++) {
                codes[side] = codes_of(packing, unpacked, block + side * apart, group);
                if (packing == KERNEL_PACKED_8) sizes[side] = _mm256_abs_epi8(codes[side]);
            }
            UNROLL for (int t = 0; t < lines; t++) {
                __m256i x = four(activations + t * columns + 4 * group);
                UNROLL for (int side = 0; side < sides; side++) {
                    __m256i product = packing == KERNEL_PACKED_8
                                          ? products(sizes[side], _mm256_sign_epi8(x, codes[side]))
                                          : products(codes[side], x);
                    run_sums[side][t] = group == first
                                            ? product
                                            : _mm256_add_epi16(run_sums[side][t], product);
                }
            }
        }
        UNROLL for (int side = 0; side < sides; side++) {
            UNROLL for (int t = 0; t < lines; t++) {
                __m256i sum = widen(run_sums[side][t]);
                sums[side][t] =
                    first == half * groups ? sum : _mm256_add_epi32(sums[side][t], sum);
            }
        }
    }
}

// Adds those sums of one side to its totals, with the scales and offsets of its rows.
INLINE void add_sums(const int packing, const int lines, const int half, const __m256i *sums,
                     __m256 scales, __m256 offsets, const kernel_block *infos, long blocks,
                     __m256 *totals) {
    UNROLL for (int t = 0; t < lines; t++) {
        const kernel_block *info = infos + t * blocks;
        totals[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[t]),
                                    _mm256_mul_ps(scales, _mm256_set1_ps(info->scale)), totals[t]);
        if (packing == KERNEL_PACKED_8) continue;
        float sum = halves_of(packing) == 1 ? info->sum : half == 0 ? info->low_sum : info->high_sum;
        totals[t] = _mm256_fmadd_ps(offsets, _mm256_set1_ps(sum), totals[t]);
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
INLINE void panel_product(const int packing, const int lines, const uint8_t *panel,
                          const kernel_rows *x, long columns, float *out, long stride, long rows,
                          bool adds) {
    const long blocks = columns / KERNEL_BLOCK;
    const int bytes = bytes_of(packing);
    const int all_bytes = bytes + (packing == KERNEL_PACKED_4_ROUNDED ? 32 : 0);
    const panel_head head = head_of(packing, panel, blocks);
    __m256 totals[2][LINES_MAX];
    UNROLL for (int t = 0; t < lines; t++) totals[0][t] = totals[1][t] = _mm256_setzero_ps();
    for (long b = 0; b < blocks; b++) {
        const uint8_t *block = head.codes + b * bytes;
        const uint8_t *ahead = head.start + b * all_bytes + AHEAD_BYTES;
        UNROLL for (int line = 0; line < (all_bytes + 63) / 64; line++)
            _mm_prefetch(ahead + 64 * line, _MM_HINT_T0);
        UNROLL for (int side = 0; side < 2; side++) {
            UNROLL for (int half = 0; half < halves_of(packing); half++) {
                __m256i sums[1][LINES_MAX];
                __m256 scales, offsets;
                scales_of(packing, &head, b, side, half, &scales, &offsets);
                sums_of(packing, false, 1, lines, half, block + 32 * side, 0,
                        x->codes + b * KERNEL_BLOCK, columns, sums);
                add_sums(packing, lines, half, sums[0], scales, offsets, x->blocks + b, blocks,
                         totals[side]);
            }
        }
    }
    finish(totals[0], lines, out, stride, rows, adds);
    if (rows > ROWS) finish(totals[1], lines, out + ROWS, stride, rows - ROWS, adds);
}

// A panel as the product of many tokens reads it: codes a byte each, those of its two sides `apart`
// bytes from each other in blocks of `block_bytes`; scales and offsets as floats.
typedef struct {
    const uint8_t *codes;
    long block_bytes, apart;
    const float *scales;
} unpacked_panel;

INLINE unpacked_panel unpack(const int packing, const uint8_t *panel, long blocks,
                             uint8_t *scratch) {
    const bool in_place = packing == KERNEL_PACKED_8;
    float *floats = (float *)(scratch + (in_place ? 0 : blocks * 512)), *next = floats;
    const panel_head head = head_of(packing, panel, blocks);
    for (long b = 0; b < blocks; b++) {
        const uint8_t *block = head.codes + b * bytes_of(packing);
        UNROLL for (int group = 0; group < (in_place ? 0 : 16); group++)
            _mm256_storeu_si256(
                (void *)(scratch + b * 512 + group * 32),
                codes_of(packing, false, block + 32 * (group / 8), group % 8));
        UNROLL for (int half = 0; half < halves_of(packing); half++) {
            UNROLL for (int side = 0; side < 2; side++, next += 2 * ROWS) {
                __m256 scales, offsets;
                scales_of(packing, &head, b, side, half, &scales, &offsets);
                _mm256_storeu_ps(next, scales);
                _mm256_storeu_ps(next + ROWS, offsets);
            }
        }
    }
    return in_place ? (unpacked_panel){panel, KERNEL_PACKED_8_BYTES, 32, floats}
                    : (unpacked_panel){scratch, 512, 256, floats};
}

INLINE void unpacked_product(const int packing, const int lines, unpacked_panel panel,
                             const kernel_rows *x, long token, long columns, float *out,
                             long stride, long rows, bool adds) {
    const long blocks = columns / KERNEL_BLOCK;
    const int8_t *activations = x->codes + token * columns;
    const kernel_block *infos = x->blocks + token * blocks;
    const float *next = panel.scales;
    __m256 totals[2][LINES_MAX];
    UNROLL for (int t = 0; t < lines; t++) totals[0][t] = totals[1][t] = _mm256_setzero_ps();
    for (long b = 0; b < blocks; b++) {
        UNROLL for (int half = 0; half < halves_of(packing); half++) {
            __m256i sums[2][LINES_MAX];
            sums_of(packing, packing != KERNEL_PACKED_8, 2, lines, half,
                    panel.codes + b * panel.block_bytes, panel.apart,
                    activations + b * KERNEL_BLOCK, columns, sums);
            UNROLL for (int side = 0; side < 2; side++, next += 2 * ROWS)
                add_sums(packing, lines, half, sums[side], _mm256_loadu_ps(next),
                         _mm256_loadu_ps(next + ROWS), infos + b, blocks, totals[side]);
        }
    }
    out += token * stride;
    finish(totals[0], lines, out, stride, rows, adds);
    if (rows > ROWS) finish(totals[1], lines, out + ROWS, stride, rows - ROWS, adds);
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
        // A panel that was just read is close by: to read it again costs less than to unpack it.
        kernel_rows rest = *x;
        long lines = count <= RUNS_MAX * LINES_MAX ? count : 0;
        for (; lines > LINES_MAX; lines -= LINES_MAX) {
            panel_product(packing, LINES_MAX, start, &rest, columns, target, stride, rows, adds);
            rest.codes += LINES_MAX * columns;
            rest.blocks += LINES_MAX * blocks;
            target += LINES_MAX * stride;
        }
        switch (lines) {
        case 1: panel_product(packing, 1, start, &rest, columns, target, stride, rows, adds); break;
        case 2: panel_product(packing, 2, start, &rest, columns, target, stride, rows, adds); break;
        case 3: panel_product(packing, 3, start, &rest, columns, target, stride, rows, adds); break;
        case 4: panel_product(packing, 4, start, &rest, columns, target, stride, rows, adds); break;
        default: {
            unpacked_panel unpacked = unpack(packing, start, blocks, scratch);
            long t = 0;
            for (; count - t >= WIDE_LINES; t += WIDE_LINES)
                unpacked_product(packing, WIDE_LINES, unpacked, x, t, columns, target, stride,
                                 rows, adds);
            if (t < count)
                unpacked_product(packing, 1, unpacked, x, t, columns, target, stride, rows, adds);
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
        PRODUCT(KERNEL_PACKED_4_ROUNDED)
    }
}

const kernel_set kernel_set_avx2 = KERNEL_SET("avx2");
#pragma clang attribute pop
#endif
