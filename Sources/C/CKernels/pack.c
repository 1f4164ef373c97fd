// Weights of any block format as panels (see Packed.h).
#include "include/CKernels.h"

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
    return panels * ((size_t)columns / KERNEL_BLOCK) * block_bytes(packing);
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
