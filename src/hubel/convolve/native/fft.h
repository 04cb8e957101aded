/* Complex transforms of N lines at once, one in each lane, in place. Included as direct.h is, and before fourier.h.
 *
 * Forward by decimation in frequency, backward in time, so spectra stay in scrambled order and nobody sorts them
 * (Gentleman and Sande, 1966; Cooley and Tukey, 1965). Lengths are products of 2, 3, 4 and 5. An element of a line is a
 * vector of real parts and a vector of imaginary parts. */

typedef struct {
    i64 n, stages, radix[16];
    T *twiddles; /* a stage after the other: for each j, the radix - 1 powers (re, im) of exp(-2 pi i j / L) */
} FN(Line);

/* Factors and twiddles of length n. Returns 1 without memory, or if n has another prime factor. */
static int FN(prepare)(FN(Line) *line, i64 n) {
    line->n = n, line->stages = 0;
    i64 rest = n, numbers = 0;
    while (rest > 1) {
        const i64 r = rest % 4 == 0 ? 4 : rest % 2 == 0 ? 2 : rest % 3 == 0 ? 3 : 5;
        if (rest % r || line->stages == 16) return 1;
        line->radix[line->stages++] = r;
        numbers += rest / r * (r - 1) * 2;
        rest /= r;
    }
    T *t = line->twiddles = malloc((numbers + 1) * sizeof(T));
    if (!t) return 1;
    i64 length = n;
    for (i64 s = 0; s < line->stages; length /= line->radix[s++])
        for (i64 j = 0; j < length / line->radix[s]; j++)
            for (i64 k = 1; k < line->radix[s]; k++) {
                const double angle = -6.283185307179586476925 * (double)(j * k) / (double)length;
                *t++ = (T)cos(angle), *t++ = (T)sin(angle);
            }
    return 0;
}

/* The butterflies: DFTs of 2, 3, 4 and 5 points. sign 1: forward, exp(-2 pi i jk / r); -1: backward. */
INLINE void FN(butterfly)(FN(vec) *re, FN(vec) *im, const int r, const int sign) {
    const T up = (T)sign;
    if (r == 2) {
        const FN(vec) a = re[0] - re[1], b = im[0] - im[1];
        re[0] += re[1], im[0] += im[1], re[1] = a, im[1] = b;
    } else if (r == 4) {
        const FN(vec) a = re[0] + re[2], b = im[0] + im[2], c = re[0] - re[2], d = im[0] - im[2];
        const FN(vec) e = re[1] + re[3], f = im[1] + im[3], g = re[1] - re[3], h = im[1] - im[3];
        re[0] = a + e, im[0] = b + f, re[2] = a - e, im[2] = b - f;
        if (sign > 0) re[1] = c + h, im[1] = d - g, re[3] = c - h, im[3] = d + g;
        else re[1] = c - h, im[1] = d + g, re[3] = c + h, im[3] = d - g;
    } else if (r == 3) {
        const T s = up * (T)0.86602540378443864676;
        const FN(vec) a = re[1] + re[2], b = im[1] + im[2], c = (re[1] - re[2]) * s, d = (im[1] - im[2]) * s;
        const FN(vec) e = re[0] - a * (T)0.5, f = im[0] - b * (T)0.5;
        re[0] += a, im[0] += b, re[1] = e + d, im[1] = f - c, re[2] = e - d, im[2] = f + c;
    } else {
        const T c1 = (T)0.30901699437494742410, c2 = (T)-0.80901699437494742410;
        const T s1 = up * (T)0.95105651629515357212, s2 = up * (T)0.58778525229247312917;
        const FN(vec) a = re[1] + re[4], b = im[1] + im[4], c = re[1] - re[4], d = im[1] - im[4];
        const FN(vec) e = re[2] + re[3], f = im[2] + im[3], g = re[2] - re[3], h = im[2] - im[3];
        const FN(vec) p = re[0] + a * c1 + e * c2, q = im[0] + b * c1 + f * c2;
        const FN(vec) u = re[0] + a * c2 + e * c1, v = im[0] + b * c2 + f * c1;
        const FN(vec) k = c * s1 + g * s2, l = d * s1 + h * s2, m = c * s2 - g * s1, n = d * s2 - h * s1;
        re[0] += a + e, im[0] += b + f;
        re[1] = p + l, im[1] = q - k, re[4] = p - l, im[4] = q + k;
        re[2] = u + n, im[2] = v - m, re[3] = u - n, im[3] = v + m;
    }
}

/* One stage: radix r at length L of all of the line's n elements; an element is a vector re and a vector im. */
INLINE void FN(stage)(FN(vec) *p, i64 n, i64 length, const T *twiddles, const int r, const int sign) {
    const i64 q = length / r;
    for (i64 j = 0; j < q; j++, twiddles += 2 * (r - 1))
        for (FN(vec) *at = p + 2 * j; at < p + 2 * n; at += 2 * length) {
            FN(vec) re[5], im[5];
            for (int k = 0; k < r; k++) re[k] = at[2 * k * q], im[k] = at[2 * k * q + 1];
            if (sign < 0)
                for (int k = 1; k < r; k++) {
                    const T c = twiddles[2 * k - 2], s = twiddles[2 * k - 1];
                    const FN(vec) a = re[k] * c + im[k] * s;
                    im[k] = im[k] * c - re[k] * s, re[k] = a;
                }
            FN(butterfly)(re, im, r, sign);
            if (sign > 0)
                for (int k = 1; k < r; k++) {
                    const T c = twiddles[2 * k - 2], s = twiddles[2 * k - 1];
                    const FN(vec) a = re[k] * c - im[k] * s;
                    im[k] = im[k] * c + re[k] * s, re[k] = a;
                }
            for (int k = 0; k < r; k++) at[2 * k * q] = re[k], at[2 * k * q + 1] = im[k];
        }
}

static void FN(forward)(FN(vec) *p, const FN(Line) *line) {
    i64 length = line->n;
    const T *t = line->twiddles;
    for (i64 s = 0; s < line->stages; s++) {
        const i64 r = line->radix[s];
        if (r == 4) FN(stage)(p, line->n, length, t, 4, 1);
        else if (r == 2) FN(stage)(p, line->n, length, t, 2, 1);
        else if (r == 3) FN(stage)(p, line->n, length, t, 3, 1);
        else FN(stage)(p, line->n, length, t, 5, 1);
        t += length / r * (r - 1) * 2, length /= r;
    }
}

static void FN(backward)(FN(vec) *p, const FN(Line) *line) {
    i64 length = 1;
    const T *t = line->twiddles;
    for (i64 s = 0, l = line->n; s < line->stages; l /= line->radix[s++]) t += l / line->radix[s] * (line->radix[s] - 1) * 2;
    for (i64 s = line->stages - 1; s >= 0; s--) {
        const i64 r = line->radix[s];
        length *= r, t -= length / r * (r - 1) * 2;
        if (r == 4) FN(stage)(p, line->n, length, t, 4, -1);
        else if (r == 2) FN(stage)(p, line->n, length, t, 2, -1);
        else if (r == 3) FN(stage)(p, line->n, length, t, 3, -1);
        else FN(stage)(p, line->n, length, t, 5, -1);
    }
}

typedef MASK FN(mask) __attribute__((vector_size(N * sizeof(T))));

/* Rows to columns: N vectors, `from` apart, become N vectors `to` apart. log2 N perfect shuffles. */
INLINE void FN(transpose)(const FN(vec) *in, i64 from, FN(vec) *out, i64 to) {
    FN(vec) a[N], b[N];
    for (int i = 0; i < N; i++) a[i] = in[i * from];
    for (int round = 1; round < N; round *= 2) {
        for (int i = 0; i < N / 2; i++) {
            b[2 * i] = SHUFFLE(FN(mask), a[i], a[i + N / 2], LOW(N));
            b[2 * i + 1] = SHUFFLE(FN(mask), a[i], a[i + N / 2], HIGH(N));
        }
        for (int i = 0; i < N; i++) a[i] = b[i];
    }
    for (int i = 0; i < N; i++) out[i * to] = a[i];
}
