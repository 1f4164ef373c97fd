import CKernels
import Core
import Foundation

/// An inverted file over the rows of one matrix file: rows that are alike lie in one list, as codes,
/// and a search reads only the lists whose middles are nearest. Mapped and never changed.
///
/// Layout, little-endian: a page that starts with the numbers of `Header`; the middles of the lists as
/// 32-bit floats; where each list starts, and the end; the rows of the lists; the scales of their
/// codes; the codes. Each part begins at a multiple of 64 bytes.
struct ListFile: Sendable {
    let dimensions: Int
    let rowCount: Int
    let listCount: Int
    /// How many lists hold the nearest 10, 100 and 1000 of a question, nearly always.
    let probes: [Int]
    let bounds: vector_bounds
    /// The middles as they are searched.
    private let middles: RowCodes
    /// For each row of the matrix its place in the lists.
    let places: [Int32]
    private let data: Data
    private let layout: Layout

    /// What `probes` are measured for.
    static let depths = [10, 100, 1000]

    /// Maps the file at `path`. Nil where there is none, where it is damaged, or where it belongs to
    /// other rows than those of `matrix`: it is then made again.
    init?(path: String, of matrix: MatrixFile) {
        let url = URL(fileURLWithPath: path)
        guard let data = try? Data(contentsOf: url, options: .alwaysMapped),
            let header = Header(data), header.belongs(to: matrix)
        else { return nil }
        let layout = Layout(
            lists: header.listCount, rows: matrix.keys.count, dimensions: matrix.dimensions)
        guard data.count == layout.byteCount, header.body == Self.checksum(data, layout) else {
            return nil
        }
        dimensions = matrix.dimensions
        rowCount = matrix.keys.count
        listCount = header.listCount
        probes = header.probes
        bounds = header.bounds
        self.data = data
        self.layout = layout
        guard let places = Self.places(data, layout, listCount: listCount, rowCount: rowCount)
        else { return nil }
        self.places = places
        var middles = RowCodes(dimensions: dimensions)
        data.withUnsafeBytes { bytes in
            middles.append(
                Self.part(
                    bytes, layout.middles, header.listCount * matrix.dimensions, Float.self))
        }
        self.middles = middles
    }

    /// Lists in memory, where they lie in the file.
    struct View {
        let codes: CodeView
        let starts: UnsafeBufferPointer<UInt32>
        let rows: UnsafeBufferPointer<UInt32>

        func places(of list: Int) -> Range<Int> { Int(starts[list])..<Int(starts[list + 1]) }
    }

    func withView<Result>(_ use: (View) throws -> Result) rethrows -> Result {
        try data.withUnsafeBytes { bytes in
            let rowBytes = vector_stride(dimensions)
            return try use(
                View(
                    codes: CodeView(
                        codes: Self.part(bytes, layout.codes, rowCount * rowBytes, Int8.self),
                        scales: Self.part(bytes, layout.scales, rowCount, Float.self),
                        rowBytes: rowBytes, bounds: bounds),
                    starts: Self.part(bytes, layout.starts, listCount + 1, UInt32.self),
                    rows: Self.part(bytes, layout.rows, rowCount, UInt32.self)))
        }
    }

    /// The lists whose middles are nearest to `query`, nearest first. Their order need not be exact.
    func nearestLists(to query: [Float], limit: Int) -> [Int] {
        var sieves = [Sieve(query, bounds: [], limit: limit)]
        middles.withView { $0.scan(0..<listCount, &sieves) { _, place in place } }
        return sieves[0].roughlyBest.map(\.index)
    }

    /// How many lists to read for the nearest `limit` of a share of all rows. Nil where only reading
    /// all rows will do.
    func probeCount(limit: Int, share: Double) -> Int? {
        let depth = Double(max(limit, 1)) / max(share, 1e-9)
        guard depth <= Double(Self.depths[2]) else { return nil }
        let upper = Self.depths.firstIndex { depth <= Double($0) } ?? 2
        guard upper > 0 else { return probes[0] }
        let way = log(depth / Double(Self.depths[upper - 1])) / log(10)
        let low = Double(probes[upper - 1])
        return Int((low + (Double(probes[upper]) - low) * way).rounded(.up))
    }

    private static func part<Element>(
        _ bytes: UnsafeRawBufferPointer, _ start: Int, _ count: Int, _ type: Element.Type
    ) -> UnsafeBufferPointer<Element> {
        let end = start + count * MemoryLayout<Element>.stride
        return UnsafeRawBufferPointer(rebasing: bytes[start..<end]).bindMemory(to: type)
    }

    /// Nil where the lists do not hold every row once.
    private static func places(
        _ data: Data, _ layout: Layout, listCount: Int, rowCount: Int
    ) -> [Int32]? {
        data.withUnsafeBytes { bytes in
            let starts = part(bytes, layout.starts, listCount + 1, UInt32.self)
            let rows = part(bytes, layout.rows, rowCount, UInt32.self)
            guard starts[0] == 0, starts[listCount] == rowCount,
                (0..<listCount).allSatisfy({ starts[$0] <= starts[$0 + 1] })
            else { return nil }
            var places = [Int32](repeating: -1, count: rowCount)
            for (place, row) in rows.enumerated() {
                guard row < rowCount, places[Int(row)] < 0 else { return nil }
                places[Int(row)] = Int32(place)
            }
            return places
        }
    }
}

// MARK: Writing

extension ListFile {
    /// What was found out about the rows of a matrix.
    struct Content {
        /// One after the other.
        var middles: [Float]
        var starts: [UInt32]
        var rows: [UInt32]
        var probes: [Int] = []
    }

    /// Writes the lists of `matrix` to `path`, whole or not at all. `probes` is asked once the lists
    /// can be searched.
    static func write(
        to path: String, of matrix: MatrixFile, _ content: Content,
        probes: (View) -> [Int]
    ) throws {
        let (dimensions, listCount) = (matrix.dimensions, content.starts.count - 1)
        let layout = Layout(lists: listCount, rows: matrix.keys.count, dimensions: dimensions)
        var codes = RowCodes(dimensions: dimensions)
        matrix.withRows { rows in
            for row in content.rows {
                let start = Int(row) * dimensions
                codes.append(UnsafeBufferPointer(rebasing: rows[start..<start + dimensions]))
            }
        }
        var header = Header(matrix: matrix, listCount: listCount, bounds: codes.bounds)
        header.probes = content.starts.withUnsafeBufferPointer { starts in
            content.rows.withUnsafeBufferPointer { rows in
                codes.withView { probes(View(codes: $0, starts: starts, rows: rows)) }
            }
        }
        try WholeFile.write(to: path) { file in
            var sums: [UInt64] = []
            func put(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
                try file.seek(toOffset: UInt64(offset))
                try file.write(contentsOf: bytes)
                sums.append(vector_checksum(bytes.baseAddress, bytes.count))
            }
            try file.truncate(atOffset: UInt64(layout.byteCount))
            try content.middles.withUnsafeBytes { try put($0, at: layout.middles) }
            try content.starts.withUnsafeBytes { try put($0, at: layout.starts) }
            try content.rows.withUnsafeBytes { try put($0, at: layout.rows) }
            try codes.withView { view in
                try put(UnsafeRawBufferPointer(view.scales), at: layout.scales)
                try put(UnsafeRawBufferPointer(view.codes), at: layout.codes)
            }
            header.body = sums.withUnsafeBytes { vector_checksum($0.baseAddress, $0.count) }
            try header.bytes.withUnsafeBytes { try put($0, at: 0) }
        }
    }

    /// The checksum of the checksums of all parts.
    private static func checksum(_ data: Data, _ layout: Layout) -> UInt64 {
        let sums = data.withUnsafeBytes { bytes in
            layout.parts.map { part in
                vector_checksum(bytes.baseAddress.map { $0 + part.lowerBound }, part.count)
            }
        }
        return sums.withUnsafeBytes { vector_checksum($0.baseAddress, $0.count) }
    }

    /// Where the parts are.
    private struct Layout {
        let middles, starts, rows, scales, codes, byteCount: Int
        /// In the order in which they are written.
        let parts: [Range<Int>]

        static let page = 4096

        init(lists: Int, rows rowCount: Int, dimensions: Int) {
            func after(_ start: Int, _ bytes: Int) -> Int { (start + bytes + 63) / 64 * 64 }
            middles = Self.page
            starts = after(middles, lists * dimensions * 4)
            rows = after(starts, (lists + 1) * 4)
            scales = after(rows, rowCount * 4)
            codes = after(scales, rowCount * 4)
            byteCount = codes + rowCount * vector_stride(dimensions)
            parts = [
                middles..<middles + lists * dimensions * 4, starts..<starts + (lists + 1) * 4,
                rows..<rows + rowCount * 4, scales..<scales + rowCount * 4, codes..<byteCount,
            ]
        }
    }

    private struct Header {
        let rowCount, dimensions, listCount: Int
        let identity: UInt64
        let bounds: vector_bounds
        var probes: [Int] = []
        var body: UInt64 = 0

        private static let magic: UInt64 = 0x3130_4C56_5450_4548  // "HEPTVL01"
        private static let version: UInt64 = 1
        /// Inner products, which of unit vectors are cosines: the only one there is.
        private static let metric: UInt64 = 1
        private static let count = 14

        init(matrix: MatrixFile, listCount: Int, bounds: vector_bounds) {
            rowCount = matrix.keys.count
            dimensions = matrix.dimensions
            identity = matrix.identity
            self.listCount = listCount
            self.bounds = bounds
        }

        init?(_ data: Data) {
            guard data.count >= Layout.page else { return nil }
            let numbers = data.withUnsafeBytes { bytes in
                (0..<Self.count).map {
                    UInt64(
                        littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self))
                }
            }
            guard numbers[0] == Self.magic, numbers[1] == Self.version, numbers[2] == Self.metric,
                numbers[13] == Self.checksum(numbers), let dimensions = Int(exactly: numbers[3]),
                let rowCount = Int(exactly: numbers[4]), let listCount = Int(exactly: numbers[5]),
                (1...max(1, rowCount)).contains(listCount)
            else { return nil }
            self.dimensions = dimensions
            self.rowCount = rowCount
            self.listCount = listCount
            identity = numbers[6]
            bounds = vector_bounds(
                error: Float(bitPattern: UInt32(truncatingIfNeeded: numbers[7])),
                length: Float(bitPattern: UInt32(truncatingIfNeeded: numbers[8])))
            probes = numbers[9...11].map { Int(clamping: $0) }
            body = numbers[12]
        }

        func belongs(to matrix: MatrixFile) -> Bool {
            identity == matrix.identity && dimensions == matrix.dimensions
                && rowCount == matrix.keys.count
        }

        var bytes: [UInt64] {
            var numbers: [UInt64] = [
                Self.magic, Self.version, Self.metric, UInt64(dimensions), UInt64(rowCount),
                UInt64(listCount), identity, UInt64(bounds.error.bitPattern),
                UInt64(bounds.length.bitPattern),
            ]
            numbers += probes.map { UInt64($0) }
            numbers.append(body)
            numbers.append(Self.checksum(numbers))
            return numbers.map(\.littleEndian)
        }

        private static func checksum(_ numbers: [UInt64]) -> UInt64 {
            numbers.prefix(count - 1).withUnsafeBytes { vector_checksum($0.baseAddress, $0.count) }
        }
    }
}
