/* Compiled cross-correlation: the definition and 1-D passes (direct.h), long kernels by FFT (fft.h, fourier.h), on threads
 * of its own (pool.h), in float and double, for the best vectors that the processor at hand has. Needs GCC or Clang and
 * POSIX threads; knows nothing of Python: _native.py calls it through ctypes, which releases the interpreter's lock. */
#include <math.h>
#include <string.h>

#include "pool.h"
#include "job.h"

#define INLINE static inline __attribute__((always_inline))
#define JOIN(a, b) a##b
#define LATER(a, b) JOIN(a, b)
#define FN(name) LATER(name, SUFFIX)
enum { AHEAD = 4 }; /* rows that are asked for before they are needed */
#define UNROLL _Pragma("GCC unroll 16")
#define LOW_2 0, 2
#define HIGH_2 1, 3
#define LOW_4 0, 4, 1, 5
#define HIGH_4 2, 6, 3, 7
#define LOW_8 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_8 4, 12, 5, 13, 6, 14, 7, 15
#define LOW_16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define LOW(n) LATER(LOW_, n)
#define HIGH(n) LATER(HIGH_, n)
#if defined(__x86_64__) && !defined(__clang__)
#define KEEP(vector) __asm__("" : "+v"(vector))
#else
#define KEEP(vector) (void)0
#endif
enum { LARGE = 1 << 23 }; /* bytes of an answer that does not stay in the caches */
#if defined(__clang__)
#define STREAM(to, value) __builtin_nontemporal_store(value, to)
#elif defined(__x86_64__) /* GCC has one for each type and width */
#define STREAM(to, value) FN(stream)(to, value)
#define STREAM_float_16 __builtin_ia32_movntps
#define STREAM_float_32 __builtin_ia32_movntps256
#define STREAM_float_64 __builtin_ia32_movntps512
#define STREAM_double_16 __builtin_ia32_movntpd
#define STREAM_double_32 __builtin_ia32_movntpd256
#define STREAM_double_64 __builtin_ia32_movntpd512
#else
#define STREAM(to, value) (*(to) = value)
#endif
#if defined(__x86_64__)
#define FENCE() __builtin_ia32_sfence()
#else
#define FENCE() (void)0
#endif
#ifdef __clang__
#define SHUFFLE(mask, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(mask, a, b, ...) __builtin_shuffle(a, b, (mask){__VA_ARGS__})
#endif

/* Each inclusion of both.h makes two instances, with SUFFIX _f.. for float and _d.. for double, BYTES to a vector. */
#define BYTES 16
#define WIDE 2
#define NAME plain
#include "both.h"

#if defined(__x86_64__)
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define BYTES 32
#define WIDE 2
#define NAME avx2
#include "both.h"
#ifdef __clang__
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,prefer-vector-width=512")
#endif
#define BYTES 64
#define WIDE 4
#define NAME avx512
#include "both.h"
#ifdef __clang__
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512bf16,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx512bf16,avx2,fma,prefer-vector-width=512")
#endif
#include "depthwise.h"
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

static int level(void) {
#if defined(__x86_64__)
    static int found = -1;
    if (found < 0) {
        __builtin_cpu_init();
        const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        const int wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
        const char *most = getenv("HUBEL_SIMD"); /* plain, avx2: less than there is, for tests */
        found = avx2 ? 1 + wide : 0;
        if (most && !strcmp(most, "plain")) found = 0;
        if (most && !strcmp(most, "avx2") && found > 1) found = 1;
    }
    return found;
#else
    return 0;
#endif
}

#if defined(__x86_64__)
#define BEST(name, type) (level() == 2 ? name##_##type##avx512 : level() == 1 ? name##_##type##avx2 : name##_##type##plain)
#else
#define BEST(name, type) name##_##type##plain
#endif

/* What the vectors are: 0 plain, 1 AVX2, 2 AVX-512. */
int hubel_level(void) { return level(); }

/* The definition, or 1-D passes if job->terms. Returns 0, or 1 without memory. */
int hubel_direct(const Job *p) { return p->twice ? BEST(all, d)(p) : BEST(all, f)(p); }

/* By FFT on tiles of job->tile_y x job->tile_x. Returns 0, 1 without memory, 2 for an impossible tile. */
int hubel_fourier(const Job *p) { return p->twice ? BEST(fourier, d)(p) : BEST(fourier, f)(p); }

#if defined(__x86_64__)
/* Whether hubel_depthwise is for this processor. */
int hubel_has_depthwise(void) { return level() == 2 && __builtin_cpu_supports("avx512bf16"); }

/* Kernels 3 x 3 and 5 x 5, strides 1 and 2. */
void hubel_depthwise(const Depthwise *p) { depthwise(p); }
#else
int hubel_has_depthwise(void) { return 0; }
#endif
