/* Depthwise convolution of channels-last images in bf16 for processors with AVX512-BF16: each channel has its own K x K kernel.
 *
 * A block is 32 channels (one vector of bf16) by 7 places of a row of y: 14 sums in registers. 7 divides the sides of the
 * networks that matter (112, 56, 28, 14, 7). Loops: rows of the kernel; in each, its taps go to registers, and the block's
 * stretch of x is walked once: a vector is loaded, widened to float (even channels by a shift, odd ones by a mask), and added
 * to each sum whose window holds it. Channels are the inner loop of blocks, so that memory is read in runs as it lies there.
 * What the next row of y will read and write is asked for meanwhile, into the second-level cache: large images wait for memory
 * (96 x 112 x 112 at stride 2, 16 images: 2.1 ms; without 5.0). Bias and clamp come with the sums; zeros around the image are
 * never in memory. */
#include <immintrin.h>

enum { CHANNELS = 32, PLACES = 7, BAND = 8 }; /* BAND: rows of y to a task */
#define FULLY _Pragma("GCC unroll 32")

typedef struct { /* _depthwise._Job repeats it */
    const uint16_t *x;      /* images x lines x width x channels */
    uint16_t *y;            /* images x rows x cols x channels */
    const float *taps, *bias; /* blocks x K x K x (16 even, 16 odd channels); blocks x (16 even, 16 odd) */
    void (*team)(void (*part)(void *), void *job, unsigned threads, unsigned flags); /* GOMP_parallel, or NULL */
    i64 images, channels, lines, width, rows, cols, top, left, kernel, stride, threads;
    float least, most;      /* what y is clamped to */
} Depthwise;

/* `inner`: all of the block's 32 channels and 7 places exist, and so do all places of x that they see. */
INLINE void block(const Depthwise *p, i64 image, i64 oy, i64 ox, i64 c, const int K, const int S, const int inner) {
    static const uint16_t zeros[CHANNELS];
    const i64 C = p->channels, iy = oy * S - p->top, ix = ox * S - p->left, line = p->width * C;
    const __mmask32 exist = C - c >= CHANNELS ? ~0u : (1u << (C - c)) - 1;
    const __m512i odd = _mm512_set1_epi32((int)0xffff0000);
    const float *bias = p->bias + c, *taps = p->taps + c * K * K;
    __m512 even_sum[PLACES], odd_sum[PLACES];
    FULLY for (int b = 0; b < PLACES; b++) even_sum[b] = _mm512_loadu_ps(bias), odd_sum[b] = _mm512_loadu_ps(bias + 16);
    const int first = iy < 0 ? (int)-iy : 0, last = iy + K > p->lines ? (int)(p->lines - iy) : K;
    for (int ky = first; ky < last; ky++) {
        const uint16_t *row = p->x + (image * p->lines + iy + ky) * line + ix * C + c;
        __m512 even_tap[5], odd_tap[5];
        FULLY for (int k = 0; k < K; k++) {
            even_tap[k] = _mm512_loadu_ps(taps + (ky * K + k) * CHANNELS);
            odd_tap[k] = _mm512_loadu_ps(taps + (ky * K + k) * CHANNELS + 16);
        }
        FULLY for (int j = 0; j < (PLACES - 1) * S + K; j++) {
            const uint16_t *at = inner || (uint64_t)(ix + j) < (uint64_t)p->width ? row + j * C : zeros;
            const __m512i v = inner ? _mm512_loadu_si512(at) : _mm512_maskz_loadu_epi16(exist, at);
            if (ky == K - 1) FULLY for (int more = 1; more <= S; more++) __builtin_prefetch(row + j * C + more * line, 0, 2);
            const __m512 e = _mm512_castsi512_ps(_mm512_slli_epi32(v, 16)), o = _mm512_castsi512_ps(_mm512_and_si512(v, odd));
            FULLY for (int b = 0; b < PLACES; b++)
                if (j >= b * S && j < b * S + K) {
                    even_sum[b] = _mm512_fmadd_ps(e, even_tap[j - b * S], even_sum[b]);
                    odd_sum[b] = _mm512_fmadd_ps(o, odd_tap[j - b * S], odd_sum[b]);
                }
        }
    }
    /* The lower half of the rounded vector holds the even channels: back to their places among the odd ones. */
    static const uint16_t order[CHANNELS] = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
                                             8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512i places = _mm512_loadu_si512(order);
    const __m512 least = _mm512_set1_ps(p->least), most = _mm512_set1_ps(p->most);
    uint16_t *y = p->y + ((image * p->rows + oy) * p->cols + ox) * C + c;
    FULLY for (int b = 0; b < PLACES; b++) {
        if (!inner && ox + b >= p->cols) break;
        __builtin_prefetch(y + (b + p->cols) * C, 1, 2);
        const __m512 e = _mm512_min_ps(most, _mm512_max_ps(least, even_sum[b])); /* in this order NaN stays NaN */
        const __m512 o = _mm512_min_ps(most, _mm512_max_ps(least, odd_sum[b]));
        const __m512i v = _mm512_permutexvar_epi16(places, (__m512i)_mm512_cvtne2ps_pbh(o, e));
        if (inner || exist == ~0u) _mm512_storeu_si512(y + b * C, v); /* masked stores are slow */
        else _mm512_mask_storeu_epi16(y + b * C, exist, v);
    }
}

INLINE void band(const Depthwise *p, i64 index, const int K, const int S) {
    const i64 bands = (p->rows + BAND - 1) / BAND, image = index / bands, start = index % bands * BAND;
    const i64 end = start + BAND < p->rows ? start + BAND : p->rows;
    for (i64 oy = start; oy < end; oy++)
        for (i64 ox = 0; ox < p->cols; ox += PLACES)
            for (i64 c = 0; c < p->channels; c += CHANNELS) {
                const i64 ix = ox * S - p->left;
                if (c + CHANNELS <= p->channels && ox + PLACES <= p->cols && ix >= 0 && ix + (PLACES - 1) * S + K <= p->width)
                    block(p, image, oy, ox, c, K, S, 1);
                else block(p, image, oy, ox, c, K, S, 0);
            }
}

static void band_3_1(const void *p, i64 i, void *none) { (void)none; band(p, i, 3, 1); }
static void band_3_2(const void *p, i64 i, void *none) { (void)none; band(p, i, 3, 2); }
static void band_5_1(const void *p, i64 i, void *none) { (void)none; band(p, i, 5, 1); }
static void band_5_2(const void *p, i64 i, void *none) { (void)none; band(p, i, 5, 2); }

static void join_in(void *loop) { take_part(loop); }

/* torch's team of threads, where it was found, is awake already; a second one would compete with it for the cores. */
static void depthwise(const Depthwise *p) {
    const Step step = p->kernel == 3 ? (p->stride == 1 ? band_3_1 : band_3_2) : p->stride == 1 ? band_5_1 : band_5_2;
    const i64 total = p->images * ((p->rows + BAND - 1) / BAND);
    if (p->threads > 1 && p->team) {
        Loop loop = {.step = step, .job = p, .total = total};
        p->team(join_in, &loop, (unsigned)(total < p->threads ? total : p->threads), 0);
    } else share(step, p, total, 0, (int)p->threads);
}
