// The products of packed weights with registers of 64 bytes. Included after portable.h by the files
// for processors with AVX-512, with their own target flags and
//
// HAS_DOT_PRODUCTS   1 where one instruction multiplies bytes and adds four products to a sum

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

// Signed codes of 8 bits, as a product takes them. Where one instruction does it all, one side is
// unsigned: the codes come 128 too large, which the offsets make up for.
#if HAS_DOT_PRODUCTS
INLINE __m512i taken(__m512i codes) {
    return _mm512_xor_si512(codes, _mm512_set1_epi8((char)0x80));
}
#else
INLINE __m512i taken(__m512i codes) { return codes; }
#endif

// The codes of a group of four columns: out of the panel, or unpacked before.
INLINE __m512i codes_of(const int packing, const bool unpacked, const uint8_t *block,
                        const int group) {
    const __m512i low_bits = _mm512_set1_epi8(15);
    if (unpacked) return codes_at(block + group * 64);
    if (packing == KERNEL_PACKED_8) return taken(codes_at(block + group * 64));
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

// What the groups `first` to `end` of a block add for `lines` rows of activations, as whole
// numbers.
#if HAS_DOT_PRODUCTS
INLINE void sums_of(const int packing, const bool unpacked, const int lines, const int first,
                    const int end, const uint8_t *block, const int8_t *activations, long columns,
                    __m512i *sums) {
    UNROLL for (int t = 0; t < lines; t++) sums[t] = _mm512_setzero_si512();
    UNROLL for (int group = first; group < end; group++) {
        __m512i codes = codes_of(packing, unpacked, block, group);
        UNROLL for (int t = 0; t < lines; t++)
            sums[t] = _mm512_dpbusd_epi32(sums[t], codes,
                                          four(activations + t * columns + 4 * group));
    }
}
#else
// Two products are added in 16 bits. Codes of 4 bits give 15 * 127 * 2 at most, so that eight groups
// stay in 16 bits; codes of 6 bits 63 * 127 * 2, two groups. For signed codes the activations take
// the sign, and there is no room for a second.
INLINE void sums_of(const int packing, const bool unpacked, const int lines, const int first,
                    const int end, const uint8_t *block, const int8_t *activations, long columns,
                    __m512i *sums) {
    const int run = has_four_bits(packing) ? 8 : packing == KERNEL_PACKED_6 ? 2 : 1;
    UNROLL for (int start = first; start < end; start += run) {
        __m512i pairs[LINES_MAX];
        UNROLL for (int group = start; group < start + run; group++) {
            __m512i codes = codes_of(packing, unpacked, block, group);
            __mmask64 negative = _mm512_movepi8_mask(codes);
            if (packing == KERNEL_PACKED_8) codes = _mm512_abs_epi8(codes);
            UNROLL for (int t = 0; t < lines; t++) {
                __m512i x = four(activations + t * columns + 4 * group);
                if (packing == KERNEL_PACKED_8)
                    x = _mm512_mask_sub_epi8(x, negative, _mm512_setzero_si512(), x);
                __m512i products = _mm512_maddubs_epi16(codes, x);
                pairs[t] = group == start ? products : _mm512_add_epi16(pairs[t], products);
            }
        }
        UNROLL for (int t = 0; t < lines; t++) {
            __m512i sum = _mm512_madd_epi16(pairs[t], _mm512_set1_epi16(1));
            sums[t] = start == first ? sum : _mm512_add_epi32(sums[t], sum);
        }
    }
}
#endif

// What a panel begins with: where its codes are, and what all of its scales need.
typedef struct {
    const uint8_t *start, *codes;
    __m512 step, least, middle_step, middle_least;
} panel_head;

INLINE panel_head head_of(const int packing, const uint8_t *panel, long blocks) {
    if (packing != KERNEL_PACKED_4_ROUNDED) return (panel_head){.start = panel, .codes = panel};
    return (panel_head){panel, panel + kernel_rounded_codes(blocks), halves_at(panel),
                        halves_at(panel + 32), halves_at(panel + 64), halves_at(panel + 96)};
}

INLINE __m512 line_at(const uint8_t *bytes, __m512 step, __m512 least) {
    __m512i codes = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)bytes));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(codes), step, least);
}

// The scales and offsets of block `b`, for each half of it where there are two.
INLINE void scales_of(const int packing, panel_head head, long b, __m512 *scales,
                      __m512 *offsets) {
    if (packing == KERNEL_PACKED_4_ROUNDED) {
        const uint8_t *bytes = head.start + KERNEL_ROUNDED_SCALES + 32 * b;
        scales[0] = line_at(bytes, head.step, head.least);
        offsets[0] =
            _mm512_fnmadd_ps(scales[0], _mm512_set1_ps(KERNEL_ROUNDED_MIDDLE),
                             line_at(bytes + 16, head.middle_step, head.middle_least));
        return;
    }
    const uint8_t *scale =
        head.codes + b * bytes_of(packing)
        + (packing == KERNEL_PACKED_4 ? 256 : packing == KERNEL_PACKED_6 ? 384 : 512);
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
        sums_of(packing, unpacked, lines, half * 4, (half + 1) * (8 / halves), block, activations,
                columns, sums);
        UNROLL for (int t = 0; t < lines; t++) {
            const kernel_block *info = infos + t * blocks;
            totals[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[t]),
                                        _mm512_mul_ps(scales[half], _mm512_set1_ps(info->scale)),
                                        totals[t]);
            // Signed codes come as they are there.
            if (packing == KERNEL_PACKED_8 && !HAS_DOT_PRODUCTS) continue;
            float sum = halves == 1 ? info->sum : half == 0 ? info->low_sum : info->high_sum;
            totals[t] = _mm512_fmadd_ps(offsets[half], _mm512_set1_ps(sum), totals[t]);
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
INLINE void panel_product(const int packing, const int lines, const uint8_t *panel,
                          const kernel_rows *x, long columns, float *out, long stride, long rows,
                          bool adds) {
    const long blocks = columns / KERNEL_BLOCK;
    const int bytes = bytes_of(packing);
    const int all_bytes = bytes + (packing == KERNEL_PACKED_4_ROUNDED ? 32 : 0);
    const panel_head head = head_of(packing, panel, blocks);
    __m512 totals[LINES_MAX];
    UNROLL for (int t = 0; t < lines; t++) totals[t] = _mm512_setzero_ps();
    for (long b = 0; b < blocks; b++) {
        const uint8_t *block = head.codes + b * bytes;
        const uint8_t *ahead = head.start + b * all_bytes + AHEAD_BYTES;
        UNROLL for (int line = 0; line < (all_bytes + 63) / 64; line++)
            _mm_prefetch(ahead + 64 * line, _MM_HINT_T0);
        __m512 scales[2], offsets[2];
        scales_of(packing, head, b, scales, offsets);
        block_product(packing, false, lines, block, scales, offsets, x->codes + b * KERNEL_BLOCK,
                      columns, x->blocks + b, blocks, totals);
    }
    finish(totals, lines, out, stride, rows, adds);
}

// A panel as the product of many tokens reads it: codes a byte each, scales and offsets as floats.
INLINE void unpack(const int packing, const uint8_t *panel, long blocks, uint8_t *codes,
                   float *scales) {
    const int halves = packing == KERNEL_PACKED_6 ? 2 : 1;
    const panel_head head = head_of(packing, panel, blocks);
    for (long b = 0; b < blocks; b++) {
        const uint8_t *block = head.codes + b * bytes_of(packing);
        UNROLL for (int group = 0; group < 8; group++)
            _mm512_storeu_si512((void *)(codes + b * 512 + group * 64),
                                codes_of(packing, false, block, group));
        __m512 own[2], offsets[2];
        scales_of(packing, head, b, own, offsets);
        UNROLL for (int half = 0; half < halves; half++) {
            _mm512_storeu_ps(scales + (b * halves + half) * 32, own[half]);
            _mm512_storeu_ps(scales + (b * halves + half) * 32 + 16, offsets[half]);
        }
    }
}

INLINE void unpacked_product(const int packing, const int lines, const uint8_t *codes,
                             const float *floats, const kernel_rows *x, long token, long columns,
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

#define PANEL_CASE(lines)                                                                         \
    case lines:                                                                                   \
        panel_product(packing, lines, start, x, columns, target, stride, rows, adds);             \
        break;
#define UNPACKED_RUN(lines)                                                                       \
    for (; count - t >= lines; t += lines)                                                        \
        unpacked_product(packing, lines, scratch, scales, x, t, columns, target, stride, rows,    \
                         adds);

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
            PANEL_CASE(1) PANEL_CASE(2) PANEL_CASE(3) PANEL_CASE(4)
            PANEL_CASE(5) PANEL_CASE(6) PANEL_CASE(7) PANEL_CASE(8)
        default: {
            unpack(packing, start, blocks, scratch, scales);
            long t = 0;
            UNPACKED_RUN(8) UNPACKED_RUN(4) UNPACKED_RUN(2) UNPACKED_RUN(1)
        }
        }
    }
}

#define PRODUCT(packing)                                                                          \
    case packing:                                                                                 \
        product_of(packing, weights, first, last, x, count, scratch, out, stride, adds);          \
        break;

static void KERNEL(product)(const kernel_packed *weights, long first, long last,
                           const kernel_rows *x, long count, void *scratch, float *out,
                           long stride, bool adds) {
    switch (weights->packing) {
        PRODUCT(KERNEL_PACKED_4)
        PRODUCT(KERNEL_PACKED_6)
        PRODUCT(KERNEL_PACKED_8)
        PRODUCT(KERNEL_PACKED_4_ROUNDED)
    }
}
