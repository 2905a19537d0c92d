/* The kernels of ecg/rpeaks.py, where each step is told and done in numpy. */
#include "kernels.h"

/* One lead's slope, smoothed by a running mean over 2 half + 1 changes; what lies outside is still. */
INLINE void smoothed_slope(const float *lead, int64_t n, int64_t half, double *smooth)
{
    double sum = 0;
    for (int64_t t = 0; t < half && t < n - 1; t++)
        sum += fabsf(lead[t + 1] - lead[t]);
    for (int64_t t = 0; t < n; t++) {
        int64_t enters = t + half, leaves = t - half - 1;
        if (enters < n - 1)
            sum += fabsf(lead[enters + 1] - lead[enters]);
        if (leaves >= 0)
            sum -= fabsf(lead[leaves + 1] - lead[leaves]);
        smooth[t] = sum / (double)(2 * half + 1);
    }
}

/* `shared` (n): the smoothed slope of the independent leads, each on its own scale and by how much its bursts tell. */
KERNEL int ecg_shared_slope(const float *qrs, int64_t n, int64_t half, float *shared)
{
    double *smooth = malloc((INDEPENDENT * sizeof(double) + sizeof(float)) * (size_t)n);
    double weight[INDEPENDENT], all = 0;
    if (!smooth)
        return NO_MEMORY;
    float *spare = (float *)(smooth + INDEPENDENT * n);
    for (int lead = 0; lead < INDEPENDENT; lead++) {
        double *own = smooth + lead * n, mean = 0;
        smoothed_slope(LEAD(qrs, n, INDEPENDENT_ROWS[lead]), n, half, own);
        for (int64_t t = 0; t < n; t++)
            mean += own[t], spare[t] = (float)own[t];
        mean /= (double)n;
        double scale = ecg_ranked(spare, n, n - (n / 50 > 1 ? n / 50 : 1));
        double above = fmax(scale / fmax(mean, 1e-9) - 1, 0), peakedness = scale > 1e-6 ? above * above : 0;
        weight[lead] = peakedness / fmax(scale, 1e-9);
        all += peakedness;
    }
    for (int64_t t = 0; t < n; t++) {
        double sum = 0;
        for (int lead = 0; lead < INDEPENDENT; lead++)
            sum += weight[lead] * smooth[lead * n + t];
        shared[t] = (float)(sum / fmax(all, 1e-9));
    }
    free(smooth);
    return DONE;
}

/* Squares summed over the leads, of the samples or of their changes; after the last there is no change. */
INLINE void summed_squares(const float *samples, int64_t leads, int64_t n, int of_changes, float *power)
{
    memset(power, 0, sizeof(float) * (size_t)n);
    for (int64_t lead = 0; lead < leads; lead++) {
        const float *own = samples + lead * n;
        if (of_changes)
            for (int64_t t = 0; t < n - 1; t++)
                power[t] += (own[t + 1] - own[t]) * (own[t + 1] - own[t]);
        else
            for (int64_t t = 0; t < n; t++)
                power[t] += own[t] * own[t];
    }
}

typedef struct {
    float height;
    int64_t at;
} Top;

/* The higher first, and of equals the earlier. */
static int by_height(const void *left, const void *right)
{
    const Top *a = left, *b = right;
    if (a->height != b->height)
        return a->height < b->height ? 1 : -1;
    return a->at < b->at ? -1 : 1;
}

static int by_place(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

/* Local maxima above the faintest, of which the higher wins where two lie closer than `distance`; the higher first. */
INLINE int64_t peaks_apart(
    const float *envelope, int64_t n, int64_t distance, float faintest, Top *tops, char *taken, int64_t *peaks)
{
    int64_t found = 0, kept = 0;
    for (int64_t t = 1; t < n - 1; t++)
        if (envelope[t] > envelope[t - 1] && envelope[t] >= envelope[t + 1] && envelope[t] > faintest)
            tops[found++] = (Top){envelope[t], t};
    qsort(tops, (size_t)found, sizeof(Top), by_height);
    memset(taken, 0, (size_t)n);
    for (int64_t each = 0; each < found; each++) {
        int64_t at = tops[each].at, first = clipped_to(at - distance + 1, 0, n), last = clipped_to(at + distance, 0, n);
        if (taken[at])
            continue;
        peaks[kept++] = at;
        memset(taken + first, 1, (size_t)(last - first));
    }
    return kept;
}

/* Of the bursts those that are not soon after another and far less steep than it, as T waves are. */
INLINE int64_t without_t_waves(
    const float *power, int64_t n, int64_t *bursts, int64_t count, int64_t first, int64_t last, double soon, double less)
{
    int64_t kept = 0;
    float steep_of_kept = 0;
    for (int64_t each = 0; each < count; each++) {
        float steep = 0;
        for (int64_t t = bursts[each] + first; t <= bursts[each] + last; t++)
            steep = fmaxf(steep, power[clipped_to(t, 0, n - 1)]);
        if (kept && (double)(bursts[each] - bursts[kept - 1]) < soon && steep < less * steep_of_kept)
            continue;
        bursts[kept++] = bursts[each];
        steep_of_kept = steep;
    }
    return kept;
}

/* Each burst where the power around it is largest; two on one sample are one. */
INLINE int64_t on_r(const float *power, int64_t n, int64_t *bursts, int64_t count, int64_t reach)
{
    int64_t kept = 0, before = -1;
    for (int64_t each = 0; each < count; each++) {
        int64_t best = clipped_to(bursts[each] - reach, 0, n - 1);
        for (int64_t t = best; t <= clipped_to(bursts[each] + reach, 0, n - 1); t++)
            best = power[t] > power[best] ? t : best;
        if (best > before)
            bursts[kept++] = best;
        before = best;
    }
    return kept;
}

/* `bursts` (n): where the QRS complexes of a shared slope are, on their R; how many, or -1. `around` them is `first` to
 * `last`; `soon` and `less` tell a T wave. */
KERNEL int64_t ecg_bursts(
    const float *qrs, int64_t leads, int64_t n, const float *envelope, int64_t distance, float faintest, double above,
    int64_t first, int64_t last, double soon, double less, int64_t reach, int64_t *bursts)
{
    Top *tops = malloc((sizeof(Top) + 3 * sizeof(float) + 1) * (size_t)n);
    if (!tops)
        return -1;
    float *power = (float *)(tops + n), *heights = power + n, *spare = heights + n;
    int64_t count = peaks_apart(envelope, n, distance, faintest, tops, (char *)(spare + n), bursts);
    int64_t kept = 0, larger = (count + 1) / 2;
    if (count) {
        double quiet = ecg_middle(envelope, n, n, spare);
        for (int64_t each = 0; each < larger; each++) /* they are still in the order of their heights */
            heights[each] = envelope[bursts[each]];
        float threshold = (float)(quiet + above * (ecg_middle(heights, larger, larger, spare) - quiet));
        while (kept < count && envelope[bursts[kept]] > threshold)
            kept++;
        qsort(bursts, (size_t)kept, sizeof(int64_t), by_place);
        summed_squares(qrs, leads, n, 1, power);
        kept = without_t_waves(power, n, bursts, kept, first, last, soon, less);
        summed_squares(qrs, leads, n, 0, power);
        kept = on_r(power, n, bursts, kept, reach);
    }
    free(tops);
    return kept;
}

/* The beats that are aligned: around each peak every independent lead without its mean, `span` samples of it. */
typedef struct {
    int64_t beats, width, lags, span;
    const float *around; /* (beat, lead, span) */
    const float *scale;  /* (beat, lag): one over the length of the window that begins there */
} Windows;

INLINE const float *window_of(const Windows *windows, int64_t beat, int64_t lag, int lead)
{
    return windows->around + (beat * INDEPENDENT + lead) * windows->span + lag;
}

INLINE void look_around(const float *samples, int64_t n, int64_t first, int64_t span, float *around)
{
    for (int lead = 0; lead < INDEPENDENT; lead++, around += span) {
        const float *own = LEAD(samples, n, INDEPENDENT_ROWS[lead]);
        float mean = 0;
        for (int64_t t = 0; t < span; t++)
            around[t] = own[clipped_to(first + t, 0, n - 1)];
        for (int64_t t = 0; t < span; t++)
            mean += around[t];
        mean /= (float)span;
        for (int64_t t = 0; t < span; t++)
            around[t] -= mean;
    }
}

INLINE float along(const Windows *windows, int64_t beat, int64_t lag, const float *typical)
{
    float product = 0;
    for (int lead = 0; lead < INDEPENDENT; lead++)
        product += product_of(window_of(windows, beat, lag, lead), typical + lead * windows->width, windows->width);
    return product;
}

/* The lag at which the beat fits best, and how well. */
INLINE int64_t best_fit(const Windows *windows, int64_t beat, const float *typical, float *fit)
{
    int64_t best = 0;
    for (int64_t lag = 0; lag < windows->lags; lag++) {
        float found = along(windows, beat, lag, typical) * windows->scale[beat * windows->lags + lag];
        if (lag == 0 || found > *fit)
            *fit = found, best = lag;
    }
    return best;
}

/* `typical`: the mean of the largest group of beats that look alike, each at its own lag, of the first `count`. */
INLINE void typical_of(
    const Windows *windows, const int64_t *at, int64_t count, float alike, float *unit, float *products, float *typical)
{
    int64_t size = INDEPENDENT * windows->width, centre = 0;
    float most = -1;
    for (int64_t beat = 0; beat < count; beat++)
        for (int lead = 0; lead < INDEPENDENT; lead++) {
            const float *window = window_of(windows, beat, at[beat], lead);
            float scale = windows->scale[beat * windows->lags + at[beat]];
            for (int64_t t = 0; t < windows->width; t++)
                unit[beat * size + lead * windows->width + t] = window[t] * scale;
        }
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = i; j < count; j++)
            products[i * count + j] = products[j * count + i] = product_of(unit + i * size, unit + j * size, size);
    for (int64_t i = 0; i < count; i++) {
        float like = 0, sum = 0;
        for (int64_t j = 0; j < count; j++) {
            like += products[i * count + j] > alike;
            sum += products[i * count + j];
        }
        if (like + sum / (float)count > most)
            most = like + sum / (float)count, centre = i;
    }
    int is_group = products[centre * count + centre] >= alike;
    memset(typical, 0, sizeof(float) * (size_t)size);
    for (int64_t beat = 0; beat < count; beat++)
        if (is_group ? products[centre * count + beat] >= alike : beat == centre)
            for (int64_t k = 0; k < size; k++)
                typical[k] += unit[beat * size + k];
    float scale = 1 / fmaxf(sqrtf(product_of(typical, typical, size)), 1e-9f);
    for (int64_t k = 0; k < size; k++)
        typical[k] *= scale;
}

/* For each peak the lag (0 to 2 lag) of its best fit, how well it fits, and the typical beat (8, 2 reach + 1). */
KERNEL int ecg_align(
    const float *samples, int64_t n, const int64_t *peaks, int64_t beats, int64_t reach, int64_t lag, float alike,
    int64_t typical_from, int64_t *best, float *fit, float *typical)
{
    Windows windows = {beats, 2 * reach + 1, 2 * lag + 1, 2 * (reach + lag) + 1, NULL, NULL};
    int64_t some = beats < typical_from ? beats : typical_from;
    int64_t around_size = beats * INDEPENDENT * windows.span, scale_size = beats * windows.lags;
    float *around = malloc(
        sizeof(float) * (size_t)(around_size + scale_size + some * INDEPENDENT * windows.width + some * some));
    if (!around)
        return NO_MEMORY;
    float *scale = around + around_size, *unit = scale + scale_size, *products = unit + some * INDEPENDENT * windows.width;
    windows.around = around, windows.scale = scale;
    for (int64_t beat = 0; beat < beats; beat++) {
        look_around(samples, n, peaks[beat] - reach - lag, windows.span, around + beat * INDEPENDENT * windows.span);
        for (int64_t each = 0; each < windows.lags; each++) {
            float power = 0;
            for (int lead = 0; lead < INDEPENDENT; lead++) {
                const float *window = window_of(&windows, beat, each, lead);
                power += product_of(window, window, windows.width);
            }
            scale[beat * windows.lags + each] = 1 / fmaxf(sqrtf(power), 1e-9f);
        }
        best[beat] = lag;
    }
    typical_of(&windows, best, some, alike, unit, products, typical);
    for (int64_t beat = 0; beat < beats; beat++)
        best[beat] = best_fit(&windows, beat, typical, &fit[beat]);
    typical_of(&windows, best, some, alike, unit, products, typical);
    for (int64_t beat = 0; beat < beats; beat++)
        best[beat] = best_fit(&windows, beat, typical, &fit[beat]);
    free(around);
    return DONE;
}
