/* The definition, and 1-D passes, on a ring of padded rows. Included once for each type and instruction set:
 * T the type, N how many make a vector, V how many vectors a block is wide, FN(name) the instance's own name.
 *
 * A block is R <= 4 output rows by V vectors, held in registers: each vector of x that is loaded serves R rows. */

typedef T FN(vec) __attribute__((vector_size(N * sizeof(T)), may_alias));
typedef T FN(loose) __attribute__((vector_size(N * sizeof(T)), aligned(sizeof(T)), may_alias));

/* Padded columns from .. from + count - 1 of a padded row. */
static void FN(fetch)(const Job *p, T *to, const void *plane, i64 row, i64 from, i64 count) {
    const i64 at = p->ymap[row], inside = p->before + p->width, to_col = from + count;
    if (!plane || at < 0) {
        memset(to, 0, count * sizeof(T));
        return;
    }
    const void *line = element(p, plane, at * p->xy);
    i64 c = from;
    for (; c < to_col && c < p->before; c++) {
        const i64 i = p->xmap[c] * p->xx;
        to[c - from] = i < 0 ? 0 : p->bytes_x ? (T)((const uint8_t *)line)[i] : ((const T *)line)[i];
    }
    i64 n = (to_col < inside ? to_col : inside) - c;
    if (n > 0) {
        T *out = to + (c - from);
        const void *in = element(p, line, (c - p->before) * p->xx);
        if (p->xx == 1 && p->ymap[row] + AHEAD < p->lines) {
            const char *next = (const char *)element(p, in, AHEAD * p->xy);
            for (i64 i = 0; i < n * (p->bytes_x ? 1 : (i64)sizeof(T)); i += 64) __builtin_prefetch(next + i);
        }
        if (p->xx == 1 && !p->bytes_x) memcpy(out, in, n * sizeof(T));
        else if (p->xx == 1) for (i64 i = 0; i < n; i++) out[i] = ((const uint8_t *)in)[i];
        else if (p->bytes_x) for (i64 i = 0; i < n; i++) out[i] = ((const uint8_t *)in)[i * p->xx];
        else for (i64 i = 0; i < n; i++) out[i] = ((const T *)in)[i * p->xx];
        c += n;
    }
    for (; c < to_col; c++) {
        const i64 i = p->xmap[c - p->width] * p->xx;
        to[c - from] = i < 0 ? 0 : p->bytes_x ? (T)((const uint8_t *)line)[i] : ((const T *)line)[i];
    }
}

/* To the nearest integer, ties to even, within 0..255; NaN is 0. */
static void FN(to_bytes)(uint8_t *to, const T *from, i64 count) {
    const T magic = sizeof(T) == 4 ? (T)12582912.0 : (T)6755399441055744.0; /* 1.5 * 2^23, 2^52: adding it rounds */
    for (i64 i = 0; i < count; i++) {
        T v = from[i] > 0 ? from[i] : 0;
        v = v < 255 ? v : 255;
        to[i] = (uint8_t)(int)((v + magic) - magic);
    }
}

static void FN(store)(const Job *p, i64 at, const T *from, i64 count) {
    if (p->bytes_y) FN(to_bytes)((uint8_t *)p->y + at, from, count);
    else memcpy((T *)p->y + at, from, count * sizeof(T));
}

/* Add the taps of kernel rows t - r1 .. t - r0, for t from t0 to t1 - 1, to output rows r0 .. r1. */
INLINE void FN(add)(FN(vec) (*sum)[V], const T *const *rows, i64 c, const T *w, i64 kw, i64 dx, i64 t0, i64 t1, const int r0,
                    const int r1, const int wide) {
    for (i64 t = t0; t < t1; t++) {
        const T *x = rows[t] + c, *tap = w + t * kw;
        for (i64 j = 0; j < kw; j++, x += dx, tap++) {
            FN(vec) in[V];
            UNROLL for (int v = 0; v < wide; v++) {
                in[v] = *(const FN(loose) *)(x + v * N);
                KEEP(in[v]); /* or GCC loads it again for each row */
            }
            UNROLL for (int r = r0; r <= r1; r++)
                UNROLL for (int v = 0; v < wide; v++) sum[r][v] += in[v] * tap[-r * kw];
        }
    }
}

#if defined(__x86_64__) && !defined(__clang__)
#define STREAM_3(type, bytes) STREAM_##type##_##bytes
#define STREAM_2(type, bytes) STREAM_3(type, bytes)
INLINE void FN(stream)(FN(vec) *to, FN(vec) value) { STREAM_2(T, BYTES)((T *)to, value); }
#undef STREAM_2
#undef STREAM_3
#endif

/* Store a vector; `past` the caches, if it is aligned: what is larger than they are would only push out the input. */
INLINE void FN(put)(T *to, FN(vec) value, int past) {
    if (past && !((uintptr_t)to % BYTES)) STREAM((FN(vec) *)to, value);
    else *(FN(loose) *)to = value;
}

/* R rows by `wide` vectors of output from column c on, into out. rows: kh + R - 1 pointers a slab, NULL for zeros. */
INLINE void FN(block)(const T *const *rows, i64 c, const T *w, i64 slabs, i64 kh, i64 kw, i64 dx, T *out, i64 pitch,
                      int past, const int R, const int wide) {
    FN(vec) sum[4][V];
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int v = 0; v < wide; v++) sum[r][v] = (FN(vec)){0};
    for (i64 s = 0; s < slabs; s++, rows += kh + R - 1, w += kh * kw) {
        if (!rows[0]) continue;
#define ADD(t0, t1, r0, r1) FN(add)(sum, rows, c, w, kw, dx, t0, t1, r0, r1, wide)
        if (R > 1) ADD(0, 1, 0, 0);
        if (R > 2) ADD(1, 2, 0, 1);
        if (R > 3) ADD(2, 3, 0, 2);
        ADD(R - 1, kh, 0, R - 1);
        if (R > 3) ADD(kh, kh + 1, 1, 3);
        if (R > 2) ADD(kh + R - 3, kh + R - 2, R - 2, R - 1);
        if (R > 1) ADD(kh + R - 2, kh + R - 1, R - 1, R - 1);
#undef ADD
    }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int v = 0; v < wide; v++) FN(put)(out + r * pitch + v * N, sum[r][v], past);
}

/* Blocks side by side, columns `from` to `to`; returns the first column that did not fill one. */
typedef i64 (*FN(Blocks))(const T *const *, i64, i64, const T *, i64, i64, i64, i64, T *, i64, int);
#define BLOCKS(R, wide)                                                                                                   \
    static i64 FN(blocks_##R##_##wide)(const T *const *rows, i64 from, i64 to, const T *w, i64 slabs, i64 kh, i64 kw,     \
                                       i64 dx, T *out, i64 pitch, int past) {                                                     \
        if (slabs == 1 && kh == 3 && kw == 3 && dx == 1) /* sizes known: no loops are left, the weights stay in registers */  \
            for (; from + N * wide <= to; from += N * wide, out += N * wide)                                              \
                FN(block)(rows, from, w, 1, 3, 3, 1, out, pitch, past, R, wide);                                                \
        else if (slabs == 1 && kw == 7 && dx == 1)                                                                        \
            for (; from + N * wide <= to; from += N * wide, out += N * wide)                                              \
                FN(block)(rows, from, w, 1, kh, 7, 1, out, pitch, past, R, wide);                                         \
        else                                                                                                              \
            for (; from + N * wide <= to; from += N * wide, out += N * wide)                                              \
                FN(block)(rows, from, w, slabs, kh, kw, dx, out, pitch, past, R, wide);                                         \
        return from;                                                                                                      \
    }
BLOCKS(1, 1) BLOCKS(2, 1) BLOCKS(3, 1) BLOCKS(4, 1)
BLOCKS(1, V) BLOCKS(2, V) BLOCKS(3, V) BLOCKS(4, V)
#undef BLOCKS
static const FN(Blocks) FN(narrow)[4] = {FN(blocks_1_1), FN(blocks_2_1), FN(blocks_3_1), FN(blocks_4_1)};
static const FN(Blocks) FN(wide)[4] = {FN(blocks_1_V), FN(blocks_2_V), FN(blocks_3_V), FN(blocks_4_V)};

/* One row pass: `count` outputs, rounded up to whole vectors, from a padded line. */
static void FN(pass)(const T *line, T *out, const T *taps, i64 k, i64 dilation, i64 count) {
    const i64 c = FN(wide)[0](&line, 0, count, taps, 1, 1, k, dilation, out, 0, 0);
    FN(narrow)[0](&line, c, count + N - 1, taps, 1, 1, k, dilation, out + c, 0, 0);
}

/* Sizes of a task's buffers, the same for all tasks of a job. */
typedef struct {
    i64 tile, tiles, lines, bands, slots, ring, pitch, slabs;
    size_t bytes;
} FN(Plan);

static i64 FN(up)(i64 n) { return (n + N - 1) / N * N; }

static FN(Plan) FN(plan_direct)(const Job *p) {
    FN(Plan) q;
    const i64 lines = (p->rows + p->dy - 1) / p->dy; /* output rows of one class modulo the dilation */
    q.slabs = p->terms ? p->terms : p->sum * p->kd;
    q.slots = p->terms ? p->terms : p->sum * ((p->kd - 1) * p->dz + 1);
    q.bands = p->bands < lines ? p->bands : lines;
    q.lines = (lines + q.bands - 1) / q.bands;
    q.bands = (lines + q.lines - 1) / q.lines;
    q.ring = p->depth > 1 ? q.lines + p->kh - 1 : p->kh + 3;
    i64 most = (384 << 10) / (i64)sizeof(T) / (q.slots * q.ring); /* the ring stays in the second-level cache */
    most = most < 512 ? 512 : most > 8192 ? 8192 : most;
    q.tiles = (p->cols + most - 1) / most;
    q.tile = FN(up)((p->cols + q.tiles - 1) / q.tiles);
    q.tiles = (p->cols + q.tile - 1) / q.tile;
    q.pitch = FN(up)(q.tile + (p->kw - 1) * p->dx) + N * V;
    q.bytes = sizeof(T) * (q.slots * q.ring * q.pitch + 4 * q.tile + q.tile + (p->kr + 1) * p->dr + 2 * N * V);
    q.bytes += 8 * (q.slabs * (p->kh + 3) + 2 * q.slots + 8);
    return q;
}

static void FN(direct)(const void *job, i64 task, void *scratch) {
    const Job *p = job;
    const FN(Plan) q = FN(plan_direct)(p);
    const T *w = p->w, *taps = p->taps;
    const i64 reach = (p->kd - 1) * p->dz + 1, kh = p->kh;
    T *ring = scratch, *lines_out = ring + q.slots * q.ring * q.pitch, *line = lines_out + 4 * q.tile;
    const T **rows = (const T **)(line + FN(up)(q.tile + (p->kr + 1) * p->dr) + N * V);
    i64 *held = (i64 *)(rows + q.slabs * (kh + 3)), *top = held + q.slots;

    const i64 c0 = task % q.tiles * q.tile, wide = p->cols - c0 < q.tile ? p->cols - c0 : q.tile;
    task /= q.tiles;
    const i64 odd = task % p->dy, band = task / p->dy % q.bands, plane = task / p->dy / q.bands;
    const i64 lines = (p->rows - odd + p->dy - 1) / p->dy;
    const i64 m0 = band * q.lines, m1 = m0 + q.lines < lines ? m0 + q.lines : lines;
    const i64 columns = wide + (p->terms ? 0 : (p->kw - 1) * p->dx);
    const void *x = element(p, p->x, plane / p->maps * p->xn + plane % p->maps * p->xc);
    for (i64 s = 0; s < q.slots; s++) held[s] = -1;
    const int past = !p->bytes_y && p->images * p->maps * p->filters * p->depth * p->rows * p->cols * (i64)sizeof(T) > LARGE;

    for (i64 z = 0; z < p->depth; z++) {
        const int most = kh < 3 ? (int)kh + 1 : 4;
        for (i64 m = m0; m < m1;) {
            const int R = m1 - m < most ? (int)(m1 - m) : most;
            for (i64 s = 0; s < q.slabs; s++) {
                const i64 channel = p->terms ? 0 : s / p->kd, at = z + (p->terms ? 0 : s % p->kd * p->dz);
                const i64 slot = p->terms ? s : channel * reach + at % reach, from = p->zmap[at];
                const T **mine = rows + s * (kh + R - 1);
                if (from < 0) {
                    mine[0] = NULL;
                    continue;
                }
                if (held[slot] != at) held[slot] = at, top[slot] = m0;
                const void *source = element(p, x, channel * p->xc + from * p->xz);
                T *base = ring + slot * q.ring * q.pitch;
                for (i64 t; (t = top[slot]) < m + R + kh - 1; top[slot]++) {
                    T *to = base + (t - m0) % q.ring * q.pitch;
                    if (p->terms) {
                        FN(fetch)(p, line, source, odd + t * p->dy, c0, wide + (p->kr - 1) * p->dr);
                        FN(pass)(line, to, taps + s * p->kr, p->kr, p->dr, wide);
                    } else
                        FN(fetch)(p, to, source, odd + t * p->dy, c0, columns);
                }
                for (i64 t = 0; t < kh + R - 1; t++) mine[t] = base + (m + t - m0) % q.ring * q.pitch;
            }
            for (i64 f = 0; f < p->filters; f++) {
                const T *weights = w + f * q.slabs * kh * p->kw;
                const i64 first = (((plane * p->filters + f) * p->depth + z) * p->rows + odd + m * p->dy) * p->cols + c0;
                const i64 to = p->bytes_y ? FN(up)(wide) : wide, pitch = p->bytes_y ? q.tile : p->dy * p->cols;
                T *out = p->bytes_y ? lines_out : (T *)p->y + first;
                i64 c = FN(wide)[R - 1](rows, 0, to, weights, q.slabs, kh, p->kw, p->dx, out, pitch, past);
                c = FN(narrow)[R - 1](rows, c, to, weights, q.slabs, kh, p->kw, p->dx, out + c, pitch, past);
                if (p->bytes_y)
                    for (int r = 0; r < R; r++) FN(store)(p, first + r * p->dy * p->cols, lines_out + r * pitch, wide);
                else if (c < wide) { /* what does not fill a vector */
                    FN(narrow)[R - 1](rows, c, c + N, weights, q.slabs, kh, p->kw, p->dx, lines_out, N, 0);
                    for (int r = 0; r < R; r++) FN(store)(p, first + r * pitch + c, lines_out + r * N, wide - c);
                }
            }
            m += R;
        }
    }
    if (past) FENCE();
}

static int FN(all)(const Job *p) {
    const FN(Plan) q = FN(plan_direct)(p);
    return share(FN(direct), p, p->images * p->maps * q.bands * p->dy * q.tiles, q.bytes, (int)p->threads);
}
