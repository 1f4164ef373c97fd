import Core
import Foundation

/// A file of vectors, row after row, mapped and never changed once it is written: a newer one takes
/// its place by renaming, and whoever has this one mapped keeps it.
///
/// Layout, little-endian: a page that starts with magic, version, dimensions, rows and a checksum of
/// these and the keys; the keys, a number and a stamp for each row, filled up to a page; the rows as
/// 32-bit floats. Nothing else, so the length says whether the file is whole.
struct MatrixFile: Sendable {
    struct Key: Equatable, Sendable {
        let number: Int64
        let stamp: Int64
    }

    let dimensions: Int
    let keys: [Key]
    /// Tells this file's rows from those of any other.
    let identity: UInt64
    private let data: Data
    private let rowsOffset: Int

    private static let magic: UInt64 = 0x3130_5641_5450_4548  // "HEPTAV01"
    private static let page = 4096
    private static let dimensionsMax = 65536

    /// Maps the file at `path`. Nil where there is none, or where it is not one of these: it is then
    /// made again from the database.
    init?(path: String, dimensions: Int) {
        let url = URL(fileURLWithPath: path)
        guard let data = try? Data(contentsOf: url, options: .alwaysMapped),
            let header = Header(data), header.dimensions == dimensions,
            let layout = Layout(rows: header.rows, dimensions: dimensions),
            data.count == layout.byteCount
        else { return nil }
        keys = data.withUnsafeBytes { bytes in
            (0..<header.rows).map { row in
                let place = Self.page + row * 16
                return Key(
                    number: Self.integer(bytes, place), stamp: Self.integer(bytes, place + 8))
            }
        }
        guard header.checksum == Header.checksum(dimensions: dimensions, keys) else { return nil }
        identity = header.checksum
        self.dimensions = dimensions
        self.data = data
        rowsOffset = layout.rowsOffset
    }

    /// All rows, `keys.count x dimensions`.
    func withRows<Result>(_ use: (UnsafeBufferPointer<Float>) throws -> Result) rethrows -> Result {
        try data.withUnsafeBytes { bytes in
            try use(
                UnsafeRawBufferPointer(rebasing: bytes[rowsOffset...]).assumingMemoryBound(
                    to: Float.self))
        }
    }

    /// Writes a file of these rows and puts it in the place of the one at `path`, whole or not at all.
    /// `row` is asked for each row in order.
    static func write(
        to path: String, dimensions: Int, keys: [Key], row: (Int) throws -> [Float]
    ) throws {
        guard let layout = Layout(rows: keys.count, dimensions: dimensions) else {
            throw Failure(.tooLarge, "There are more vectors than one index can hold.")
        }
        try WholeFile.write(to: path) { file in
            try file.write(contentsOf: head(dimensions: dimensions, keys, layout))
            var buffer = Data()
            for index in keys.indices {
                try row(index).withUnsafeBytes { buffer.append(contentsOf: $0) }
                guard buffer.count >= bufferBytes || index == keys.count - 1 else { continue }
                try file.write(contentsOf: buffer)
                buffer.removeAll(keepingCapacity: true)
            }
        }
    }

    private static let bufferBytes = 1 << 20

    private static func head(dimensions: Int, _ keys: [Key], _ layout: Layout) -> Data {
        var head = Data(count: layout.rowsOffset)
        let numbers: [UInt64] = [
            magic, 1, UInt64(dimensions), UInt64(keys.count),
            Header.checksum(dimensions: dimensions, keys),
        ]
        head.withUnsafeMutableBytes { bytes in
            for (place, number) in numbers.enumerated() {
                bytes.storeBytes(of: number.littleEndian, toByteOffset: place * 8, as: UInt64.self)
            }
            for (row, key) in keys.enumerated() {
                let place = page + row * 16
                bytes.storeBytes(of: key.number.littleEndian, toByteOffset: place, as: Int64.self)
                bytes.storeBytes(
                    of: key.stamp.littleEndian, toByteOffset: place + 8, as: Int64.self)
            }
        }
        return head
    }

    private static func integer(_ bytes: UnsafeRawBufferPointer, _ place: Int) -> Int64 {
        Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: Int64.self))
    }

    /// Where things are in a file of so many rows; nil where the sizes overflow.
    private struct Layout {
        let rowsOffset: Int
        let byteCount: Int

        init?(rows: Int, dimensions: Int) {
            guard rows >= 0, (1...dimensionsMax).contains(dimensions), rows < Int(Int32.max) else {
                return nil
            }
            let keyPages = (rows * 16 + page - 1) / page
            rowsOffset = page + keyPages * page
            byteCount = rowsOffset + rows * dimensions * MemoryLayout<Float>.stride
        }
    }

    private struct Header {
        let dimensions: Int
        let rows: Int
        let checksum: UInt64

        init?(_ data: Data) {
            guard data.count >= page else { return nil }
            let numbers = data.withUnsafeBytes { bytes in
                (0..<5).map { UInt64(bitPattern: integer(bytes, $0 * 8)) }
            }
            guard numbers[0] == magic, numbers[1] == 1, let rows = Int(exactly: numbers[3]),
                let dimensions = Int(exactly: numbers[2]), rows < data.count / 16
            else { return nil }
            self.dimensions = dimensions
            self.rows = rows
            checksum = numbers[4]
        }

        /// Not against forgery: against a file that was cut off, mixed up or damaged.
        static func checksum(dimensions: Int, _ keys: [Key]) -> UInt64 {
            var sum = UInt64(dimensions) &* 0x9E37_79B9_7F4A_7C15
            for key in keys {
                sum = (sum ^ UInt64(bitPattern: key.number)) &* 0x0000_0100_0000_01B3
                sum = (sum ^ UInt64(bitPattern: key.stamp)) &* 0x9E37_79B9_7F4A_7C15
                sum ^= sum >> 29
            }
            return sum
        }
    }
}
