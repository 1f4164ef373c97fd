// For 64-bit ARM, where NEON and half-precision conversion are always there.
#if defined(__aarch64__)
#define KERNEL(name) neon_##name
#define HALF_IS_NATIVE 1
#define VECTOR_BYTES 16
#define TILE_ROWS 2
#include "portable.h"
#include "product.h"

const kernel_set kernel_set_neon = KERNEL_SET("neon");
#endif
