/* ecg/delineate.py, where each step is told and done in numpy. */
#include "kernels.h"

#define SHARES 5

/* As ecg/delineate.py lists them: seconds, millivolts, shares. */
typedef struct {
    double qrs_shares[SHARES], qrs_slope, qrs_near, qrs_hold, qrs_longest, qrs_shortest;
    double t_after_qrs, t_latest, t_latest_of_rr, t_shortest, t_smooth, t_faintest, t_slope, t_fall, t_share, t_hold;
    double t_overshoot, level, p_before_qrs, p_earliest, p_least, p_smooth, p_edge, p_above_noise, p_slope, p_near;
    double p_hold, p_share, p_shortest, p_longest, rr_half;
} Constants;

typedef struct {
    int64_t onset, offset; /* onset -1: there is none */
} Span;

typedef struct {
    Span p, qrs, t;
} Waves;

typedef struct {
    const float *leads[INDEPENDENT];
    int64_t n, r;
    double rr, rate;
    const Constants *by;
    float *calm, *height, *speed, *spare; /* (8, n), then n of each */
} Beat;

static const Span NONE = {-1, -1};

INLINE int64_t samples_of(double seconds, double rate) { return (int64_t)nearbyint(seconds * rate); }
INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* Root of the leads' summed squared differences over 2 half samples, zero where an end is nearer than half. */
INLINE void speed_of(const float *const *leads, int64_t n, int64_t half, float *speed)
{
    memset(speed, 0, sizeof(float) * (size_t)n);
    for (int lead = 0; lead < INDEPENDENT; lead++)
        for (int64_t t = half; t < n - half; t++)
            speed[t] += (leads[lead][t + half] - leads[lead][t - half]) * (leads[lead][t + half] - leads[lead][t - half]);
    for (int64_t t = half; t < n - half; t++)
        speed[t] = sqrtf(speed[t]);
}

/* The running mean over 2 half + 1 samples, ends held. */
INLINE void smoothed(const float *const *leads, int64_t n, int64_t half, float *smooth)
{
    for (int lead = 0; lead < INDEPENDENT; lead++) {
        double sum = 0;
        for (int64_t t = -half - 1; t < half; t++)
            sum += leads[lead][clipped_to(t, 0, n - 1)];
        for (int64_t t = 0; t < n; t++) {
            sum += leads[lead][clipped_to(t + half, 0, n - 1)];
            sum -= leads[lead][clipped_to(t - half - 1, 0, n - 1)];
            smooth[lead * n + t] = (float)(sum / (double)(2 * half + 1));
        }
    }
}

INLINE int64_t highest_of(const float *values, int64_t first, int64_t last)
{
    int64_t highest = first;
    for (int64_t t = first; t < last; t++)
        highest = values[t] > values[highest] ? t : highest;
    return highest;
}

INLINE int any_over(const float *speed, int64_t first, int64_t last, float limit)
{
    for (int64_t t = first; t < last; t++)
        if (speed[t] > limit)
            return 1;
    return 0;
}

/* The stretch around a sample in which no pause lasts `hold` samples, between two ends. */
INLINE Span run_around(const float *speed, int64_t at, int64_t hold, float limit, int64_t first, int64_t last)
{
    Span run = {at, at};
    while (run.onset > first && any_over(speed, larger(first, run.onset - hold), run.onset, limit))
        run.onset--;
    while (run.offset < last - 1 && any_over(speed, run.offset + 1, smaller(last, run.offset + 1 + hold), limit))
        run.offset++;
    run.offset++;
    return run;
}

INLINE Span stay_over(const Beat *beat, float limit)
{
    const Constants *by = beat->by;
    int64_t hold = samples_of(by->qrs_hold, beat->rate), longest = samples_of(by->qrs_longest, beat->rate);
    Span qrs = {beat->r, beat->r};
    while (qrs.onset > larger(hold, beat->r - longest) && any_over(beat->speed, qrs.onset - hold, qrs.onset, limit))
        qrs.onset--;
    while (qrs.offset < smaller(beat->n - hold - 1, beat->r + longest)
           && any_over(beat->speed, qrs.offset + 1, qrs.offset + 1 + hold, limit))
        qrs.offset++;
    int64_t width = qrs.offset - qrs.onset;
    return width >= samples_of(by->qrs_shortest, beat->rate) && width <= longest ? qrs : NONE;
}

INLINE Span qrs_of(const Beat *beat)
{
    const Constants *by = beat->by;
    int64_t near = samples_of(by->qrs_near, beat->rate);
    speed_of(beat->leads, beat->n, samples_of(by->qrs_slope, beat->rate), beat->speed);
    int64_t first = larger(0, beat->r - 200 * near / 60), last = larger(1, beat->r - near / 3);
    double quiet = ecg_middle(beat->speed + first, last - first, larger(1, (last - first) / 3), beat->spare);
    int64_t from = larger(0, beat->r - near), to = smaller(beat->n, beat->r + near);
    double peak = beat->speed[highest_of(beat->speed, from, to)];
    for (int share = 0; share < SHARES; share++) {
        Span qrs = stay_over(beat, (float)(quiet + by->qrs_shares[share] * (peak - quiet)));
        if (qrs.onset >= 0)
            return qrs;
    }
    return NONE;
}

/* Of the smoothed leads, each about its own level: root of the mean square. */
INLINE void height_of(const float *smooth, int64_t n, int64_t first, int64_t last, float *height)
{
    memset(height + first, 0, sizeof(float) * (size_t)(last - first));
    for (int lead = 0; lead < INDEPENDENT; lead++)
        for (int64_t t = first; t < last; t++)
            height[t] += smooth[lead * n + t] * smooth[lead * n + t];
    for (int64_t t = first; t < last; t++)
        height[t] = sqrtf(height[t] / INDEPENDENT);
}

/* Where after `fastest` the T wave's own direction turns back up, as where the next P wave begins; `end` if nowhere. */
INLINE int64_t turn_of(const Beat *beat, int64_t peak, int64_t fastest, int64_t end)
{
    float scale = (float)((double)beat->height[peak] * beat->height[peak] * INDEPENDENT), *along = beat->spare;
    for (int64_t t = fastest; t < end; t++) {
        float product = 0;
        for (int lead = 0; lead < INDEPENDENT; lead++)
            product += beat->calm[lead * beat->n + peak] * beat->calm[lead * beat->n + t];
        along[t] = product / scale;
    }
    for (int64_t t = fastest + 1; t < end - 1; t++)
        if (along[t] <= along[t - 1] && along[t] < along[t + 1] && along[t] > (float)beat->by->t_overshoot)
            return t;
    return end;
}

INLINE Span t_of(const Beat *beat, Span qrs)
{
    const Constants *by = beat->by;
    double rate = beat->rate;
    int64_t n = beat->n, start = qrs.offset + samples_of(by->t_after_qrs, rate);
    int64_t end = smaller(n - 1, beat->r + (int64_t)nearbyint(fmin(by->t_latest * rate, by->t_latest_of_rr * beat->rr)));
    if (end - start < samples_of(by->t_shortest, rate))
        return NONE;
    const float *calm[INDEPENDENT];
    smoothed(beat->leads, n, samples_of(by->t_smooth, rate) / 2, beat->calm);
    int64_t first = larger(0, qrs.onset - samples_of(by->level, rate)), last = larger(1, qrs.onset);
    for (int lead = 0; lead < INDEPENDENT; lead++) {
        float level = 0;
        for (int64_t t = first; t < last; t++)
            level += beat->leads[lead][t];
        level /= (float)(last - first);
        calm[lead] = beat->calm + lead * n;
        for (int64_t t = 0; t < n; t++)
            beat->calm[lead * n + t] -= level;
    }
    height_of(beat->calm, n, start, end, beat->height);
    int64_t peak = highest_of(beat->height, start, end);
    if (beat->height[peak] < (float)by->t_faintest || peak <= start || peak >= end - 2)
        return NONE;
    /* From its fastest way down the vector comes to rest. */
    speed_of(calm, n, samples_of(by->t_slope, rate), beat->speed);
    int64_t fastest = highest_of(beat->speed, peak, smaller(end, peak + samples_of(by->t_fall, rate)));
    float limit = (float)(by->t_share * beat->speed[fastest]);
    Span rest = run_around(beat->speed, fastest, samples_of(by->t_hold, rate), limit, fastest, end);
    return (Span){start, smaller(rest.offset, turn_of(beat, peak, fastest, end))};
}

/* Without the line between the stretch's two quiet ends. */
INLINE void between_ends(float *piece, int64_t count, int64_t edge)
{
    float first = 0, last = 0;
    for (int64_t t = 0; t < edge; t++)
        first += piece[t], last += piece[count - edge + t];
    first /= (float)edge, last /= (float)edge;
    for (int64_t t = 0; t < count; t++)
        piece[t] = piece[t] - first - (last - first) * (float)((double)t / (double)(count - 1));
}

INLINE Span p_of(const Beat *beat, Span qrs, int64_t last_t, double faintest)
{
    const Constants *by = beat->by;
    double rate = beat->rate;
    int64_t n = beat->n, end = qrs.onset - samples_of(by->p_before_qrs, rate);
    int64_t start = larger(larger(0, qrs.onset - samples_of(by->p_earliest, rate)), last_t);
    if (end - start < samples_of(by->p_least, rate))
        return NONE;
    const float *calm[INDEPENDENT];
    smoothed(beat->leads, n, samples_of(by->p_smooth, rate) / 2, beat->calm);
    for (int lead = 0; lead < INDEPENDENT; lead++)
        calm[lead] = beat->calm + lead * n;
    speed_of(calm, n, samples_of(by->p_slope, rate), beat->speed);
    for (int lead = 0; lead < INDEPENDENT; lead++)
        between_ends(beat->calm + lead * n + start, end - start, larger(2, samples_of(by->p_edge, rate)));
    height_of(beat->calm, n, start, end, beat->height);
    int64_t peak = highest_of(beat->height, start, end);
    double noise = ecg_middle(beat->height + start, end - start, larger(1, (end - start) / 4), beat->spare);
    if (beat->height[peak] < fmax(faintest, by->p_above_noise * noise))
        return NONE;
    int64_t near = samples_of(by->p_near, rate), hold = samples_of(by->p_hold, rate);
    int64_t up = highest_of(beat->speed, larger(start, peak - near), peak + 1);
    int64_t down = highest_of(beat->speed, peak, smaller(end, peak + near));
    /* Where what came before leaves no quiet, a larger share finds the bend. */
    int64_t onset = start;
    for (int halves = 2; halves <= 4 && onset == start; halves++) {
        float limit = (float)(by->p_share * halves / 2 * beat->speed[up]);
        onset = run_around(beat->speed, up, hold, limit, start, end).onset;
    }
    float limit = (float)(by->p_share * beat->speed[down]);
    int64_t offset = run_around(beat->speed, down, hold, limit, start, end).offset;
    double width = (double)(offset - onset) / rate;
    return width >= by->p_shortest && width <= by->p_longest ? (Span){onset, offset} : NONE;
}

/* The waves of a beat of twelve leads with its R peak at `r`, in a rhythm of `rr` samples from beat to beat. */
KERNEL int ecg_delineate(
    const float *samples, int64_t n, int64_t r, double rr, double rate, double faintest_p, const Constants *by,
    Waves *waves)
{
    float *memory = malloc(sizeof(float) * (size_t)((INDEPENDENT + 3) * n));
    if (!memory)
        return NO_MEMORY;
    float *height = memory + INDEPENDENT * n;
    Beat beat = {{0}, n, r, rr, rate, by, memory, height, height + n, height + 2 * n};
    for (int lead = 0; lead < INDEPENDENT; lead++)
        beat.leads[lead] = LEAD(samples, n, INDEPENDENT_ROWS[lead]);
    *waves = (Waves){NONE, qrs_of(&beat), NONE};
    if (waves->qrs.onset >= 0) {
        waves->t = t_of(&beat, waves->qrs);
        int64_t end_of_t = waves->t.onset >= 0 ? waves->t.offset : r + (int64_t)nearbyint(by->rr_half * rr);
        waves->p = p_of(&beat, waves->qrs, end_of_t - (int64_t)nearbyint(rr), faintest_p);
    }
    free(memory);
    return DONE;
}
