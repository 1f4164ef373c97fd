// For 64-bit ARM, where NEON and half-precision conversion are always there.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#define KERNEL(name) neon_##name
#define HALF_IS_NATIVE 1
#include "portable.h"

// Sixteen unsigned bytes times scale plus offset.
static inline void widen(uint8x16_t bytes, float32x4_t scale, float32x4_t offset,
                         float32x4_t w[4]) {
    uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_u8(vget_high_u8(bytes));
    w[0] = vfmaq_f32(offset, vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))), scale);
    w[1] = vfmaq_f32(offset, vcvtq_f32_u32(vmovl_u16(vget_high_u16(low))), scale);
    w[2] = vfmaq_f32(offset, vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))), scale);
    w[3] = vfmaq_f32(offset, vcvtq_f32_u32(vmovl_u16(vget_high_u16(high))), scale);
}

static inline void nibbles(const uint8_t *bytes, float scale, float offset, float32x4_t w[8]) {
    uint8x16_t packed = vld1q_u8(bytes);
    widen(vandq_u8(packed, vdupq_n_u8(15)), vdupq_n_f32(scale), vdupq_n_f32(offset), w);
    widen(vshrq_n_u8(packed, 4), vdupq_n_f32(scale), vdupq_n_f32(offset), w + 4);
}

// The 32 weights of a block.
static inline void q4_1(const uint8_t *block, float32x4_t w[8]) {
    nibbles(block + 4, KERNEL(half_at)(block), KERNEL(half_at)(block + 2), w);
}

static inline void q4_0(const uint8_t *block, float32x4_t w[8]) {
    float scale = KERNEL(half_at)(block);
    nibbles(block + 2, scale, -8 * scale, w);
}

// A signed byte is an unsigned one with its top bit flipped, less 128.
static inline void q8_0(const uint8_t *block, float32x4_t w[8]) {
    float scale = KERNEL(half_at)(block);
    float32x4_t scales = vdupq_n_f32(scale), offsets = vdupq_n_f32(-128 * scale);
    widen(veorq_u8(vld1q_u8(block + 2), vdupq_n_u8(128)), scales, offsets, w);
    widen(veorq_u8(vld1q_u8(block + 18), vdupq_n_u8(128)), scales, offsets, w + 4);
}

#define QUANTISED(block_kernel, block_bytes)                                                      \
    static void block_kernel##_rows(const uint8_t *rows, size_t row_bytes, const float *x,        \
                                    long columns, long count, float *out) {                       \
        for (long r = 0; r < count; r++) {                                                        \
            float32x4_t sums[4], w[8];                                                            \
            for (int j = 0; j < 4; j++) sums[j] = vdupq_n_f32(0);                                 \
            for (long i = 0; i < columns / BLOCK; i++) {                                          \
                block_kernel(rows + r * row_bytes + i * block_bytes, w);                          \
                for (int j = 0; j < 8; j++)                                                       \
                    sums[j % 4] =                                                                 \
                        vfmaq_f32(sums[j % 4], w[j], vld1q_f32(x + i * BLOCK + 4 * j));           \
            }                                                                                     \
            out[r] = vaddvq_f32(                                                                  \
                vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3])));             \
        }                                                                                         \
    }                                                                                             \
                                                                                                  \
    static void block_kernel##_expand(const uint8_t *rows, size_t row_bytes, long columns,        \
                                      long count, float *out) {                                   \
        float32x4_t w[8];                                                                         \
        for (long r = 0; r < count; r++)                                                          \
            for (long i = 0; i < columns / BLOCK; i++) {                                          \
                block_kernel(rows + r * row_bytes + i * block_bytes, w);                          \
                for (int j = 0; j < 8; j++)                                                       \
                    vst1q_f32(out + r * columns + i * BLOCK + 4 * j, w[j]);                       \
            }                                                                                     \
    }

QUANTISED(q4_0, Q4_0_BYTES)
QUANTISED(q4_1, Q4_1_BYTES)
QUANTISED(q8_0, Q8_0_BYTES)

const kernel_set kernel_set_neon = KERNEL_SET("neon");
#endif
