#pragma once

#include <stddef.h>

/// Unpacks raw deflate data into `capacity` bytes at `output`. Returns how many bytes it made; -1
/// where the data is damaged, or memory is short; -2 where it does not fit.
long czip_inflate(const unsigned char *input, size_t count, unsigned char *output, size_t capacity);

/// The CRC-32 that ZIP archives keep of each file.
unsigned int czip_checksum(const unsigned char *bytes, size_t count);
