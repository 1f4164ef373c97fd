// For every processor, and what the other sets are tested against.
#define KERNEL(name) plain_##name
#define HALF_IS_NATIVE 0
#include "portable.h"

const kernel_set kernel_set_plain = KERNEL_SET("plain", plain_rows_dot_portable);
