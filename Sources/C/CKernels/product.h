// The product of packed weights, in loops that a compiler turns into whatever the processor has.
// Included after portable.h where there are no better ones.

// The codes of the four columns of `group` (0 to 7) for the rows of a panel, as numbers.
static inline void KERNEL(codes_of)(int packing, const uint8_t *block, int group, int8_t *codes) {
    const uint8_t *packed = block + group % 4 * 64;
    for (int i = 0; i < 64; i++) {
        switch (packing) {
        case KERNEL_PACKED_4:
        case KERNEL_PACKED_4_ROUNDED: codes[i] = (int8_t)(packed[i] >> group / 4 * 4 & 15); break;
        case KERNEL_PACKED_6:
            codes[i] = (int8_t)((packed[i] >> group / 4 * 4 & 15)
                                | (block[256 + group / 4 * 64 + i] >> group % 4 * 2 & 3) << 4);
            break;
        default: codes[i] = (int8_t)block[group * 64 + i]; break;
        }
    }
}

static void KERNEL(product)(const kernel_packed *weights, long first, long last,
                            const kernel_rows *x, long count, void *scratch, float *out,
                            long stride, bool adds) {
    (void)scratch;
    const int packing = weights->packing;
    const long blocks = weights->columns / KERNEL_BLOCK;
    const bool is_rounded = packing == KERNEL_PACKED_4_ROUNDED;
    const size_t panel_bytes = kernel_packed_bytes(packing, KERNEL_PANEL, weights->columns);
    const size_t bytes = is_rounded ? KERNEL_ROUNDED_BLOCK : panel_bytes / (size_t)blocks;
    // Where the scales of a block are, and the offsets after them.
    const int scales_at = packing == KERNEL_PACKED_4 ? 256 : packing == KERNEL_PACKED_6 ? 384 : 512;
    for (long panel = first; panel < last; panel++) {
        const uint8_t *own = weights->panels + (size_t)panel * panel_bytes;
        const uint8_t *start = own + (is_rounded ? kernel_rounded_codes(blocks) : 0);
        const long rows_left = weights->rows - panel * KERNEL_PANEL;
        const long rows = rows_left < KERNEL_PANEL ? rows_left : KERNEL_PANEL;
        for (long t = 0; t < count; t++) {
            float totals[KERNEL_PANEL] = {0};
            for (long b = 0; b < blocks; b++) {
                const uint8_t *block = start + (size_t)b * bytes;
                const int8_t *a = x->codes + t * weights->columns + b * KERNEL_BLOCK;
                const kernel_block *info = x->blocks + t * blocks + b;
                int32_t sums[2][KERNEL_PANEL] = {{0}};
                for (int group = 0; group < 8; group++) {
                    int8_t codes[64];
                    KERNEL(codes_of)(packing, block, group, codes);
                    for (int r = 0; r < KERNEL_PANEL; r++)
                        for (int c = 0; c < 4; c++)
                            sums[group / 4][r] += codes[4 * r + c] * a[4 * group + c];
                }
                for (int r = 0; r < KERNEL_PANEL; r++) {
                    const uint8_t *scale = block + scales_at + 2 * r;
                    if (is_rounded) {
                        const uint8_t *bytes_of_row = own + KERNEL_ROUNDED_SCALES + 32 * b + r;
                        const uint8_t *lines = own + 2 * r;
                        float rounded = KERNEL(half_at)(lines + 32)
                                        + KERNEL(half_at)(lines) * bytes_of_row[0];
                        float middle = KERNEL(half_at)(lines + 96)
                                       + KERNEL(half_at)(lines + 64) * bytes_of_row[16];
                        totals[r] += rounded * info->scale * (float)(sums[0][r] + sums[1][r])
                                     + (middle - KERNEL_ROUNDED_MIDDLE * rounded) * info->sum;
                    } else if (packing == KERNEL_PACKED_6) {
                        totals[r] += KERNEL(half_at)(scale) * info->scale * (float)sums[0][r]
                                     + KERNEL(half_at)(scale + 32) * info->scale * (float)sums[1][r]
                                     + KERNEL(half_at)(scale + 64) * info->low_sum
                                     + KERNEL(half_at)(scale + 96) * info->high_sum;
                    } else {
                        totals[r] += KERNEL(half_at)(scale) * info->scale
                                     * (float)(sums[0][r] + sums[1][r]);
                        if (packing == KERNEL_PACKED_4)
                            totals[r] += KERNEL(half_at)(scale + 32) * info->sum;
                    }
                }
            }
            float *target = out + t * stride + panel * KERNEL_PANEL;
            for (long r = 0; r < rows; r++) target[r] = (adds ? target[r] : 0) + totals[r];
        }
    }
}
