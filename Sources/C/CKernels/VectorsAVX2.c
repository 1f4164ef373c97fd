// For x86-64 processors with AVX2 and FMA. Sixteen codes become words, and one instruction multiplies
// and adds them in pairs: reading them from memory then takes longer than the arithmetic.
#if defined(__x86_64__)
#include "include/Vectors.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

#define KERNEL(name) vectors_avx2_##name
#define INLINE static inline __attribute__((always_inline))

INLINE __m256i words(const int8_t *codes) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)codes));
}

INLINE __m256i products(__m256i row, const int16_t *query) {
    return _mm256_madd_epi16(row, _mm256_loadu_si256((const __m256i *)query));
}

// The sums of four registers, side by side.
INLINE __m128i totals(__m256i a, __m256i b, __m256i c, __m256i d) {
    __m256i all = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    return _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}

INLINE __m128 scaled(__m128i sums, __m128 scales) {
    return _mm_mul_ps(_mm_cvtepi32_ps(sums), scales);
}

// Four rows with one query: the query is read once for all four.
INLINE __m128i four_rows(const int8_t *const rows[4], long stride, const int16_t *query) {
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (long i = 0; i < stride; i += 32) {
        for (long j = i; j < i + 32; j += 16) {
            a = _mm256_add_epi32(a, products(words(rows[0] + j), query + j));
            b = _mm256_add_epi32(b, products(words(rows[1] + j), query + j));
            c = _mm256_add_epi32(c, products(words(rows[2] + j), query + j));
            d = _mm256_add_epi32(d, products(words(rows[3] + j), query + j));
        }
    }
    return totals(a, b, c, d);
}

// Two rows with four queries.
INLINE void two_rows(const int8_t *x, const int8_t *y, long stride, const int16_t *const *queries,
                     __m128i *of_x, __m128i *of_y) {
    const int16_t *p = queries[0], *q = queries[1], *r = queries[2], *s = queries[3];
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
    for (long i = 0; i < stride; i += 16) {
        __m256i one = words(x + i), two = words(y + i);
        a = _mm256_add_epi32(a, products(one, p + i));
        b = _mm256_add_epi32(b, products(one, q + i));
        c = _mm256_add_epi32(c, products(one, r + i));
        d = _mm256_add_epi32(d, products(one, s + i));
        e = _mm256_add_epi32(e, products(two, p + i));
        f = _mm256_add_epi32(f, products(two, q + i));
        g = _mm256_add_epi32(g, products(two, r + i));
        h = _mm256_add_epi32(h, products(two, s + i));
    }
    *of_x = totals(a, b, c, d);
    *of_y = totals(e, f, g, h);
}

static void one_query(const int8_t *codes, const float *scales, const int32_t *places, long stride,
                      long count, const int16_t *query, float query_scale, float *out) {
    for (long r = 0; r < count; r += 4) {
        const int8_t *rows[4];
        float row_scales[4], results[4];
        for (int lane = 0; lane < 4; lane++) {
            long i = r + lane < count ? r + lane : count - 1;
            long place = places ? places[i] : i;
            rows[lane] = codes + place * stride;
            row_scales[lane] = scales[place] * query_scale;
        }
        __m128 scores = scaled(four_rows(rows, stride, query), _mm_loadu_ps(row_scales));
        if (r + 4 <= count) {
            _mm_storeu_ps(out + r, scores);
        } else {
            _mm_storeu_ps(results, scores);
            memcpy(out + r, results, (count - r) * sizeof(float));
        }
    }
}

static void four_queries(const int8_t *codes, const float *scales, const int32_t *places,
                         long stride, long count, const int16_t *const *queries,
                         const float *query_scales, float *out, long out_stride) {
    __m128 of_queries = _mm_loadu_ps(query_scales);
    for (long r = 0; r < count; r += 2) {
        long next = r + 1 < count ? r + 1 : r;
        long x = places ? places[r] : r, y = places ? places[next] : next;
        __m128i of_x, of_y;
        two_rows(codes + x * stride, codes + y * stride, stride, queries, &of_x, &of_y);
        float first[4], second[4];
        _mm_storeu_ps(first, scaled(of_x, _mm_mul_ps(of_queries, _mm_set1_ps(scales[x]))));
        _mm_storeu_ps(second, scaled(of_y, _mm_mul_ps(of_queries, _mm_set1_ps(scales[y]))));
        for (int q = 0; q < 4; q++) {
            out[q * out_stride + r] = first[q];
            out[q * out_stride + next] = second[q];
        }
    }
}

static void KERNEL(scan)(const int8_t *codes, const float *scales, const int32_t *places,
                         long stride, long count, const int16_t *const *queries,
                         const float *query_scales, long query_count, float *out,
                         long out_stride) {
    long q = 0;
    for (; q + 4 <= query_count; q += 4)
        four_queries(codes, scales, places, stride, count, queries + q, query_scales + q,
                     out + q * out_stride, out_stride);
    for (; q < query_count; q++)
        one_query(codes, scales, places, stride, count, queries[q], query_scales[q],
                  out + q * out_stride);
}

static long KERNEL(collect)(const float *scores, long count, float cut, int32_t *places) {
    long found = 0, i = 0;
    __m256 least = _mm256_set1_ps(cut);
    for (; i + 8 <= count; i += 8) {
        __m256 reached = _mm256_cmp_ps(_mm256_loadu_ps(scores + i), least, _CMP_GE_OQ);
        unsigned mask = (unsigned)_mm256_movemask_ps(reached);
        for (; mask; mask &= mask - 1) places[found++] = (int32_t)(i + __builtin_ctz(mask));
    }
    for (; i < count; i++)
        if (scores[i] >= cut) places[found++] = (int32_t)i;
    return found;
}

#include "VectorsSet.h"

const vector_kernels vector_kernels_avx2 = VECTOR_KERNELS("avx2");
#pragma clang attribute pop
#endif
