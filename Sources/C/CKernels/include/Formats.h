// How GGUF files store weights, told once: every format of blocks in whole numbers, as codes with a
// scale and an offset for each group, and as the floats they stand for.
//
// The layouts are those of ggml's quantisation formats, numbered as GGUF numbers them. None of these
// functions needs an alignment, and none reads past `columns` of a row.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KERNEL_F32 = 0,
    KERNEL_F16 = 1,
    KERNEL_Q4_0 = 2,
    KERNEL_Q4_1 = 3,
    KERNEL_Q5_0 = 6,
    KERNEL_Q5_1 = 7,
    KERNEL_Q8_0 = 8,
    KERNEL_Q2_K = 10,
    KERNEL_Q3_K = 11,
    KERNEL_Q4_K = 12,
    KERNEL_Q5_K = 13,
    KERNEL_Q6_K = 14,
    KERNEL_IQ4_NL = 20,
    KERNEL_IQ4_XS = 23,
    KERNEL_BF16 = 30,
};

// What a format is made of.
typedef struct kernel_format {
    // A row is whole blocks of so many weights, in so many bytes. Both are 0 for a type that is
    // none of the above.
    int32_t block_columns;
    int32_t block_bytes;
    // Whether weights are whole numbers with a scale: if not, `kernel_decode` knows nothing of them.
    bool is_integer;
    // Whether any offset is not 0.
    bool has_offset;
    // How many weights share a scale and an offset: 16 or 32; 0 for floats.
    int32_t group;
    // What codes may be, both included.
    int32_t code_min;
    int32_t code_max;
} kernel_format;

kernel_format kernel_format_of(int type);

// Of one row of `columns` weights (whole blocks): `columns` codes, and for each group a scale and an
// offset, so that weight = scale * code + offset. The product is exact in single precision, and so
// is the sum where the format has no minimum of its own (all but Q4_1, Q5_1, Q2_K, Q4_K and Q5_K),
// which makes one rounding at most. A damaged file may have scales that are infinite or not a
// number; codes are always within the bounds of the format.
void kernel_decode(int type, const void *row, long columns, int8_t *codes, float *scales,
                   float *offsets);

// The `columns` weights of one row (whole blocks) as floats, exactly those that ggml makes of it but
// for the sign of a zero.
void kernel_expand_row(int type, const void *row, long columns, float *out);
