// Weights of any block format as panels (see Packed.h).
#include "include/CKernels.h"

#include <math.h>
#include <string.h>

static uint16_t half_of(float value) {
    // Past the largest half it would become infinity, and NaN in the sums after it. The weights of
    // a damaged file may be NaN already; they stay so.
    if (value > 65504.0f) value = 65504.0f;
    if (value < -65504.0f) value = -65504.0f;
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) return sign | 0x7e00;
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

static float float_of(const uint8_t *half) {
    uint16_t bits;
    memcpy(&bits, half, 2);
    // See portable.h.
    uint32_t magnitude = (uint32_t)(bits & 0x7fff) << 13, wide;
    float value;
    memcpy(&value, &magnitude, 4);
    value *= 0x1p112f;
    memcpy(&wide, &value, 4);
    if ((bits & 0x7c00) == 0x7c00) wide = magnitude | 0x7f800000;
    wide |= (uint32_t)(bits & 0x8000) << 16;
    memcpy(&value, &wide, 4);
    return value;
}

int kernel_packing_of(int type) {
    kernel_format format = kernel_format_of(type);
    if (!format.is_integer) return -1;
    int range = format.code_max - format.code_min;
    if (range <= 15 && format.group == KERNEL_BLOCK) return KERNEL_PACKED_4;
    if (range <= 63) return KERNEL_PACKED_6;
    return format.group == KERNEL_BLOCK && !format.has_offset ? KERNEL_PACKED_8 : -1;
}

static size_t block_bytes(int packing) {
    switch (packing) {
    case KERNEL_PACKED_4: return KERNEL_PACKED_4_BYTES;
    case KERNEL_PACKED_6: return KERNEL_PACKED_6_BYTES;
    default: return KERNEL_PACKED_8_BYTES;
    }
}

size_t kernel_packed_bytes(int packing, long rows, long columns) {
    size_t panels = ((size_t)rows + KERNEL_PANEL - 1) / KERNEL_PANEL;
    long blocks = columns / KERNEL_BLOCK;
    return panels * (packing == KERNEL_PACKED_4_ROUNDED
                         ? kernel_rounded_codes(blocks) + (size_t)blocks * KERNEL_ROUNDED_BLOCK
                         : (size_t)blocks * block_bytes(packing));
}

size_t kernel_product_scratch(long columns) {
    // The codes of a panel a byte each, and its scales and offsets as floats, each for 16 columns.
    return (size_t)columns * KERNEL_PANEL + (size_t)columns / 16 * KERNEL_PANEL * 8 + 64;
}

// How many columns are decoded at a time: whole blocks of any format.
enum { PIECE = 256 };

typedef struct {
    int8_t codes[KERNEL_PANEL][PIECE];
    float scales[KERNEL_PANEL][PIECE / 16], offsets[KERNEL_PANEL][PIECE / 16];
} piece;

// Four codes of one row, as one number.
static inline uint32_t four(const int8_t *codes) {
    uint32_t bits;
    memcpy(&bits, codes, 4);
    return bits;
}

static inline void put(uint8_t *out, uint32_t bits) { memcpy(out, &bits, 4); }

static void pack_scales(const piece *p, long group, float lowest, uint8_t *scales,
                        uint8_t *offsets) {
    for (int r = 0; r < KERNEL_PANEL; r++) {
        uint16_t scale = half_of(p->scales[r][group]);
        memcpy(scales + 2 * r, &scale, 2);
        if (!offsets) continue;
        uint16_t offset = half_of(p->offsets[r][group] + p->scales[r][group] * lowest);
        memcpy(offsets + 2 * r, &offset, 2);
    }
}

// One block of a panel. `lowest` was taken from every code, so that offsets make up for it.
static void pack_block(int packing, long group_columns, const piece *p, long column, float lowest,
                       uint8_t *out) {
    long group = column / group_columns, next = (column + 16) / group_columns;
    for (int r = 0; r < KERNEL_PANEL; r++) {
        const int8_t *codes = p->codes[r] + column;
        uint8_t *own = out + 4 * r;
        if (packing == KERNEL_PACKED_8) {
            for (int g = 0; g < 8; g++) put(own + 64 * g, four(codes + 4 * g));
            continue;
        }
        for (int g = 0; g < 4; g++)
            put(own + 64 * g, (four(codes + 4 * g) & 0x0f0f0f0f)
                                  | (four(codes + 16 + 4 * g) & 0x0f0f0f0f) << 4);
        if (packing == KERNEL_PACKED_4) continue;
        for (int half = 0; half < 2; half++) {
            uint32_t high = 0;
            for (int g = 0; g < 4; g++)
                high |= (four(codes + 16 * half + 4 * g) >> 4 & 0x03030303) << 2 * g;
            put(own + 256 + 64 * half, high);
        }
    }
    switch (packing) {
    case KERNEL_PACKED_4: pack_scales(p, group, lowest, out + 256, out + 288); break;
    case KERNEL_PACKED_6:
        pack_scales(p, group, lowest, out + 384, out + 448);
        pack_scales(p, next, lowest, out + 416, out + 480);
        break;
    default: pack_scales(p, group, 0, out + 512, 0); break;
    }
}

void kernel_pack(int packing, int type, const void *rows, size_t row_bytes, long row_count,
                 long columns, long first, long last, uint8_t *panels) {
    kernel_format format = kernel_format_of(type);
    const size_t bytes = block_bytes(packing);
    // Codes become unsigned, but those of a byte.
    const int lowest = packing == KERNEL_PACKED_8 ? 0 : format.code_min;
    for (long panel = first; panel < last; panel++) {
        uint8_t *out = panels + (size_t)(panel * (columns / KERNEL_BLOCK)) * bytes;
        for (long start = 0; start < columns; start += PIECE) {
            long width = columns - start < PIECE ? columns - start : PIECE;
            size_t skipped = (size_t)(start / format.block_columns) * (size_t)format.block_bytes;
            // Rows past the last are zeros.
            piece p = {0};
            for (int r = 0; r < KERNEL_PANEL && panel * KERNEL_PANEL + r < row_count; r++) {
                size_t row = (size_t)(panel * KERNEL_PANEL + r) * row_bytes;
                kernel_decode(type, (const uint8_t *)rows + row + skipped, width, p.codes[r],
                              p.scales[r], p.offsets[r]);
                for (long i = 0; i < width; i++) p.codes[r][i] = (int8_t)(p.codes[r][i] - lowest);
            }
            for (long column = 0; column < width; column += KERNEL_BLOCK, out += bytes)
                pack_block(packing, format.group, &p, column, (float)lowest, out);
        }
    }
}

// A row's scales, or its middles: value = least + step * byte.
typedef struct {
    float step, least;
} line;

static line line_of(float least, float most, uint8_t *step_at, uint8_t *least_at) {
    uint16_t half = half_of(least);
    memcpy(least_at, &half, 2);
    line own = {0, float_of(least_at)};
    half = half_of((most - own.least) / 255);
    memcpy(step_at, &half, 2);
    own.step = float_of(step_at);
    return own;
}

static uint8_t byte_of(float value, line own) {
    if (own.step == 0) return 0;
    float code = (value - own.least) / own.step + 0.5f;
    return code > 0 ? code < 255 ? (uint8_t)code : 255 : 0;  // A NaN is 0 too.
}

void kernel_round_scales(const uint8_t *panels, long columns, long count, uint8_t *rounded,
                         kernel_rounding *rounding) {
    const long blocks = columns / KERNEL_BLOCK;
    const size_t panel_bytes = kernel_packed_bytes(KERNEL_PACKED_4, KERNEL_PANEL, columns);
    const size_t rounded_bytes = kernel_packed_bytes(KERNEL_PACKED_4_ROUNDED, KERNEL_PANEL, columns);
    // Of codes from 0 to 15 about 8, and of what is rounded to one of them, in units of their scale.
    const double code_variance = 21.5, lost_variance = 1.0 / 12;
    for (long panel = 0; panel < count; panel++) {
        uint8_t *codes = rounded + kernel_rounded_codes(blocks);
        for (long b = 0; b < blocks; b++)
            memcpy(codes + b * KERNEL_ROUNDED_BLOCK, panels + b * KERNEL_PACKED_4_BYTES,
                   KERNEL_ROUNDED_BLOCK);
        memset(rounded + KERNEL_ROUNDED_SCALES, 0,
               kernel_rounded_codes(blocks) - KERNEL_ROUNDED_SCALES);
        for (int r = 0; r < KERNEL_PANEL; r++) {
            const uint8_t *own = panels + KERNEL_ROUNDED_BLOCK + 2 * r;
            float least[2] = {0}, most[2] = {0};
            for (long b = 0; b < blocks; b++) {
                float scale = float_of(own + b * KERNEL_PACKED_4_BYTES);
                float middle = float_of(own + b * KERNEL_PACKED_4_BYTES + 32)
                               + KERNEL_ROUNDED_MIDDLE * scale;
                if (b == 0 || scale < least[0]) least[0] = scale;
                if (b == 0 || scale > most[0]) most[0] = scale;
                if (b == 0 || middle < least[1]) least[1] = middle;
                if (b == 0 || middle > most[1]) most[1] = middle;
            }
            line scales = line_of(least[0], most[0], rounded + 2 * r, rounded + 32 + 2 * r);
            line middles = line_of(least[1], most[1], rounded + 64 + 2 * r, rounded + 96 + 2 * r);
            // A row of zeros, as those past the last are, is no row that was kept well.
            if (least[0] == 0 && most[0] == 0 && least[1] == 0 && most[1] == 0) continue;
            for (long b = 0; b < blocks; b++) {
                float scale = float_of(own + b * KERNEL_PACKED_4_BYTES);
                float middle = float_of(own + b * KERNEL_PACKED_4_BYTES + 32)
                               + KERNEL_ROUNDED_MIDDLE * scale;
                uint8_t *place = rounded + KERNEL_ROUNDED_SCALES + 32 * b + r;
                place[0] = byte_of(scale, scales);
                place[16] = byte_of(middle, middles);
                double wrong = (double)(scales.least + scales.step * place[0]) - scale;
                double shifted = (double)(middles.least + middles.step * place[16]) - middle;
                double changed = wrong * wrong * code_variance + shifted * shifted;
                double share = changed == 0 ? 0 : changed / (scale * scale * lost_variance);
                // Also where it is not a number.
                if (!(share < HUGE_VAL)) share = HUGE_VAL;
                if (share > rounding->worst) rounding->worst = share;
                rounding->sum += share;
                rounding->blocks++;
            }
        }
        panels += panel_bytes;
        rounded += rounded_bytes;
    }
}
