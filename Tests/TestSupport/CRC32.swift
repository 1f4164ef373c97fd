/// The checksum of ZIP, gzip and AWS's event streams, bit by bit.
package func crc32(_ bytes: [UInt8]) -> UInt32 {
    var sum = UInt32.max
    for byte in bytes {
        sum ^= UInt32(byte)
        for _ in 0..<8 {
            let shifted = sum >> 1
            sum = sum & 1 == 1 ? shifted ^ 0xEDB8_8320 : shifted
        }
    }
    return ~sum
}
