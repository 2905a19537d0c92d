/* The kernels of ecg/beats.py, where each step is told and done in numpy. */
#include "kernels.h"

#define BLOCK 64
#define MOST_BEATS 64

/* (leads, before + after): the sample-wise median of the beats at `r`, all wholly inside, at most MOST_BEATS of them. */
KERNEL void ecg_median_beat(
    const float *samples, int64_t leads, int64_t n, const int64_t *r, int64_t beats, int64_t before, int64_t after,
    float *middle)
{
    float rows[MOST_BEATS][BLOCK] = {{0}};
    int64_t width = before + after;
    beats = beats < MOST_BEATS ? beats : MOST_BEATS;
    for (int64_t lead = 0; lead < leads; lead++)
        for (int64_t from = 0; from < width; from += BLOCK) {
            int64_t size = width - from < BLOCK ? width - from : BLOCK;
            for (int64_t beat = 0; beat < beats; beat++)
                memcpy(rows[beat], samples + lead * n + r[beat] - before + from, sizeof(float) * (size_t)size);
            /* Odd-even exchange: as many rounds as there are beats put every column in order. */
            for (int64_t turn = 0; turn < beats; turn++)
                for (int64_t low = turn % 2; low < beats - 1; low += 2)
                    for (int k = 0; k < BLOCK; k++) {
                        float a = rows[low][k], b = rows[low + 1][k];
                        rows[low][k] = a < b ? a : b;
                        rows[low + 1][k] = a < b ? b : a;
                    }
            const float *upper = rows[beats / 2], *lower = rows[(beats - 1) / 2];
            for (int64_t k = 0; k < size; k++)
                middle[lead * width + from + k] = beats % 2 ? upper[k] : (lower[k] + upper[k]) * 0.5f;
        }
}
