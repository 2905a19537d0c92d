/* filters.bands: zero-phase filters as one transform, a product and one inverse each, of as many leads at once as fit. */
#include "kernels.h"

/* One moment, or one frequency, of LANES leads. */
typedef struct {
    Lanes re, im;
} Complex;

typedef struct {
    const float *turns; /* exp(-2 pi i k / length), its real and imaginary parts side by side */
    int64_t length;     /* of the real signal; the complex one that holds it is half as long */
} Circle;

INLINE Complex add(Complex a, Complex b) { return (Complex){a.re + b.re, a.im + b.im}; }
INLINE Complex less(Complex a, Complex b) { return (Complex){a.re - b.re, a.im - b.im}; }
INLINE Complex conjugate(Complex a) { return (Complex){a.re, -a.im}; }
INLINE Complex scaled(Complex a, float by) { return (Complex){a.re * by, a.im * by}; }
INLINE Complex times_minus_i(Complex a) { return (Complex){a.im, -a.re}; }
INLINE Complex swapped(Complex a) { return (Complex){a.im, a.re}; }
INLINE Complex turned(Complex a, float re, float im) { return (Complex){a.re * re - a.im * im, a.re * im + a.im * re}; }
INLINE Complex turned_by(Complex a, Circle circle, int64_t step)
{
    return turned(a, circle.turns[2 * step], circle.turns[2 * step + 1]);
}

INLINE void transform_2(const Complex *a, Complex *b)
{
    b[0] = add(a[0], a[1]), b[1] = less(a[0], a[1]);
}

INLINE void transform_3(const Complex *a, Complex *b)
{
    const float sine = 0.86602540378443864676f;
    Complex sum = add(a[1], a[2]), middle = add(a[0], scaled(sum, -0.5f));
    Complex side = scaled(times_minus_i(less(a[1], a[2])), sine);
    b[0] = add(a[0], sum), b[1] = add(middle, side), b[2] = less(middle, side);
}

INLINE void transform_4(const Complex *a, Complex *b)
{
    Complex even = add(a[0], a[2]), even_less = less(a[0], a[2]);
    Complex odd = add(a[1], a[3]), odd_less = times_minus_i(less(a[1], a[3]));
    b[0] = add(even, odd), b[2] = less(even, odd);
    b[1] = add(even_less, odd_less), b[3] = less(even_less, odd_less);
}

INLINE void transform_5(const Complex *a, Complex *b)
{
    const float c1 = 0.30901699437494742410f, c2 = -0.80901699437494742410f;
    const float s1 = 0.95105651629515357212f, s2 = 0.58778525229247312917f;
    Complex outer = add(a[1], a[4]), inner = add(a[2], a[3]);
    Complex outer_less = times_minus_i(less(a[1], a[4])), inner_less = times_minus_i(less(a[2], a[3]));
    Complex first = add(a[0], add(scaled(outer, c1), scaled(inner, c2)));
    Complex second = add(a[0], add(scaled(outer, c2), scaled(inner, c1)));
    Complex first_side = add(scaled(outer_less, s1), scaled(inner_less, s2));
    Complex second_side = less(scaled(outer_less, s2), scaled(inner_less, s1));
    b[0] = add(a[0], add(outer, inner));
    b[1] = add(first, first_side), b[4] = less(first, first_side);
    b[2] = add(second, second_side), b[3] = less(second, second_side);
}

/* One pass of Stockham's: `n` values that lie `stride` apart become `radix` times as many interleaved of n / radix. */
#define PASS(radix)                                                                                                    \
    INLINE void pass_##radix(const Complex *x, Complex *y, int64_t n, int64_t stride, Circle circle)                   \
    {                                                                                                                  \
        int64_t part = n / (radix), step = circle.length / n;                                                          \
        for (int64_t p = 0; p < part; p++)                                                                             \
            for (int64_t q = 0; q < stride; q++) {                                                                     \
                Complex a[radix], b[radix];                                                                            \
                for (int k = 0; k < (radix); k++)                                                                      \
                    a[k] = x[q + stride * (p + part * k)];                                                             \
                transform_##radix(a, b);                                                                               \
                y[q + stride * (radix) * p] = b[0];                                                                    \
                for (int k = 1; k < (radix); k++)                                                                      \
                    y[q + stride * ((radix) * p + k)] = turned_by(b[k], circle, step * p * k);                         \
            }                                                                                                          \
    }
PASS(2)
PASS(3)
PASS(4)
PASS(5)

/* The transform of `count` values, which have no prime factor over five; in `values` or in `spare`, whichever it says. */
INLINE Complex *transformed(Complex *values, Complex *spare, int64_t count, Circle circle)
{
    int64_t n = count, stride = 1;
    while (n > 1) {
        int radix = n % 4 == 0 ? 4 : n % 2 == 0 ? 2 : n % 3 == 0 ? 3 : 5;
        if (radix == 4)
            pass_4(values, spare, n, stride, circle);
        else if (radix == 2)
            pass_2(values, spare, n, stride, circle);
        else if (radix == 3)
            pass_3(values, spare, n, stride, circle);
        else
            pass_5(values, spare, n, stride, circle);
        Complex *made = spare;
        spare = values, values = made;
        n /= radix, stride *= radix;
    }
    return values;
}

/* LANES leads moment by moment, without the line between their ends, mirrored through both ends and faded out. */
INLINE void extended(
    const float *samples, int64_t leads, int64_t n, int64_t pad, const float *fade, int64_t length, Lanes *moments)
{
    Lanes first = {0}, slope = {0}, *inside = moments + pad;
    for (int64_t lead = 0; lead < leads; lead++) {
        const float *own = samples + lead * n;
        first[lead] = own[0], slope[lead] = (own[n - 1] - own[0]) / (float)(n > 1 ? n - 1 : 1);
    }
    for (int64_t t = 0; t < n; t++) {
        Lanes moment = {0};
        for (int64_t lead = 0; lead < leads; lead++)
            moment[lead] = samples[lead * n + t];
        inside[t] = moment - (first + slope * (float)t);
    }
    for (int64_t k = 0; k < pad; k++) {
        moments[k] = inside[pad - k] * -fade[k];
        inside[n + k] = inside[n - 2 - k] * -fade[pad - 1 - k];
    }
    memset(inside + n + pad, 0, sizeof(Lanes) * (size_t)(length - n - 2 * pad));
}

/* From the transform of pairs of moments to that of the moments: frequencies 0 to length / 2. */
INLINE void unpaired(const Complex *pairs, Circle circle, Complex *spectrum)
{
    int64_t half = circle.length / 2;
    spectrum[0] = (Complex){pairs[0].re + pairs[0].im, pairs[0].im * 0};
    spectrum[half] = (Complex){pairs[0].re - pairs[0].im, pairs[0].im * 0};
    for (int64_t k = 1; k < half; k++) {
        Complex mirror = conjugate(pairs[half - k]), even = add(pairs[k], mirror);
        Complex odd = turned_by(times_minus_i(less(pairs[k], mirror)), circle, k);
        spectrum[k] = scaled(add(even, odd), 0.5f);
    }
}

/* And back, each frequency times its gain, into the pairs of every `every`th moment: re and im exchanged, so that the
 * same transform then serves as the inverse. */
INLINE void paired(const Complex *spectrum, const float *gain, Circle circle, int64_t every, Complex *pairs)
{
    int64_t half = circle.length / every / 2;
    float scale = 1 / (float)circle.length;
    Lanes low = spectrum[0].re * (gain[0] * scale), high = spectrum[half].re * (gain[half] * scale);
    pairs[0] = (Complex){low - high, low + high};
    for (int64_t k = 1; k < half; k++) {
        Complex own = scaled(spectrum[k], gain[k] * scale);
        Complex mirror = conjugate(scaled(spectrum[half - k], gain[half - k] * scale));
        const float *turn = circle.turns + 2 * every * k;
        Complex odd = turned(less(own, mirror), turn[0], -turn[1]);
        pairs[k] = swapped(less(add(own, mirror), times_minus_i(odd)));
    }
}

/* Every `every`th moment of the recording under that gain, lead by lead again. */
INLINE void filtered(
    const Complex *spectrum, const float *gain, Circle circle, int64_t every, int64_t pad, int64_t leads,
    int64_t n, Complex *values, Complex *spare, float *out)
{
    paired(spectrum, gain, circle, every, values);
    Complex *pairs = transformed(values, spare, circle.length / every / 2, circle);
    int64_t count = (n + every - 1) / every, from = pad / every;
    for (int64_t t = 0; t < count; t++) {
        const Complex *pair = pairs + (from + t) / 2;
        Lanes moment = (from + t) % 2 ? pair->re : pair->im;
        for (int64_t lead = 0; lead < leads; lead++)
            out[lead * count + t] = moment[lead];
    }
}

/* Two filters of the same samples, the second one's result at every `every`th sample. */
KERNEL int ecg_bands(
    const float *samples, int64_t leads, int64_t n, int64_t pad, const float *fade, int64_t length, const float *turns,
    const float *gain, float *all, const float *coarse_gain, int64_t every, float *coarse)
{
    Circle circle = {turns, length};
    int64_t half = length / 2;
    Complex *memory = aligned_alloc(sizeof(Lanes), sizeof(Complex) * (size_t)(3 * half + 1));
    if (!memory)
        return NO_MEMORY;
    Complex *spectrum = memory, *values = spectrum + half + 1, *spare = values + half;
    int64_t coarse_n = (n + every - 1) / every;
    for (int64_t lead = 0; lead < leads; lead += LANES) {
        int64_t some = leads - lead < LANES ? leads - lead : LANES;
        extended(samples + lead * n, some, n, pad, fade, length, (Lanes *)values);
        Complex *pairs = transformed(values, spare, half, circle);
        unpaired(pairs, circle, spectrum);
        filtered(spectrum, gain, circle, 1, pad, some, n, values, spare, all + lead * n);
        filtered(spectrum, coarse_gain, circle, every, pad, some, n, values, spare, coarse + lead * coarse_n);
    }
    free(memory);
    return DONE;
}
