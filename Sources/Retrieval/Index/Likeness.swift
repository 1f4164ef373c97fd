import Core
import Foundation
import GRDB

/// What two texts are compared by: a sketch of the runs of five words in each (MinHash, one permutation
/// in bins). The share of bins that agree estimates the share of runs that both have.
struct Likeness: Equatable, Sendable {
    static let binCount = 128
    /// From here on documents say nearly the same.
    static let similarFrom = 0.8
    /// Documents of an owner that a new one is compared with, the newest first.
    static let comparedMax = 20_000
    private static let runLength = 5
    private static let wordsMin = 20
    private static let empty = UInt32.max

    private(set) var minima = [UInt32](repeating: empty, count: binCount)

    /// Nil for a text of fewer than 20 words.
    init?(of scalars: [Unicode.Scalar]) {
        var hashes: [UInt64] = []
        var wordCount = 0
        var hash = Self.seed
        var isWord = false
        func finishWord(_ likeness: inout Likeness) {
            guard isWord else { return }
            wordCount += 1
            hashes.append(hash)
            if hashes.count > Self.runLength { hashes.removeFirst() }
            if hashes.count == Self.runLength { likeness.add(hashes) }
            (hash, isWord) = (Self.seed, false)
        }
        for scalar in scalars {
            guard scalar.properties.isAlphabetic || scalar.properties.numericType != nil else {
                finishWord(&self)
                continue
            }
            // Latin letters in one case; of others as they are.
            let isUpper = (0x41...0x5A).contains(scalar.value)
            hash = (hash ^ UInt64(isUpper ? scalar.value + 32 : scalar.value)) &* Self.prime
            isWord = true
        }
        finishWord(&self)
        guard wordCount >= Self.wordsMin else { return nil }
    }

    // FNV-1a, mixed once more where bins are chosen: its low bits alone are not even enough.
    private static let seed: UInt64 = 0xCBF2_9CE4_8422_2325
    private static let prime: UInt64 = 0x100_0000_01B3

    private mutating func add(_ words: [UInt64]) {
        var hash = words.reduce(Self.seed) { ($0 ^ $1) &* Self.prime }
        hash = (hash ^ hash >> 30) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ hash >> 27) &* 0x94D0_49BB_1331_11EB
        hash ^= hash >> 31
        let bin = Int(hash % UInt64(Self.binCount))
        minima[bin] = min(minima[bin], UInt32(hash >> 33))
    }

    /// From 0, nothing in common, to 1.
    func similarity(to other: Likeness) -> Double {
        var (same, used) = (0, 0)
        for (mine, its) in zip(minima, other.minima) where mine != Self.empty || its != Self.empty {
            used += 1
            if mine == its { same += 1 }
        }
        return used > 0 ? Double(same) / Double(used) : 0
    }

    // MARK: In the database

    /// Keeps the sketch, and with the document which other of the owner's it resembles most.
    func keep(for document: StoredDocument, _ database: Database) throws {
        let rows = try Row.fetchCursor(
            database,
            sql: """
                SELECT likeness.document, minima FROM likeness
                JOIN document ON document.number = likeness.document
                WHERE owner_id = ? AND likeness.document <> ?
                ORDER BY likeness.document DESC LIMIT \(Self.comparedMax)
                """, arguments: [document.owner, document.number])
        var best: (number: Int64, similarity: Double)?
        while let row = try rows.next() {
            guard let other = Likeness(row["minima"] as Data) else { continue }
            let similarity = similarity(to: other)
            if similarity >= Self.similarFrom, similarity > best?.similarity ?? 0 {
                best = (row["document"], similarity)
            }
        }
        try database.execute(
            sql: "UPDATE document SET similar_to = ? WHERE number = ?",
            arguments: [best?.number, document.number])
        try database.execute(
            sql: "INSERT OR REPLACE INTO likeness (document, minima) VALUES (?, ?)",
            arguments: [document.number, data])
    }

    private var data: Data {
        Data(minima.flatMap { minimum in withUnsafeBytes(of: minimum.bigEndian, Array.init) })
    }

    private init?(_ data: Data) {
        guard data.count == 4 * Self.binCount else { return nil }
        let bytes = [UInt8](data)
        minima = stride(from: 0, to: bytes.count, by: 4).map { place in
            bytes[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) }
        }
    }
}
