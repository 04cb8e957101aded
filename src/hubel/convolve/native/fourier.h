/* Long kernels by FFT, on overlapping tiles that fit the cache (overlap-save). Included as direct.h is, after fft.h.
 *
 * Two tiles of x are the real and the imaginary part of one complex tile: the kernel is real, so their answers come apart
 * by themselves, and no real-input transform is needed. A series is a tile of consecutive samples and a twist (Bailey's
 * four steps, 1990). A spectrum is tile_y / N blocks of rows; in each, for every x, N real and N imaginary parts. */

typedef struct {
    const Job *job;
    FN(Line) along_y, along_x;
    T *twist, *kernels;
    i64 tiles_y, tiles_x, step_y, step_x, pairs, slabs, size, slots, lines;
    size_t bytes;
} FN(Transform);

enum { FN(TOGETHER) = 4 }; /* slabs of output whose products are summed at once */

/* Fill in what `turn` multiplies by. Position y along a column holds frequency ky, the digits of y reversed.
 * Returns 1 without memory. */
static int FN(frequencies)(const FN(Transform) *q) {
    const i64 ny = q->along_y.n, nx = q->along_x.n, n = ny * nx, fine = 64, coarse = n / fine + 1;
    double *roots = malloc((fine + coarse) * 2 * sizeof(double)); /* exp(-2 pi i m / n): of m's low and high digits */
    if (!roots) return 1;
    for (i64 i = 0; i < fine + coarse; i++) {
        const double angle = -6.283185307179586476925 * (double)(i < fine ? i : (i - fine) * fine) / (double)n;
        roots[2 * i] = cos(angle), roots[2 * i + 1] = sin(angle);
    }
    for (i64 y = 0; y < ny; y++) {
        i64 ky = 0, weight = 1, length = ny, position = y;
        for (i64 s = 0; s < q->along_y.stages; s++) {
            length /= q->along_y.radix[s];
            ky += weight * (position / length), position %= length, weight *= q->along_y.radix[s];
        }
        for (i64 x = 0; x < nx; x++) {
            const double *a = roots + 2 * (ky * x % fine), *b = roots + 2 * (fine + ky * x / fine);
            T *to = q->twist + (x / N * ny + y) * 2 * N + x % N;
            to[0] = (T)(a[0] * b[0] - a[1] * b[1]), to[N] = (T)(a[0] * b[1] + a[1] * b[0]);
        }
    }
    free(roots);
    return 0;
}

/* Multiply column block cb of a series' tile by exp(-+2 pi i ky x / n): what turns two dimensions into one. */
static void FN(turn)(const FN(Transform) *q, FN(vec) *column, i64 cb, const int sign) {
    const FN(vec) *t = (const FN(vec) *)q->twist + cb * q->along_y.n * 2;
    for (i64 y = 0; y < q->along_y.n; y++, column += 2, t += 2) {
        const FN(vec) re = column[0], im = column[1];
        column[0] = sign > 0 ? re * t[0] - im * t[1] : re * t[0] + im * t[1];
        column[1] = sign > 0 ? im * t[0] + re * t[1] : im * t[0] - re * t[1];
    }
}

/* Two real tiles (rows of tile_x values, `pitch` apart) to the spectrum of first + i second; second may be NULL. */
static void FN(spectrum)(const FN(Transform) *q, const T *first, const T *second, i64 pitch, FN(vec) *out, FN(vec) *column) {
    const i64 ny = q->along_y.n, nx = q->along_x.n;
    for (i64 cb = 0; cb < nx / N; cb++) {
        for (i64 y = 0; y < ny; y++) {
            column[2 * y] = *(const FN(vec) *)(first + y * pitch + cb * N);
            column[2 * y + 1] = second ? *(const FN(vec) *)(second + y * pitch + cb * N) : (FN(vec)){0};
        }
        FN(forward)(column, &q->along_y);
        if (q->twist) FN(turn)(q, column, cb, 1);
        for (i64 yb = 0; yb < ny / N; yb++)
            for (int part = 0; part < 2; part++)
                FN(transpose)(column + 2 * yb * N + part, 2, out + 2 * (yb * nx + cb * N) + part, 2);
    }
    for (i64 yb = 0; yb < ny / N; yb++) FN(forward)(out + 2 * yb * nx, &q->along_x);
}

/* The conjugate spectrum of one slab of one kernel, divided by the number of points. */
static void FN(kernel)(const void *transform, i64 task, void *scratch) {
    const FN(Transform) *q = transform;
    const Job *p = q->job;
    const i64 nx = q->along_x.n, ny = q->along_y.n;
    T *tile = scratch;
    const T *w = (const T *)p->w + task * p->kh * p->kw;
    memset(tile, 0, nx * ny * sizeof(T));
    for (i64 i = 0; i < p->kh; i++)
        for (i64 j = 0; j < p->kw; j++) tile[i * p->dy * nx + j * p->dx] = w[i * p->kw + j];
    FN(vec) *out = (FN(vec) *)(q->kernels + task * q->size);
    FN(spectrum)(q, tile, NULL, nx, out, (FN(vec) *)(tile + nx * ny));
    const T scale = (T)(1.0 / (double)(nx * ny));
    for (i64 i = 0; i < nx * ny / N; i++) out[2 * i] *= scale, out[2 * i + 1] *= -scale;
}

/* Fetch the padded tile whose first sample is (y0, x0); what lies beyond the padded x is zeros. */
static void FN(cut)(const FN(Transform) *q, const void *plane, i64 y0, i64 x0, T *to, i64 pitch) {
    const Job *p = q->job;
    const i64 nx = q->along_x.n, ny = q->along_y.n, wide = p->before + p->width + p->after;
    const i64 high = p->rows + (p->kh - 1) * p->dy;
    for (i64 y = 0; y < ny; y++, to += pitch) {
        const i64 row = q->twist ? 0 : y0 + y, from = q->twist ? x0 + y * nx : x0;
        i64 count = row < high ? wide - from : 0;
        count = count < 0 ? 0 : count > nx ? nx : count;
        if (count) FN(fetch)(p, to, plane, row, from, count);
        memset(to + count, 0, (nx - count) * sizeof(T));
    }
}

/* A product's spectrum to the outputs of its two tiles. at: where in y each begins, -1 for none. */
static void FN(answers)(const FN(Transform) *q, FN(vec) *product, FN(vec) *column, const i64 *at, const i64 *high,
                        const i64 *wide) {
    const Job *p = q->job;
    const i64 ny = q->along_y.n, nx = q->along_x.n;
    for (i64 yb = 0; yb < ny / N; yb++) FN(backward)(product + 2 * yb * nx, &q->along_x);
    for (i64 cb = 0; cb < nx / N; cb++) {
        for (i64 yb = 0; yb < ny / N; yb++)
            for (int part = 0; part < 2; part++)
                FN(transpose)(product + 2 * (yb * nx + cb * N) + part, 2, column + 2 * yb * N + part, 2);
        if (q->twist) FN(turn)(q, column, cb, -1);
        FN(backward)(column, &q->along_y);
        for (int part = 0; part < 2; part++) {
            if (at[part] < 0) continue;
            const i64 pitch = q->twist ? nx : p->cols;
            for (i64 y = 0; y < high[part]; y++) {
                i64 count = (q->twist ? wide[part] - y * nx : wide[part]) - cb * N;
                if (count <= 0) break;
                const i64 place = at[part] + y * pitch + cb * N;
                if (count >= N && !p->bytes_y) *(FN(loose) *)((T *)p->y + place) = column[2 * y + part];
                else FN(store)(p, place, (const T *)(column + 2 * y + part), count < N ? count : N);
            }
        }
    }
}

/* Sum over slabs of spectrum times kernel, for R slabs of output at once. */
INLINE void FN(multiply)(const FN(Transform) *q, FN(vec) *const *spectra, const T *kernels, FN(vec) *products, const int R) {
    const i64 depth = q->job->kd, positions = depth + R - 1, vectors = q->size / N;
    for (i64 i = 0; i < vectors; i += 2) {
        FN(vec) re[R], im[R];
        for (int r = 0; r < R; r++) re[r] = im[r] = (FN(vec)){0};
        for (i64 c = 0; c < q->job->sum; c++) {
            const FN(vec) *kernel = (const FN(vec) *)kernels + c * depth * vectors + i;
            for (i64 t = 0; t < positions; t++) {
                const FN(vec) *x = spectra[c * positions + t];
                if (!x) continue;
                const FN(vec) a = x[i], b = x[i + 1];
                for (int r = 0; r < R; r++) {
                    if (R > 1 && (t < r || t - r >= depth)) continue;
                    const FN(vec) u = kernel[(t - r) * vectors], v = kernel[(t - r) * vectors + 1];
                    re[r] += a * u - b * v, im[r] += a * v + b * u;
                }
            }
        }
        for (int r = 0; r < R; r++) products[r * vectors + i] = re[r], products[r * vectors + i + 1] = im[r];
    }
}

/* One pair of tiles through one band of slabs, all filters. */
static void FN(pair)(const void *transform, i64 task, void *scratch) {
    const FN(Transform) *q = transform;
    const Job *p = q->job;
    const i64 nx = q->along_x.n, ny = q->along_y.n, per_plane = q->tiles_y * q->tiles_x;
    const i64 items = p->images * p->maps * per_plane, z0 = task / q->pairs * q->lines;
    const i64 z1 = z0 + q->lines < p->depth ? z0 + q->lines : p->depth;
    const int together = p->dz == 1 && p->depth > 1 ? FN(TOGETHER) : 1;
    const i64 pitch = nx + N, reach = (p->kd - 1) * p->dz + together, vectors = q->size / N;
    T *tiles = scratch;
    FN(vec) *column = (FN(vec) *)(tiles + 2 * pitch * ny), *products = column + 2 * ny;
    FN(vec) *spectra = products + together * vectors, **used = (FN(vec) **)(spectra + q->slots * vectors);
    i64 *held = (i64 *)(used + p->sum * (p->kd + together)), plane[2], y0[2], x0[2], high[2], wide[2], at[2];
    for (i64 s = 0; s < q->slots; s++) held[s] = -1;
    for (int part = 0; part < 2; part++) {
        const i64 item = task % q->pairs * 2 + part;
        plane[part] = item < items ? item / per_plane : -1;
        y0[part] = item % per_plane / q->tiles_x * q->step_y, x0[part] = item % q->tiles_x * q->step_x;
        high[part] = q->twist ? ny : p->rows - y0[part] < q->step_y ? p->rows - y0[part] : q->step_y;
        wide[part] = p->cols - x0[part] < q->step_x ? p->cols - x0[part] : q->step_x;
    }
    for (i64 z = z0; z < z1; z += together) {
        const int outputs = z1 - z < together ? (int)(z1 - z) : together;
        const i64 positions = p->kd + outputs - 1;
        for (i64 c = 0; c < p->sum; c++)
            for (i64 t = 0; t < positions; t++) {
                const i64 position = z + t * p->dz, slot = c * reach + position % reach, from = p->zmap[position];
                FN(vec) *to = spectra + slot * vectors;
                used[c * positions + t] = from < 0 ? NULL : to;
                if (from < 0 || held[slot] == position) continue;
                held[slot] = position;
                for (int part = 0; part < 2; part++) {
                    if (plane[part] < 0) continue;
                    const i64 offset = plane[part] / p->maps * p->xn + plane[part] % p->maps * p->xc + c * p->xc + from * p->xz;
                    FN(cut)(q, element(p, p->x, offset), y0[part], x0[part], tiles + part * pitch * ny, pitch);
                }
                FN(spectrum)(q, tiles, plane[1] < 0 ? NULL : tiles + pitch * ny, pitch, to, column);
                const T *sums = (const T *)to; /* frequency 0 */
                if (!isfinite(sums[0]) || !isfinite(sums[N])) *p->nonfinite = 1;
            }
        for (i64 f = 0; f < p->filters; f++) {
            const T *kernels = q->kernels + f * q->slabs * q->size;
            if (outputs == 1) FN(multiply)(q, used, kernels, products, 1);
            else if (outputs == 2) FN(multiply)(q, used, kernels, products, 2);
            else if (outputs == 3) FN(multiply)(q, used, kernels, products, 3);
            else FN(multiply)(q, used, kernels, products, 4);
            for (int r = 0; r < outputs; r++) {
                for (int part = 0; part < 2; part++)
                    at[part] = plane[part] < 0 ? -1
                        : (((plane[part] * p->filters + f) * p->depth + z + r) * p->rows + y0[part]) * p->cols + x0[part];
                FN(answers)(q, products + r * vectors, column, at, high, wide);
            }
        }
    }
}

/* Returns 0, 1 without memory, 2 for a tile that no FFT here can do. */
static int FN(fourier)(const Job *p) {
    FN(Transform) q = {.job = p, .slabs = p->sum * p->kd};
    const i64 ny = p->tile_y, nx = p->tile_x, n = ny * nx;
    if (ny % N || nx % N) return 2;
    q.step_y = p->twist ? 1 : ny - (p->kh - 1) * p->dy;
    q.step_x = (p->twist ? n : nx) - (p->kw - 1) * p->dx;
    if (q.step_y < 1 || q.step_x < 1) return 2;
    q.tiles_y = (p->rows + q.step_y - 1) / q.step_y, q.tiles_x = (p->cols + q.step_x - 1) / q.step_x;
    q.pairs = (p->images * p->maps * q.tiles_y * q.tiles_x + 1) / 2;
    q.size = 2 * n + 4 * N; /* not a power of two: spectra side by side must not share cache sets */
    const i64 together = p->dz == 1 && p->depth > 1 ? FN(TOGETHER) : 1;
    q.slots = p->sum * ((p->kd - 1) * p->dz + together);
    q.lines = (p->depth + p->bands - 1) / p->bands;
    const i64 bands = (p->depth + q.lines - 1) / q.lines;
    q.bytes = sizeof(T) * (2 * (nx + N) * ny + 2 * ny * N + (together + q.slots) * q.size);
    q.bytes += 8 * (p->sum * (p->kd + together) + q.slots);
    int failed = 1;
    void *kernels = NULL, *twist = NULL;
    if (FN(prepare)(&q.along_y, ny) || FN(prepare)(&q.along_x, nx)) goto end;
    if (posix_memalign(&kernels, 64, p->filters * q.slabs * q.size * sizeof(T))) goto end;
    q.kernels = kernels;
    if (p->twist) {
        if (posix_memalign(&twist, 64, 2 * n * sizeof(T))) goto end;
        q.twist = twist;
        if (FN(frequencies)(&q)) goto end;
    }
    failed = share(FN(kernel), &q, p->filters * q.slabs, sizeof(T) * (n + 2 * ny * N), (int)p->threads) ||
             share(FN(pair), &q, q.pairs * bands, q.bytes, (int)p->threads);
end:
    free(q.along_y.twiddles), free(q.along_x.twiddles), free(kernels), free(twist);
    return failed;
}
