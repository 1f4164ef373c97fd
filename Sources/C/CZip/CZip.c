#include "CZip.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

long czip_inflate(const unsigned char *input, size_t count, unsigned char *output, size_t capacity) {
    if (count > INT_MAX || capacity > INT_MAX) return -2;
    z_stream stream;
    memset(&stream, 0, sizeof(stream));
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return -1;
    // zlib wants an address even where there is nothing to write.
    unsigned char nothing;
    stream.next_in = (unsigned char *)input;
    stream.avail_in = (uInt)count;
    stream.next_out = capacity > 0 ? output : &nothing;
    stream.avail_out = (uInt)capacity;
    int status = inflate(&stream, Z_FINISH);
    long made = (long)stream.total_out;
    int isFull = stream.avail_out == 0;
    inflateEnd(&stream);
    if (status == Z_STREAM_END) return made;
    return status == Z_BUF_ERROR && isFull ? -2 : -1;
}

unsigned int czip_checksum(const unsigned char *bytes, size_t count) {
    if (bytes == NULL || count > INT_MAX) return 0;
    return (unsigned int)crc32(0, bytes, (uInt)count);
}
