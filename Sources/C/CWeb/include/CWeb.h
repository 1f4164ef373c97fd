// CWeb: the files of web/, and marked, as they are in the binary.
#pragma once

#include <stddef.h>

/// One embedded file. `bytes` lives as long as the process and is not terminated by a zero.
typedef struct {
    /// Absolute, as a browser asks for it: `/main.js`.
    const char *_Nonnull path;
    const unsigned char *_Nonnull bytes;
    size_t count;
} CWebFile;

/// How many files there are.
size_t CWebFileCount(void);

/// The file at `index`; it must be below `CWebFileCount()`.
CWebFile CWebFileAt(size_t index);
