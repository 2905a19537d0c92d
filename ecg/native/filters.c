/* The kernels of ecg/filters.py, where each step is told and done in numpy. */
#include "kernels.h"

/* So many results are summed at once, in registers; the last ones are summed with some beyond the end. */
#define VECTORS 4
#define BLOCK (VECTORS * LANES)

/* Sample t - half of the lead without its line at t / down of row t % down, zero beyond the ends. */
INLINE void deal(
    const float *lead, int64_t n, int64_t down, int64_t half, int64_t row, float first, float slope, float *dealt)
{
    memset(dealt, 0, sizeof(float) * (size_t)(row * down));
    for (int64_t place = 0; place < down; place++) {
        int64_t begin = (half - place + down - 1) / down;
        float *own = dealt + place * row + begin;
        int64_t from = begin * down + place - half, count = from < n ? (n - from + down - 1) / down : 0;
        for (int64_t k = 0; k < count; k++)
            own[k] = lead[from + k * down] - (first + slope * (float)(from + k * down));
    }
}

/* Every `up`th of `out`: neighbours in the rows, weighed alike. */
INLINE void weigh(
    const float *dealt, int64_t row, int64_t down, const float *weights, int64_t taps, int64_t start, int64_t count,
    float *out, int64_t up)
{
    for (int64_t from = 0; from < count; from += BLOCK) {
        int64_t size = count - from < BLOCK ? count - from : BLOCK, place = start % down, at = start / down + from;
        Lanes sum[VECTORS] = {{0}};
        for (int64_t tap = 0; tap < taps; tap++) {
            const float *own = dealt + place * row + at;
            for (int vector = 0; vector < VECTORS; vector++)
                sum[vector] += weights[tap] * lanes_at(own + vector * LANES);
            if (++place == down)
                place = 0, at++;
        }
        for (int64_t k = 0; k < size; k++)
            out[up * (from + k)] = ((float *)sum)[k];
    }
}

/*
 * Polyphase resampling by up / down with `taps` weights a phase, half of them before the sample.
 *
 * Result m lies at sample m down / up. Of the results with one phase each lies `down` samples after the one before it,
 * so the samples are first dealt into `down` rows: then neighbours are weighed alike and lie side by side.
 */
KERNEL int ecg_resample(
    const float *samples, int64_t leads, int64_t n, const float *phases, int64_t up, int64_t down, int64_t taps,
    int64_t half, int64_t n_out, float *resampled)
{
    int64_t row = (n + 2 * half + 1) / down + 2 + BLOCK;
    float *dealt = malloc(sizeof(float) * (size_t)(row * down + n_out)), *position = dealt + row * down;
    if (!dealt)
        return NO_MEMORY;
    for (int64_t m = 0; m < n_out; m++)
        position[m] = (float)(m * down) / (float)up;
    for (int64_t lead = 0; lead < leads; lead++) {
        const float *own = samples + lead * n;
        float first = own[0], slope = (own[n - 1] - own[0]) / (float)(n > 1 ? n - 1 : 1);
        deal(own, n, down, half, row, first, slope, dealt);
        for (int64_t phase = 0; phase < up && phase < n_out; phase++)
            weigh(
                dealt, row, down, phases + phase * down % up * taps, taps, phase * down / up,
                (n_out - phase + up - 1) / up, resampled + lead * n_out + phase, up);
        for (int64_t m = 0; m < n_out; m++)
            resampled[lead * n_out + m] += first + slope * position[m];
    }
    free(dealt);
    return DONE;
}

/* Whether every value is a number, and a finite one. */
KERNEL int ecg_all_known(const float *values, int64_t n)
{
    const uint32_t exponent = 0x7f800000u; /* has every bit set in them alone */
    uint32_t unknown = 0;
    for (int64_t t = 0; t < n; t++) {
        uint32_t bits;
        memcpy(&bits, values + t, sizeof bits);
        unknown |= (bits & exponent) == exponent;
    }
    return !unknown;
}
