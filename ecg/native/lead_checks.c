/* The kernels of ecg/lead_checks.py and of the limb leads' laws in ecg/harmonise.py, told and done there in numpy. */
#include "kernels.h"

typedef struct {
    double spread, wander, mains, in_runs;
} Facts;

INLINE double mean_of(const float *lead, int64_t n)
{
    double sum = 0;
    for (int64_t t = 0; t < n; t++)
        sum += lead[t];
    return sum / (double)n;
}

INLINE double squares_about(const float *lead, int64_t n, double mean)
{
    double sum = 0;
    for (int64_t t = 0; t < n; t++)
        sum += (lead[t] - mean) * (lead[t] - mean);
    return sum;
}

/* How many stretches of `run` samples stay at that value, overlapping ones counted apart. */
INLINE int64_t runs_at(const float *lead, int64_t n, float value, int64_t run)
{
    int64_t count = 0;
    if (run == 3)
        for (int64_t t = 0; t < n - 2; t++)
            count += (lead[t] == value) & (lead[t + 1] == value) & (lead[t + 2] == value);
    else
        for (int64_t t = 0; t < n - 1; t++)
            count += (lead[t] == value) & (lead[t + 1] == value);
    return count;
}

INLINE double span_of_averages(const float *lead, int64_t n, int64_t second)
{
    double highest = -INFINITY, lowest = INFINITY;
    for (int64_t from = 0; from + second <= n; from += second) {
        double mean = mean_of(lead + from, second);
        highest = fmax(highest, mean), lowest = fmin(lowest, mean);
    }
    return n < second ? 0 : highest - lowest;
}

/* The strongest of the frequencies whose cosine and sine are given, by its amplitude. */
INLINE double strongest(const float *lead, int64_t n, const float *waves, int64_t frequencies)
{
    double most = 0;
    for (int64_t each = 0; each < frequencies; each++) {
        double cosine = product_of(lead, waves + 2 * each * n, n) * 2 / (double)n;
        double sine = product_of(lead, waves + (2 * each + 1) * n, n) * 2 / (double)n;
        most = fmax(most, sqrt(cosine * cosine + sine * sine));
    }
    return most;
}

/* `facts` (leads, 4) of the samples as they came. */
KERNEL void ecg_lead_facts(
    const float *samples, int64_t leads, int64_t n, int64_t run, int64_t second, const float *waves,
    int64_t frequencies, Facts *facts)
{
    for (int64_t row = 0; row < leads; row++) {
        const float *lead = samples + row * n;
        float lowest, highest;
        extremes(lead, n, &lowest, &highest);
        facts[row].spread = sqrt(squares_about(lead, n, mean_of(lead, n)) / (double)n);
        facts[row].wander = span_of_averages(lead, n, second);
        facts[row].mains = strongest(lead, n, waves, frequencies);
        facts[row].in_runs = (double)(runs_at(lead, n, highest, run) + runs_at(lead, n, lowest, run));
    }
}

/* `middle` (leads): the median over every `step`th sample of how far it lies from the middle of its neighbours. */
KERNEL int ecg_roughness(const float *samples, int64_t leads, int64_t n, int64_t step, float *middle)
{
    int64_t count = (n - 3) / step + 1;
    float *rough = malloc(sizeof(float) * (size_t)count);
    if (!rough)
        return NO_MEMORY;
    for (int64_t row = 0; row < leads; row++) {
        const float *lead = samples + row * n;
        for (int64_t k = 0; k < count; k++)
            rough[k] = fabsf(lead[k * step + 1] - 0.5f * (lead[k * step] + lead[k * step + 2]));
        middle[row] = ecg_ranked(rough, count, count / 2);
    }
    free(rough);
    return DONE;
}

/* `farthest` (leads): how far from zero each goes. */
KERNEL void ecg_height(const float *samples, int64_t leads, int64_t n, float *farthest)
{
    for (int64_t row = 0; row < leads; row++) {
        float lowest, highest;
        extremes(samples + row * n, n, &lowest, &highest);
        farthest[row] = highest > -lowest ? highest : -lowest;
    }
}

/* Mean change over every two samples, all leads together, near the beats at `r` over that everywhere. */
KERNEL double ecg_peakedness(
    const float *samples, int64_t leads, int64_t n, const int64_t *r, int64_t beats, int64_t half)
{
    int64_t count = (n - 1) / 2, inside = 0, from = 0;
    float *slope = calloc((size_t)(count > 0 ? count : 1), sizeof(float));
    double all = 0, near = 0;
    if (!slope)
        return NAN;
    for (int64_t row = 0; row < leads; row++) {
        const float *lead = samples + row * n;
        for (int64_t k = 0; k < count; k++)
            slope[k] += fabsf(lead[2 * k + 2] - lead[2 * k]);
    }
    for (int64_t k = 0; k < count; k++)
        all += slope[k];
    for (int64_t beat = 0; beat < beats; beat++) {
        int64_t to = clipped_to(r[beat] / 2 + half, 0, count);
        from = clipped_to(r[beat] / 2 - half, from, count);
        for (; from < to; from++, inside++)
            near += slope[from];
    }
    free(slope);
    return inside && all > 0 ? near / (double)inside / (all / (double)count) : 0;
}

/* `alike` (leads): mean correlation of the beats at `r` with the template, on every second sample of both. */
KERNEL void ecg_likeness(
    const float *samples, int64_t leads, int64_t n, const int64_t *r, int64_t beats, int64_t before, int64_t after,
    const float *beat, int64_t beat_n, int64_t middle, double *alike)
{
    int64_t count = (before + after + 1) / 2;
    for (int64_t row = 0; row < leads; row++) {
        const float *own = beat + row * beat_n + middle - before;
        double own_mean = 0, own_power = 0, sum = 0;
        for (int64_t k = 0; k < count; k++)
            own_mean += own[2 * k];
        own_mean /= (double)count;
        for (int64_t k = 0; k < count; k++)
            own_power += (own[2 * k] - own_mean) * (own[2 * k] - own_mean);
        for (int64_t each = 0; each < beats; each++) {
            const float *window = samples + row * n + r[each] - before;
            double mean = 0, power = 0, product = 0;
            for (int64_t k = 0; k < count; k++)
                mean += window[2 * k];
            mean /= (double)count;
            for (int64_t k = 0; k < count; k++) {
                power += (window[2 * k] - mean) * (window[2 * k] - mean);
                product += (window[2 * k] - mean) * (own[2 * k] - own_mean);
            }
            sum += product / fmax(sqrt(power * own_power), 1e-9);
        }
        alike[row] = sum / (double)beats;
    }
}

/* The rises over `width` samples that are steeper than `above` in any lead: where they end, and how sharply they turn. */
KERNEL int64_t ecg_steep(
    const float *samples, int64_t leads, int64_t n, int64_t width, float above, int64_t *ends, float *sharp)
{
    int64_t found = 0, last = n - 2 * width;
    float *most = calloc((size_t)(last > 0 ? last : 1), sizeof(float));
    if (!most)
        return -1;
    for (int64_t row = 0; row < leads; row++) {
        const float *lead = samples + row * n;
        for (int64_t t = 0; t < last; t++) {
            float rise = fabsf(lead[t + width] - lead[t]);
            most[t] = rise > most[t] ? rise : most[t];
        }
    }
    for (int64_t t = 0; t < last; t++) {
        if (!(most[t] > above))
            continue;
        float sharpest = 0;
        for (int64_t row = 0; row < leads; row++) {
            const float *lead = samples + row * n + t;
            float up = lead[width] - lead[0], down = lead[width] - lead[2 * width];
            float turn = up * down > 0 ? fminf(fabsf(up), fabsf(down)) : 0;
            sharpest = turn > sharpest ? turn : sharpest;
        }
        ends[found] = t + width, sharp[found++] = sharpest;
    }
    free(most);
    return found;
}

/* The worst law's squares over the largest of I, II and III, each about its own mean. */
KERNEL double ecg_limb_residual(const float *samples, int64_t n)
{
    double lead_sum[3] = {0}, lead_square[3] = {0}, law_sum[4] = {0}, law_square[4] = {0}, yardstick = 0, worst = 0;
    const float *i = samples, *ii = i + n, *iii = ii + n, *avr = iii + n, *avl = avr + n, *avf = avl + n;
    for (int64_t t = 0; t < n; t++) {
        double a = i[t], b = ii[t], c = iii[t];
        double laws[4] = {a + c - b, avr[t] + (a + b) / 2, avl[t] - a + b / 2, avf[t] - b + a / 2};
        lead_sum[0] += a, lead_sum[1] += b, lead_sum[2] += c;
        lead_square[0] += a * a, lead_square[1] += b * b, lead_square[2] += c * c;
        for (int law = 0; law < 4; law++)
            law_sum[law] += laws[law], law_square[law] += laws[law] * laws[law];
    }
    for (int lead = 0; lead < 3; lead++)
        yardstick = fmax(yardstick, lead_square[lead] - lead_sum[lead] * lead_sum[lead] / (double)n);
    for (int law = 0; law < 4; law++)
        worst = fmax(worst, law_square[law] - law_sum[law] * law_sum[law] / (double)n);
    return yardstick > 0 ? worst / yardstick : 0;
}
