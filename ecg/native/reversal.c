/* ecg/reversal.py and ecg/left_limbs.py: how likely each exchange of electrodes is, told and done there in numpy. */
#include "kernels.h"

#define WAVES 3
#define TRIALS 2
#define SUMS (3 + 2 * TRIALS)
#define EVIDENCE (2 * WAVES + 2)
#define ORDERS 16
#define PRODUCTS (INDEPENDENT * INDEPENDENT)

/* As ecg/reversal.py packs them. */
typedef struct {
    double spans[WAVES][2];
    double sums[SUMS][PRODUCTS], weights[TRIALS][EVIDENCE], offset[TRIALS];
    double swaps[WAVES][ORDERS][PRODUCTS], wave_weights[WAVES];
} Constants;

typedef struct {
    double silence, limbs[TRIALS], swaps[ORDERS - 1];
} Likely;

INLINE double weighted(const double *weights, const double *products)
{
    double sum = 0;
    for (int k = 0; k < PRODUCTS; k++)
        sum += weights[k] * products[k];
    return sum;
}

/* Height of lead II over the middle height of the chest leads. */
INLINE double silence_of(const float *level, int64_t n, int64_t from, int64_t to)
{
    float heights[INDEPENDENT - 1], spare[INDEPENDENT - 1];
    for (int lead = 0; lead < INDEPENDENT - 1; lead++) {
        float lowest, highest;
        extremes(LEAD(level, n, lead + 1) + from, to - from, &lowest, &highest);
        heights[lead] = highest - lowest;
    }
    return heights[0] / fmax(ecg_middle(heights + 1, INDEPENDENT - 2, INDEPENDENT - 2, spare), 1e-9);
}

/* Whether the P wave of a lead points up: from -1 to 1. */
INLINE double upright(const float *lead, int64_t from, int64_t to)
{
    float sum = 0, size = 0;
    for (int64_t t = from; t < to; t++)
        sum += lead[t], size += fabsf(lead[t]);
    return sum / (size + 1e-3f);
}

INLINE void limb_scores(double products[WAVES][PRODUCTS], const double *p_upright, const Constants *by, double *scores)
{
    for (int trial = 0; trial < TRIALS; trial++) {
        const double *weights = by->weights[trial];
        scores[trial] = by->offset[trial] + weights[2 * WAVES] * p_upright[0] + weights[2 * WAVES + 1] * p_upright[1];
    }
    for (int wave = 0; wave < WAVES; wave++) {
        const double *own = products[wave];
        double stored = weighted(by->sums[0], own), told = weighted(by->sums[1], own);
        double stored_along = weighted(by->sums[2], own);
        for (int trial = 0; trial < TRIALS; trial++) {
            double tried = weighted(by->sums[3 + trial], own), size = stored + tried + 1e-4;
            double tried_along = weighted(by->sums[3 + TRIALS + trial], own);
            double nearer = (stored - 2 * stored_along - tried + 2 * tried_along) / size;
            double alike = (stored_along - tried_along) / sqrt(size * fmax(told, 0) + 1e-8);
            scores[trial] += by->weights[trial][2 * wave] * nearer + by->weights[trial][2 * wave + 1] * alike;
        }
    }
}

INLINE void swap_gains(double products[WAVES][PRODUCTS], const Constants *by, double *gains)
{
    memset(gains, 0, sizeof(double) * (ORDERS - 1));
    for (int wave = 0; wave < WAVES; wave++) {
        double power = 0, as_recorded = 0;
        for (int lead = 0; lead < INDEPENDENT; lead++)
            power += products[wave][lead * (INDEPENDENT + 1)];
        for (int order = 0; order < ORDERS; order++) {
            double misfit = fmax(weighted(by->swaps[wave][order], products[wave]) / fmax(power, 1e-9), 1e-12);
            if (order == 0)
                as_recorded = misfit;
            else
                gains[order - 1] += by->wave_weights[wave] * log(as_recorded / misfit);
        }
    }
}

/* Of a median beat of twelve leads, whatever its leads' levels. */
KERNEL int ecg_reversals(const float *beat, int64_t n, const Constants *by, Likely *likely)
{
    double products[WAVES][PRODUCTS], p_upright[2];
    int64_t spans[WAVES][2];
    float *level = malloc(sizeof(float) * (size_t)(INDEPENDENT * n));
    if (!level)
        return NO_MEMORY;
    for (int lead = 0; lead < INDEPENDENT; lead++)
        memcpy(LEAD(level, n, lead), LEAD(beat, n, INDEPENDENT_ROWS[lead]), sizeof(float) * (size_t)n);
    if (!ecg_levelled(level, INDEPENDENT, n, level)) {
        free(level);
        return NO_MEMORY;
    }
    for (int wave = 0; wave < WAVES; wave++)
        for (int end = 0; end < 2; end++)
            spans[wave][end] = (int64_t)by->spans[wave][end];
    ecg_products(level, INDEPENDENT, n, spans[0], WAVES, products[0]);
    for (int lead = 0; lead < 2; lead++)
        p_upright[lead] = upright(LEAD(level, n, lead), spans[0][0], spans[0][1]);
    likely->silence = silence_of(level, n, spans[0][0], spans[WAVES - 1][1]);
    limb_scores(products, p_upright, by, likely->limbs);
    swap_gains(products, by, likely->swaps);
    free(level);
    return DONE;
}

/* `averages` (8, steps): of the independent leads over steps of those widths, from `first` on, about their mean over the
 * `silent` two steps that begin there. */
INLINE void averages_of(
    const float *beat, int64_t n, int64_t first, const int64_t *widths, int64_t steps, int64_t silent, float *averages)
{
    for (int lead = 0; lead < INDEPENDENT; lead++, averages += steps) {
        const float *own = LEAD(beat, n, INDEPENDENT_ROWS[lead]) + first;
        float level = 0;
        for (int64_t step = 0; step < steps; own += widths[step++]) {
            float sum = 0;
            for (int64_t t = 0; t < widths[step]; t++)
                sum += own[t];
            averages[step] = sum / (float)widths[step];
            if (step == silent || step == silent + 1)
                level += sum / (float)(widths[silent] + widths[silent + 1]);
        }
        for (int64_t step = 0; step < steps; step++)
            averages[step] -= level;
    }
}

/* Each wave, `counts` steps of it, as a share of its own size and a little more, `smallest`. */
INLINE void as_shares(float *averages, int64_t steps, const int64_t *counts, double smallest)
{
    int64_t from = 0;
    for (int wave = 0; wave < WAVES; from += counts[wave++]) {
        double power = 0;
        for (int lead = 0; lead < INDEPENDENT; lead++)
            power += product_of(averages + lead * steps + from, averages + lead * steps + from, counts[wave]);
        float size = (float)(sqrt(power / (double)(INDEPENDENT * counts[wave])) + smallest);
        for (int lead = 0; lead < INDEPENDENT; lead++)
            for (int64_t step = from; step < from + counts[wave]; step++)
                averages[lead * steps + step] /= size;
    }
}

/* How much likelier the beat is with I and II in the other order, by a layer of `units` and a weighted sum of them. */
KERNEL double ecg_left_limbs(
    const float *beat, int64_t n, int64_t first, const int64_t *widths, int64_t steps, int64_t silent,
    const int64_t *counts, double smallest, const float *taps, const float *biases, const float *weights, int64_t units)
{
    int64_t size = INDEPENDENT * steps;
    float *form = malloc(sizeof(float) * (size_t)size);
    double likelier = 0;
    if (!form)
        return NAN;
    averages_of(beat, n, first, widths, steps, silent, form);
    as_shares(form, steps, counts, smallest);
    for (int64_t unit = 0; unit < units; unit++)
        likelier += weights[unit] * fmaxf(product_of(form, taps + unit * size, size) + biases[unit], 0);
    free(form);
    return likelier;
}
