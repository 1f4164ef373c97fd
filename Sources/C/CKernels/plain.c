// For any processor, and the reference for the others.
#define KERNEL(name) plain_##name
#define HALF_IS_NATIVE 0
#define VECTOR_BYTES 16
#define TILE_ROWS 2
#include "portable.h"
#include "product.h"

const kernel_set kernel_set_plain = KERNEL_SET("plain");
