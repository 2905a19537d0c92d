/* What is read off the median beat in ecg/reversal.py and ecg/tempo.py, told and done there in numpy. */
#include "kernels.h"

/* `level` (leads, n): each lead about its own median. */
KERNEL int ecg_levelled(const float *beat, int64_t leads, int64_t n, float *level)
{
    float *spare = malloc(sizeof(float) * (size_t)n);
    if (!spare)
        return NO_MEMORY;
    for (int64_t row = 0; row < leads; row++) {
        const float *lead = beat + row * n;
        float middle = ecg_middle(lead, n, n, spare);
        for (int64_t t = 0; t < n; t++)
            level[row * n + t] = lead[t] - middle;
    }
    free(spare);
    return DONE;
}

/* `products` (waves, leads, leads): sums of products of two leads, from and to the samples of each wave. */
KERNEL void ecg_products(
    const float *beat, int64_t leads, int64_t n, const int64_t *spans, int64_t waves, double *products)
{
    for (int64_t wave = 0; wave < waves; wave++)
        for (int64_t i = 0; i < leads; i++)
            for (int64_t j = i; j < leads; j++) {
                const float *a = beat + i * n, *b = beat + j * n;
                double sum = 0, *own = products + wave * leads * leads;
                for (int64_t t = spans[2 * wave]; t < spans[2 * wave + 1]; t++)
                    sum += (double)a[t] * (double)b[t];
                own[i * leads + j] = own[j * leads + i] = sum;
            }
}

/* Spread in samples of the squared slope between two samples, all leads together. */
KERNEL double ecg_slope_width(const float *beat, int64_t leads, int64_t n, int64_t from, int64_t to)
{
    double total = 0, first = 0, second = 0;
    for (int64_t t = 0; t < to - from - 1; t++) {
        float power = 0;
        for (int64_t row = 0; row < leads; row++) {
            float step = beat[row * n + from + t + 1] - beat[row * n + from + t];
            power += step * step;
        }
        total += power, first += power * (double)t, second += power * (double)t * (double)t;
    }
    total = fmax(total, 1e-12);
    return sqrt(fmax(second / total - first / total * (first / total), 0));
}

/* Of every `step`th sample from `first` to `last`: where the squares about each lead's middle have their centre, in
 * steps from `first`; -1 where there are none. */
KERNEL double ecg_centre(const float *beat, int64_t leads, int64_t n, int64_t step, int64_t first, int64_t last)
{
    int64_t count = (n + step - 1) / step;
    float *thinned = malloc(sizeof(float) * (size_t)count);
    double total = 0, along = 0;
    if (!thinned)
        return NAN;
    for (int64_t row = 0; row < leads; row++) {
        const float *lead = beat + row * n;
        for (int64_t k = 0; k < count; k++)
            thinned[k] = lead[k * step];
        float level = ecg_ranked(thinned, count, count / 2);
        for (int64_t k = first; k < last; k++) {
            float above = lead[k * step] - level;
            total += above * above, along += above * above * (double)(k - first);
        }
    }
    free(thinned);
    return total > 0 ? along / total : -1;
}
