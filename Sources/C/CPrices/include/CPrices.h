#pragma once

#include <stddef.h>

/// The built-in price book: the bytes of Sources/Accounting/prices.json as they were at build time.
const unsigned char *_Nonnull heptad_prices(size_t *_Nonnull count);
