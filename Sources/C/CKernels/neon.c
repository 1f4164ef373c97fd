// For 64-bit ARM, where NEON and half-precision conversion are always there.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#define KERNEL(name) neon_##name
#define HALF_IS_NATIVE 1
#include "portable.h"

typedef struct {
    float32x4_t sums[4];
} sums;

// Sixteen unsigned bytes times scale plus offset, times x, into four sums.
static inline void unsigned_bytes(uint8x16_t bytes, float32x4_t scale, float32x4_t offset,
                                  const float *x, sums *s) {
    uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_u8(vget_high_u8(bytes));
    float32x4_t a = vcvtq_f32_u32(vmovl_u16(vget_low_u16(low)));
    float32x4_t b = vcvtq_f32_u32(vmovl_u16(vget_high_u16(low)));
    float32x4_t c = vcvtq_f32_u32(vmovl_u16(vget_low_u16(high)));
    float32x4_t d = vcvtq_f32_u32(vmovl_u16(vget_high_u16(high)));
    s->sums[0] = vfmaq_f32(s->sums[0], vfmaq_f32(offset, a, scale), vld1q_f32(x));
    s->sums[1] = vfmaq_f32(s->sums[1], vfmaq_f32(offset, b, scale), vld1q_f32(x + 4));
    s->sums[2] = vfmaq_f32(s->sums[2], vfmaq_f32(offset, c, scale), vld1q_f32(x + 8));
    s->sums[3] = vfmaq_f32(s->sums[3], vfmaq_f32(offset, d, scale), vld1q_f32(x + 12));
}

static inline void nibbles(const uint8_t *bytes, float scale, float offset, const float *x,
                           sums *s) {
    uint8x16_t packed = vld1q_u8(bytes);
    float32x4_t scales = vdupq_n_f32(scale), offsets = vdupq_n_f32(offset);
    unsigned_bytes(vandq_u8(packed, vdupq_n_u8(15)), scales, offsets, x, s);
    unsigned_bytes(vshrq_n_u8(packed, 4), scales, offsets, x + 16, s);
}

static inline void q4_1(const uint8_t *block, const float *x, sums *s) {
    nibbles(block + 4, KERNEL(half_at)(block), KERNEL(half_at)(block + 2), x, s);
}

static inline void q4_0(const uint8_t *block, const float *x, sums *s) {
    float scale = KERNEL(half_at)(block);
    nibbles(block + 2, scale, -8 * scale, x, s);
}

// A signed byte is an unsigned one with its top bit flipped, less 128.
static inline void q8_0(const uint8_t *block, const float *x, sums *s) {
    float scale = KERNEL(half_at)(block);
    float32x4_t scales = vdupq_n_f32(scale), offsets = vdupq_n_f32(-128 * scale);
    uint8x16_t flip = vdupq_n_u8(128);
    unsigned_bytes(veorq_u8(vld1q_u8(block + 2), flip), scales, offsets, x, s);
    unsigned_bytes(veorq_u8(vld1q_u8(block + 18), flip), scales, offsets, x + 16, s);
}

#define ROWS_DOT(block_kernel, block_bytes)                                                       \
    static void block_kernel##_rows(const uint8_t *rows, size_t row_bytes, const float *x,        \
                                    long columns, long count, float *out) {                       \
        for (long r = 0; r < count; r++) {                                                        \
            sums s = {{vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)}};          \
            for (long i = 0; i < columns / BLOCK; i++)                                            \
                block_kernel(rows + r * row_bytes + i * block_bytes, x + i * BLOCK, &s);          \
            out[r] = vaddvq_f32(vaddq_f32(vaddq_f32(s.sums[0], s.sums[1]),                        \
                                          vaddq_f32(s.sums[2], s.sums[3])));                      \
        }                                                                                         \
    }

ROWS_DOT(q4_0, Q4_0_BYTES)
ROWS_DOT(q4_1, Q4_1_BYTES)
ROWS_DOT(q8_0, Q8_0_BYTES)

static void rows_dot(int type, const void *rows, size_t row_bytes, const float *x, long columns,
                     long count, float *out) {
    switch (type) {
    case KERNEL_Q4_0: q4_0_rows(rows, row_bytes, x, columns, count, out); break;
    case KERNEL_Q4_1: q4_1_rows(rows, row_bytes, x, columns, count, out); break;
    case KERNEL_Q8_0: q8_0_rows(rows, row_bytes, x, columns, count, out); break;
    default: KERNEL(rows_dot_portable)(type, rows, row_bytes, x, columns, count, out); break;
    }
}

const kernel_set kernel_set_neon = KERNEL_SET("neon", rows_dot);
#endif
