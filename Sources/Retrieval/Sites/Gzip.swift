import CZip
import Core

/// A file packed by gzip (RFC 1952), one member.
enum Gzip {
    static func isOne(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x1F, 0x8B, 8]) }

    private static let damaged = Failure(.invalid, "A packed file of the site is damaged.")

    /// Throws `tooLarge` where more would come out than `bytesMax`, `invalid` where it is damaged.
    static func unpacked(_ bytes: [UInt8], bytesMax: Int) throws -> [UInt8] {
        let reader = ByteReader(bytes)
        guard isOne(bytes), bytes.count >= 18, let size = reader.uint32(bytes.count - 4),
            let checksum = reader.uint32(bytes.count - 8)
        else { throw damaged }
        guard size <= bytesMax else {
            throw Failure(
                .tooLarge, "A packed file of the site is larger than \(bytesMax / 1_000_000) MB.")
        }
        let start = try bodyStart(bytes, reader)
        guard start <= bytes.count - 8 else { throw damaged }
        let packed = bytes[start..<(bytes.count - 8)]
        let unpacked = try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            let made = packed.withUnsafeBufferPointer { input in
                czip_inflate(input.baseAddress, input.count, buffer.baseAddress, size)
            }
            guard made == size else { throw damaged }
            count = made
        }
        let sum = unpacked.withUnsafeBufferPointer { czip_checksum($0.baseAddress, $0.count) }
        guard Int(sum) == checksum || unpacked.isEmpty else { throw damaged }
        return unpacked
    }

    /// Behind the header with its optional fields.
    private static func bodyStart(_ bytes: [UInt8], _ reader: ByteReader) throws -> Int {
        let flags = bytes[3]
        var place = 10
        if flags & 4 != 0 {
            guard let count = reader.uint16(place) else { throw damaged }
            place += 2 + count
        }
        // The name and the comment end with a zero byte.
        for flag in [UInt8(8), 16] where flags & flag != 0 {
            guard place < bytes.count, let end = bytes[place...].firstIndex(of: 0) else {
                throw damaged
            }
            place = end + 1
        }
        return flags & 2 != 0 ? place + 2 : place
    }
}
