// What all sets of vector kernels share; the including file names KERNEL and brings `scan` and
// `collect`. Eight lanes are two or one registers.
typedef float lanes __attribute__((vector_size(32), aligned(4)));
typedef int32_t lanes_int __attribute__((vector_size(32)));

// Not a function: without AVX there is no agreed way to pass eight lanes to one.
#define TOTAL(x) (((x[0] + x[4]) + (x[1] + x[5])) + ((x[2] + x[6]) + (x[3] + x[7])))

static float KERNEL(dot)(const float *x, const float *y, long count) {
    lanes a = {0}, b = {0}, c = {0}, d = {0};
    long i = 0;
    for (; i + 32 <= count; i += 32) {
        a += *(const lanes *)(x + i) * *(const lanes *)(y + i);
        b += *(const lanes *)(x + i + 8) * *(const lanes *)(y + i + 8);
        c += *(const lanes *)(x + i + 16) * *(const lanes *)(y + i + 16);
        d += *(const lanes *)(x + i + 24) * *(const lanes *)(y + i + 24);
    }
    a = (a + b) + (c + d);
    float sum = TOTAL(a);
    for (; i < count; i++) sum += x[i] * y[i];
    return sum;
}

static float KERNEL(greatest)(const float *x, long count) {
    lanes best = {0};
    long i = 0;
    for (; i + 8 <= count; i += 8) {
        lanes now = *(const lanes *)(x + i);
        lanes_int size = (lanes_int)now & 0x7fffffff;
        // Sizes of floats compare like whole numbers, and what is not a number is above all.
        lanes_int larger = size > (lanes_int)best;
        best = (lanes)((larger & size) | (~larger & (lanes_int)best));
    }
    int32_t top = 0;
    for (int lane = 0; lane < 8; lane++)
        if (((lanes_int)best)[lane] > top) top = ((lanes_int)best)[lane];
    for (; i < count; i++) {
        int32_t bits;
        memcpy(&bits, x + i, 4);
        if ((bits & 0x7fffffff) > top) top = bits & 0x7fffffff;
    }
    float result;
    memcpy(&result, &top, 4);
    return result;
}

static void KERNEL(quantise)(const float *rows, long columns, long count, int8_t *codes,
                             float *scales, vector_bounds *bounds) {
    long stride = vector_stride(columns);
    for (long row = 0; row < count; row++, rows += columns, codes += stride) {
        float greatest = KERNEL(greatest)(rows, columns);
        memset(codes + columns, 0, stride - columns);
        // Also where the sum of squares would not be a number.
        if (!(greatest < 1e15f)) {
            memset(codes, 0, columns);
            scales[row] = NAN;
            continue;
        }
        float scale = greatest / 127;
        if (scale < 1e-30f) scale = 0;
        scales[row] = scale;
        float inverse = scale > 0 ? 1 / scale : 0;
        lanes errors = {0}, lengths = {0};
        float error = 0, length = 0;
        long i = 0;
        // Adding this and taking it away rounds to a whole number.
        const float rounding = 12582912;
        for (; i + 8 <= columns; i += 8) {
            lanes x = *(const lanes *)(rows + i);
            lanes code = (x * inverse + rounding) - rounding;
            lanes said = code * scale;
            errors += (x - said) * (x - said);
            lengths += said * said;
            for (int lane = 0; lane < 8; lane++) codes[i + lane] = (int8_t)code[lane];
        }
        for (; i < columns; i++) {
            float code = (rows[i] * inverse + rounding) - rounding, said = code * scale;
            error += (rows[i] - said) * (rows[i] - said);
            length += said * said;
            codes[i] = (int8_t)code;
        }
        error = sqrtf(error + TOTAL(errors));
        length = sqrtf(length + TOTAL(lengths));
        if (error > bounds->error) bounds->error = error;
        if (length > bounds->length) bounds->length = length;
    }
}

static long KERNEL(largest)(const float *scores, long count) {
    float top = scores[0];
    long i = 0;
    if (count >= 8) {
        lanes best = *(const lanes *)scores;
        for (i = 8; i + 8 <= count; i += 8) {
            lanes now = *(const lanes *)(scores + i);
            lanes_int larger = now > best;
            best = (lanes)((larger & (lanes_int)now) | (~larger & (lanes_int)best));
        }
        for (int lane = 0; lane < 8; lane++)
            if (best[lane] > top) top = best[lane];
    }
    for (; i < count; i++)
        if (scores[i] > top) top = scores[i];
    for (i = 0; i < count; i++)
        if (scores[i] == top) return i;
    return 0;
}

#define VECTOR_KERNELS(named)                                                                     \
    {                                                                                             \
        .name = named, .quantise = KERNEL(quantise), .scan = KERNEL(scan),                        \
        .collect = KERNEL(collect), .largest = KERNEL(largest), .dot = KERNEL(dot),               \
    }
