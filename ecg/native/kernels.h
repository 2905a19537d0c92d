/* What the kernels share. Samples lie row by row, a row a lead, in single precision. */
#ifndef ECG_KERNELS_H
#define ECG_KERNELS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

#define INDEPENDENT 8

/* I, II, V1 to V6 among the twelve leads. */
static const int INDEPENDENT_ROWS[INDEPENDENT] = {0, 1, 6, 7, 8, 9, 10, 11};

/* The lead at that place of the twelve. */
#define LEAD(samples, n, lead) ((samples) + (int64_t)(lead) * (n))

INLINE int64_t clipped_to(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Every kernel that needs memory of its own answers 0 when there is none, and leaves its results unsaid. */
#define NO_MEMORY 0
#define DONE 1

/* The value that would stand at `rank`, below `n`, if they were sorted; `values` are used up. */
float ecg_ranked(float *values, int64_t n, int64_t rank);

/* The median of the lowest `few` of `n` values, which are kept; `spare` has room for all. */
float ecg_middle(const float *values, int64_t n, int64_t few, float *spare);

/* So many neighbours fit one of the processor's vectors, and are reckoned with as one value. */
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
typedef float Lanes __attribute__((vector_size(LANES * sizeof(float))));

INLINE Lanes lanes_at(const float *values)
{
    Lanes loaded;
    memcpy(&loaded, values, sizeof loaded);
    return loaded;
}

/* (leads, n) of each lead about its own median; `level` may be `beat` itself. */
int ecg_levelled(const float *beat, int64_t leads, int64_t n, float *level);

/* (waves, leads, leads): sums of products of two leads, from and to the samples of each wave. */
void ecg_products(
    const float *beat, int64_t leads, int64_t n, const int64_t *spans, int64_t waves, double *products);

INLINE float product_of(const float *a, const float *b, int64_t n)
{
    float sum = 0;
    for (int64_t t = 0; t < n; t++)
        sum += a[t] * b[t];
    return sum;
}

/* The lowest and the highest of them, leaving out what is no number: in lanes, since vectors compare one by one what a
 * reduction may not reorder. */
INLINE void extremes(const float *values, int64_t n, float *lowest, float *highest)
{
    float low[LANES], high[LANES];
    int64_t whole = n / LANES * LANES;
    for (int k = 0; k < LANES; k++)
        low[k] = INFINITY, high[k] = -INFINITY;
    for (int64_t t = 0; t < whole; t += LANES)
        for (int k = 0; k < LANES; k++) {
            low[k] = values[t + k] < low[k] ? values[t + k] : low[k];
            high[k] = values[t + k] > high[k] ? values[t + k] : high[k];
        }
    for (int64_t t = whole; t < n; t++) {
        low[0] = values[t] < low[0] ? values[t] : low[0];
        high[0] = values[t] > high[0] ? values[t] : high[0];
    }
    *lowest = low[0], *highest = high[0];
    for (int k = 1; k < LANES; k++) {
        *lowest = low[k] < *lowest ? low[k] : *lowest;
        *highest = high[k] > *highest ? high[k] : *highest;
    }
}

#endif
