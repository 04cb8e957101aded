/* Both types of one instruction set. NAME: its name; BYTES: of a vector; WIDE: vectors to a block of direct.h. */
#define V WIDE
#if BYTES == 64
#define FLOATS 16
#define DOUBLES 8
#elif BYTES == 32
#define FLOATS 8
#define DOUBLES 4
#else
#define FLOATS 4
#define DOUBLES 2
#endif

#define T float
#define N FLOATS
#define MASK int32_t
#define SUFFIX LATER(_f, NAME)
#include "direct.h"
#include "fft.h"
#include "fourier.h"
#undef T
#undef N
#undef MASK
#undef SUFFIX

#define T double
#define N DOUBLES
#define MASK int64_t
#define SUFFIX LATER(_d, NAME)
#include "direct.h"
#include "fft.h"
#include "fourier.h"
#undef T
#undef N
#undef MASK
#undef SUFFIX

#undef V
#undef FLOATS
#undef DOUBLES
#undef BYTES
#undef WIDE
#undef NAME
