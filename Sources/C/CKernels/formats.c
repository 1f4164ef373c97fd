// What the bytes of each of GGUF's formats mean. Read at load time and for single rows, so it is
// written to be read and checked; what is fast works on what this has decoded.
#include "include/Formats.h"

#include <string.h>

// Every rounding is where ggml has it.
#pragma clang fp contract(off)

enum { LARGE = 256 };  // The weights of a block of the K formats and of IQ4_XS.

static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};

static float half_at(const uint8_t *bytes) {
    uint32_t bits = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
    // Shifted into place, a half is a float whose exponent is 112 too small; multiplying by 2^112
    // also makes subnormals come out right. Infinity and NaN need their exponent filled.
    uint32_t magnitude = (bits & 0x7fff) << 13;
    float value;
    memcpy(&value, &magnitude, 4);
    value *= 0x1p112f;
    uint32_t wide;
    memcpy(&wide, &value, 4);
    if ((bits & 0x7c00) == 0x7c00) wide = magnitude | 0x7f800000;
    wide |= (bits & 0x8000) << 16;
    memcpy(&value, &wide, 4);
    return value;
}

kernel_format kernel_format_of(int type) {
    switch (type) {
    case KERNEL_F32: return (kernel_format){.block_columns = 1, .block_bytes = 4};
    case KERNEL_F16:
    case KERNEL_BF16: return (kernel_format){.block_columns = 1, .block_bytes = 2};
    case KERNEL_Q4_0: return (kernel_format){32, 18, true, true, 32, 0, 15};
    case KERNEL_Q4_1: return (kernel_format){32, 20, true, true, 32, 0, 15};
    case KERNEL_Q5_0: return (kernel_format){32, 22, true, true, 32, 0, 31};
    case KERNEL_Q5_1: return (kernel_format){32, 24, true, true, 32, 0, 31};
    case KERNEL_Q8_0: return (kernel_format){32, 34, true, false, 32, -128, 127};
    case KERNEL_Q2_K: return (kernel_format){LARGE, 84, true, true, 16, 0, 3};
    case KERNEL_Q3_K: return (kernel_format){LARGE, 110, true, true, 16, 0, 7};
    case KERNEL_Q4_K: return (kernel_format){LARGE, 144, true, true, 32, 0, 15};
    case KERNEL_Q5_K: return (kernel_format){LARGE, 176, true, true, 32, 0, 31};
    case KERNEL_Q6_K: return (kernel_format){LARGE, 210, true, true, 16, 0, 63};
    case KERNEL_IQ4_NL: return (kernel_format){32, 18, true, false, 32, -127, 113};
    case KERNEL_IQ4_XS: return (kernel_format){LARGE, 136, true, false, 32, -127, 113};
    default: return (kernel_format){0};
    }
}

// The low halves of 16 bytes are the first 16 weights, the high ones those after.
static void nibbles(const uint8_t *bytes, int8_t *codes) {
    for (int i = 0; i < 16; i++) {
        codes[i] = bytes[i] & 15;
        codes[i + 16] = (int8_t)(bytes[i] >> 4);
    }
}

static void iq4(const uint8_t *bytes, int8_t *codes) {
    nibbles(bytes, codes);
    for (int i = 0; i < 32; i++) codes[i] = iq4_values[codes[i]];
}

// {half d; 4 bytes of fifth bits; 16 bytes}
static void fifth_bits(const uint8_t *bits, int8_t *codes) {
    for (int i = 0; i < 32; i++) codes[i] |= (int8_t)((bits[i / 8] >> i % 8 & 1) << 4);
}

// {16 bytes, scales below minimums in each; 64 bytes, two bits a weight; half d, dmin}
static void q2_k(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    const uint8_t *quarters = block + 16;
    float d = half_at(block + 80), minimum = half_at(block + 82);
    for (int i = 0; i < LARGE; i++)
        codes[i] = quarters[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3;
    for (int g = 0; g < 16; g++) {
        scales[g] = d * (float)(block[g] & 15);
        offsets[g] = -(minimum * (float)(block[g] >> 4));
    }
}

// {32 bytes of third bits; 64 bytes, two bits a weight; 12 bytes of 6-bit scales; half d}
static void q3_k(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    const uint8_t *quarters = block + 32, *packed = block + 96;
    float d = half_at(block + 108);
    for (int i = 0; i < LARGE; i++) {
        int low = quarters[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3;
        int high = block[i % 32] >> i / 32 & 1;
        codes[i] = (int8_t)(low | high << 2);
    }
    for (int g = 0; g < 16; g++) {
        int low = packed[g % 8] >> g / 8 * 4 & 15, high = packed[8 + g % 4] >> g / 4 * 2 & 3;
        scales[g] = d * (float)((low | high << 4) - 32);
        offsets[g] = -4 * scales[g];
    }
}

// Of Q4_K and Q5_K: {half d, dmin; 12 bytes of 6-bit scales and minimums}. The first four of each
// are in the low bits of four bytes; the other four have their low bits in the last four bytes and
// their high bits above the first.
static void k_scales(const uint8_t *block, float *scales, float *offsets) {
    const uint8_t *packed = block + 4;
    float d = half_at(block), dmin = half_at(block + 2);
    for (int g = 0; g < 8; g++) {
        int scale = packed[g] & 63, minimum = packed[g + 4] & 63;
        if (g >= 4) {
            scale = (packed[g + 4] & 15) | packed[g - 4] >> 6 << 4;
            minimum = packed[g + 4] >> 4 | packed[g] >> 6 << 4;
        }
        scales[g] = d * (float)scale;
        offsets[g] = -(dmin * (float)minimum);
    }
}

// 32 bytes are the low halves of 32 weights and then the high halves of the next 32.
static void k_nibbles(const uint8_t *bytes, int8_t *codes) {
    for (int i = 0; i < LARGE; i++)
        codes[i] = bytes[i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15;
}

// {128 bytes of low halves; 64 bytes, two bits a weight; 16 scales; half d}
static void q6_k(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    const uint8_t *quarters = block + 128, *packed = block + 192;
    float d = half_at(block + 208);
    for (int i = 0; i < LARGE; i++) {
        int half = i / 128, part = i / 32 % 4;
        int low = block[half * 64 + part % 2 * 32 + i % 32] >> part / 2 * 4 & 15;
        int high = quarters[half * 32 + i % 32] >> part * 2 & 3;
        codes[i] = (int8_t)(low | high << 4);
    }
    for (int g = 0; g < 16; g++) {
        scales[g] = d * (float)(int8_t)packed[g];
        offsets[g] = -32 * scales[g];
    }
}

// {half d; the high two bits of eight scales, their low four bits; 128 bytes}
static void iq4_xs(const uint8_t *block, int8_t *codes, float *scales) {
    float d = half_at(block);
    for (int g = 0; g < 8; g++) {
        int low = block[4 + g / 2] >> g % 2 * 4 & 15, high = block[2 + g / 4] >> g % 4 * 2 & 3;
        scales[g] = d * (float)((low | high << 4) - 32);
        iq4(block + 8 + g * 16, codes + g * 32);
    }
}

void kernel_decode(int type, const void *row, long columns, int8_t *codes, float *scales,
                   float *offsets) {
    kernel_format format = kernel_format_of(type);
    if (!format.is_integer) return;
    const int groups = format.block_columns / format.group;
    const uint8_t *block = row;
    for (long first = 0; first < columns; first += format.block_columns) {
        if (!format.has_offset)
            for (int g = 0; g < groups; g++) offsets[g] = 0;
        switch (type) {
        case KERNEL_Q4_0:
            nibbles(block + 2, codes);
            scales[0] = half_at(block);
            offsets[0] = -8 * scales[0];
            break;
        case KERNEL_Q4_1:
            nibbles(block + 4, codes);
            scales[0] = half_at(block);
            offsets[0] = half_at(block + 2);
            break;
        case KERNEL_Q5_0:
            nibbles(block + 6, codes);
            fifth_bits(block + 2, codes);
            scales[0] = half_at(block);
            offsets[0] = -16 * scales[0];
            break;
        case KERNEL_Q5_1:
            nibbles(block + 8, codes);
            fifth_bits(block + 4, codes);
            scales[0] = half_at(block);
            offsets[0] = half_at(block + 2);
            break;
        case KERNEL_Q8_0:
            memcpy(codes, block + 2, 32);
            scales[0] = half_at(block);
            break;
        case KERNEL_IQ4_NL:
            iq4(block + 2, codes);
            scales[0] = half_at(block);
            break;
        case KERNEL_Q2_K: q2_k(block, codes, scales, offsets); break;
        case KERNEL_Q3_K: q3_k(block, codes, scales, offsets); break;
        case KERNEL_Q4_K:
            k_scales(block, scales, offsets);
            k_nibbles(block + 16, codes);
            break;
        case KERNEL_Q5_K:
            k_scales(block, scales, offsets);
            k_nibbles(block + 48, codes);
            for (int i = 0; i < LARGE; i++)
                codes[i] |= (int8_t)((block[16 + i % 32] >> i / 32 & 1) << 4);
            break;
        case KERNEL_Q6_K: q6_k(block, codes, scales, offsets); break;
        case KERNEL_IQ4_XS: iq4_xs(block, codes, scales); break;
        }
        block += format.block_bytes;
        codes += format.block_columns;
        scales += groups;
        offsets += groups;
    }
}

void kernel_expand_row(int type, const void *row, long columns, float *out) {
    const uint8_t *bytes = row;
    kernel_format format = kernel_format_of(type);
    switch (type) {
    case KERNEL_F32: memcpy(out, bytes, (size_t)columns * 4); return;
    case KERNEL_F16:
        for (long i = 0; i < columns; i++) out[i] = half_at(bytes + 2 * i);
        return;
    case KERNEL_BF16:
        for (long i = 0; i < columns; i++) {
            uint32_t wide = (uint32_t)bytes[2 * i] << 16 | (uint32_t)bytes[2 * i + 1] << 24;
            memcpy(out + i, &wide, 4);
        }
        return;
    }
    if (!format.is_integer) return;
    for (long first = 0; first < columns; first += format.block_columns) {
        int8_t codes[LARGE];
        float scales[16], offsets[16];
        kernel_decode(type, bytes, format.block_columns, codes, scales, offsets);
        for (int i = 0; i < format.block_columns; i++) {
            int g = i / format.group;
            out[first + i] = scales[g] * (float)codes[i] + offsets[g];
        }
        bytes += format.block_bytes;
    }
}
