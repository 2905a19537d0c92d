/* The value of a rank, without sorting: the rank's first bits are found by counting, then the next ones among those. */
#include "kernels.h"

#define DIGIT_BITS 11
#define DIGITS (1 << DIGIT_BITS)
#define FEW 32 /* are sorted sooner than counted */

/* Whole numbers in the order of the floats: a sign turns the order round. */
INLINE uint32_t key_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

INLINE float ranked_of_few(float *values, int64_t n, int64_t rank)
{
    for (int64_t i = 1; i < n; i++) {
        float value = values[i];
        int64_t j = i;
        for (; j > 0 && values[j - 1] > value; j--)
            values[j] = values[j - 1];
        values[j] = value;
    }
    return values[rank];
}

float ecg_ranked(float *values, int64_t n, int64_t rank)
{
    for (int shift = 32 - DIGIT_BITS; n > FEW; shift = shift > DIGIT_BITS ? shift - DIGIT_BITS : 0) {
        int32_t counts[DIGITS] = {0};
        for (int64_t k = 0; k < n; k++)
            counts[key_of(values[k]) >> shift & (DIGITS - 1)]++;
        uint32_t digit = 0;
        while (rank >= counts[digit])
            rank -= counts[digit++];
        int64_t kept = 0;
        for (int64_t k = 0; k < n; k++) {
            values[kept] = values[k];
            kept += (key_of(values[k]) >> shift & (DIGITS - 1)) == digit;
        }
        n = kept;
        if (shift == 0) /* all that are left are one value */
            return values[0];
    }
    return ranked_of_few(values, n, rank);
}

float ecg_middle(const float *values, int64_t n, int64_t few, float *spare)
{
    int64_t below = 0;
    memcpy(spare, values, sizeof(float) * (size_t)n);
    float upper = ecg_ranked(spare, n, few / 2), lower = -INFINITY;
    if (few % 2)
        return upper;
    /* The other middle value is the highest below the upper one, unless that is there more than once. */
    for (int64_t k = 0; k < n; k++)
        below += values[k] < upper;
    if (below < few / 2)
        return upper;
    for (int64_t k = 0; k < n; k++)
        lower = values[k] < upper && values[k] > lower ? values[k] : lower;
    return (lower + upper) / 2;
}
