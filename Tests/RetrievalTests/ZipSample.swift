import TestSupport

/// Writes a ZIP archive, as few bytes of it as readers need.
struct ZipSample {
    struct File {
        var name: String
        var bytes: [UInt8]
        /// What the directory says of the size; nil for the truth.
        var claims: Int?
        var isDeflated = false
        var flags: UInt16 = 0
    }

    static func archive(_ files: [(String, String)]) -> [UInt8] {
        archive(files.map { File(name: $0.0, bytes: Array($0.1.utf8)) })
    }

    static func archive(_ files: [File]) -> [UInt8] {
        var bytes: [UInt8] = []
        var directory: [UInt8] = []
        for file in files {
            let packed = file.isDeflated ? deflated(file.bytes) : file.bytes
            let head =
                two(20) + two(file.flags) + two(file.isDeflated ? 8 : 0) + four(0)
                + four(crc32(file.bytes)) + four(UInt32(packed.count))
                + four(UInt32(file.claims ?? file.bytes.count)) + two(UInt16(file.name.utf8.count))
                + two(0)
            directory += four(0x0201_4B50) + two(20) + head + two(0) + two(0) + two(0) + four(0)
            directory += four(UInt32(bytes.count)) + Array(file.name.utf8)
            bytes += four(0x0403_4B50) + head + Array(file.name.utf8) + packed
        }
        let count = two(UInt16(files.count))
        let start = UInt32(bytes.count)
        return bytes + directory + four(0x0605_4B50) + two(0) + two(0) + count + count
            + four(UInt32(directory.count)) + four(start) + two(0)
    }

    /// Deflate's own way of storing, in one block.
    private static func deflated(_ bytes: [UInt8]) -> [UInt8] {
        let count = UInt16(bytes.count)
        return [1] + two(count) + two(~count) + bytes
    }

    private static func two(_ number: UInt16) -> [UInt8] {
        [UInt8(number & 0xFF), UInt8(number >> 8)]
    }

    private static func four(_ number: UInt32) -> [UInt8] {
        two(UInt16(number & 0xFFFF)) + two(UInt16(number >> 16))
    }
}
