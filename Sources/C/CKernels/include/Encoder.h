// What a BERT encoder computes between its matrix products. Rows lie one after the other, `columns`
// floats each, unless a stride is given.
#pragma once

// x = normalise(x + bias + residual) * weight + shift, row by row; `residual` has the rows of x.
void encoder_add_normalise(float *x, const float *bias, const float *residual, const float *weight,
                           const float *shift, float epsilon, long rows, long columns);

// x += bias
void encoder_add_bias(float *x, const float *bias, long rows, long columns);

// x = gelu(x + bias), in its exact form: gelu(v) = v * (1 + erf(v / sqrt(2))) / 2. The error
// function is good to 1.5e-7.
void encoder_add_bias_gelu(float *x, const float *bias, long rows, long columns);

// x = softmax(x * scale), row by row.
void encoder_softmax(float *x, float scale, long rows, long columns);

// The mean of the rows, scaled to length 1. Returns the length that the mean had; where that is
// zero or not finite, `out` is the mean as it is.
float encoder_pool(const float *x, long rows, long columns, float *out);
