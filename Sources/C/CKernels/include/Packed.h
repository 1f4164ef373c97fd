// Weights and activations as the products want them.
//
// Weights that a file keeps in blocks become panels of KERNEL_PANEL rows: for every KERNEL_BLOCK
// columns the codes of all rows, four columns of one row after four of another, so that a register
// holds as many rows as it has 32-bit lanes, and a product ends with a sum for each row and no sum
// across a register.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KERNEL_PANEL = 16, KERNEL_BLOCK = 32 };

// For one panel and one block:
//   KERNEL_PACKED_4  codes of 4 bits [4][16 rows][4 columns] {low: columns 0 to 15, high: 16 to 31},
//                    half scales[16], half offsets[16]: weight = scale * code + offset
//   KERNEL_PACKED_6  codes of 6 bits: the low 4 as above, the high 2 [2][16][4] {four times 2 bits:
//                    of 4 columns each}, half scales[2][16], half offsets[2][16], for each half of
//                    the block
//   KERNEL_PACKED_8  codes of 8 bits, signed [8][16][4], half scales[16]: weight = scale * code
//
// For one panel, a tenth less to read where it costs next to nothing:
//   KERNEL_PACKED_4_ROUNDED  half scale steps[16], half least scales[16], half middle steps[16], half
//                    least middles[16]; for each block byte scales[16], byte middles[16]; up to a
//                    multiple of 64 bytes; then for each block the codes of KERNEL_PACKED_4:
//                    weight = scale * (code - 8) + middle, where the scale and the middle are
//                    least + step * byte of that row
enum { KERNEL_PACKED_4, KERNEL_PACKED_6, KERNEL_PACKED_8, KERNEL_PACKED_4_ROUNDED };
enum { KERNEL_PACKED_4_BYTES = 320, KERNEL_PACKED_6_BYTES = 512, KERNEL_PACKED_8_BYTES = 544 };
// Where things are in a rounded panel.
enum { KERNEL_ROUNDED_SCALES = 128, KERNEL_ROUNDED_BLOCK = 256, KERNEL_ROUNDED_MIDDLE = 8 };

static inline size_t kernel_rounded_codes(long blocks) {
    return KERNEL_ROUNDED_SCALES + ((size_t)blocks * 32 + 63) / 64 * 64;
}

typedef struct kernel_packed {
    int packing;
    long rows, columns;
    // Panels one after the other, in each its blocks.
    const uint8_t *panels;
} kernel_packed;

// What a block of activations is multiplied with: value = scale * code, with codes from -127 to 127.
// The sums are of the values: what an offset of the weights is multiplied with.
typedef struct kernel_block {
    float scale, sum, low_sum, high_sum;
} kernel_block;

// Rows of activations in blocks, one after the other.
typedef struct kernel_rows {
    const int8_t *codes;
    const kernel_block *blocks;
} kernel_rows;

// How a tensor of this type (numbered as GGUF does) is packed with nothing rounded but scales and
// offsets to halves; -1 when it stays as it is.
int kernel_packing_of(int type);
size_t kernel_packed_bytes(int packing, long rows, long columns);
// Packs the panels `first` to `last` of a tensor whose rows lie `row_bytes` apart.
void kernel_pack(int packing, int type, const void *rows, size_t row_bytes, long row_count,
                 long columns, long first, long last, uint8_t *panels);

// What rounding the scales of weights to bytes changes, beside what was lost, at least, when those
// became numbers of 4 bits: for each row of a block the share of the mean squares of both.
typedef struct kernel_rounding {
    double worst, sum;
    long blocks;
} kernel_rounding;

// Makes `count` panels of KERNEL_PACKED_4 such of KERNEL_PACKED_4_ROUNDED, and adds to `rounding`.
// What is no number counts as changed without bound.
void kernel_round_scales(const uint8_t *panels, long columns, long count, uint8_t *rounded,
                         kernel_rounding *rounding);
// The bytes that one thread needs beside, for a product of this many columns.
size_t kernel_product_scratch(long columns);
