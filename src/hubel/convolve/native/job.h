/* What a call asks for. Sizes and strides count elements; ctypes fills this in (see _native.py), field by field. */
typedef struct {
    const void *x;    /* images x maps x sum planes, or volumes, at any strides */
    void *y;          /* images x maps x filters x depth x rows x cols, contiguous */
    const void *w;    /* filters x sum x kd x kh x kw; of passes: terms x kh, the columns */
    const void *taps; /* of passes: terms x kr, the rows; else NULL */
    const i64 *zmap, *ymap; /* where each padded slab and row comes from; -1: zeros */
    const i64 *xmap;        /* the same for the padded columns before and after x only */
    i64 *nonfinite;         /* becomes 1 where an FFT met NaN or infinity, which it smears over a tile */
    i64 bytes_x, bytes_y;   /* x is uint8; y is uint8, rounded and saturated */
    i64 twice;              /* computed in double */
    i64 threads;
    i64 images, maps, sum, filters;
    i64 xn, xc, xz, xy, xx; /* strides of x */
    i64 lines, width, before, after; /* rows and columns of x; what is padded to the columns */
    i64 depth, rows, cols;    /* of y */
    i64 kd, kh, kw, dz, dy, dx; /* kernel and its dilation */
    i64 terms, kr, dr;          /* passes; terms 0 if there are none */
    i64 tile_y, tile_x, twist;  /* of the FFT; twist: a tile holds consecutive samples of a series */
    i64 bands;                  /* parts that rows (of an FFT: slabs) are split into */
} Job;

static const unsigned char *element(const Job *p, const void *x, i64 offset) {
    return (const unsigned char *)x + offset * (p->bytes_x ? 1 : p->twice ? 8 : 4);
}
