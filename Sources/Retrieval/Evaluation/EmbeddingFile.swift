package import Core
import Foundation
import Synchronization

/// An embedder that keeps what another has made in a file, so that measuring a second time does not
/// embed a second time. For measuring only: what is searched has its vectors in the database.
///
/// The file has one record for each text: 16 bytes that tell the text, then the vector. A record
/// that was cut off at the end is made again.
package final class EmbeddingFile: Embedder {
    private struct Key: Hashable {
        let first: UInt64
        let second: UInt64
    }

    private struct State {
        var places: [Key: Int] = [:]
        var values: [Float] = []
        var made = 0
    }

    private let embedder: any Embedder
    private let candidate: String
    private let dimensions: Int
    private let path: String
    private let state: Mutex<State>

    /// - Parameter candidate: whose vectors they are; another model needs another file.
    package init(_ embedder: any Embedder, candidate: String, dimensions: Int, path: String) {
        self.embedder = embedder
        self.candidate = candidate
        self.dimensions = max(1, dimensions)
        self.path = path
        state = Mutex(Self.read(path, dimensions: max(1, dimensions)))
    }

    /// How many texts were not in the file.
    package var made: Int { state.withLock { $0.made } }

    package func embed(_ request: EmbeddingRequest) async throws -> Embeddings {
        let keys = request.texts.map(Self.key)
        let missing = state.withLock { state in
            keys.indices.filter { state.places[keys[$0]] == nil }
        }
        if !missing.isEmpty {
            let made = try await embedder.embed(
                EmbeddingRequest(
                    principal: request.principal, model: request.model,
                    texts: missing.map { request.texts[$0] }, purpose: request.purpose))
            guard made.dimensions == dimensions, made.count == missing.count else {
                throw Failure(.upstream, "The embedding model answered with something unusable.")
            }
            try keep(missing.map { keys[$0] }, made.values)
        }
        let values = state.withLock { state in
            keys.flatMap { key -> ArraySlice<Float> in
                guard let place = state.places[key] else { return [] }
                return state.values[place..<place + dimensions]
            }
        }
        return Embeddings(
            candidate: candidate, dimensions: dimensions, values: values,
            usage: TokenUsage())
    }

    private func keep(_ keys: [Key], _ values: [Float]) throws {
        var bytes = Data()
        for (row, key) in keys.enumerated() {
            withUnsafeBytes(of: key.first.littleEndian) { bytes.append(contentsOf: $0) }
            withUnsafeBytes(of: key.second.littleEndian) { bytes.append(contentsOf: $0) }
            values[row * dimensions..<(row + 1) * dimensions].withUnsafeBytes {
                bytes.append(contentsOf: $0)
            }
        }
        state.withLock { state in
            state.made += keys.count
            for (row, key) in keys.enumerated() where state.places[key] == nil {
                state.places[key] = state.values.count
                state.values += values[row * dimensions..<(row + 1) * dimensions]
            }
        }
        try append(bytes)
    }

    /// Where nothing can be written the next run embeds once more, which is no reason to fail.
    private func append(_ bytes: Data) throws {
        if !FileManager.default.fileExists(atPath: path) {
            guard FileManager.default.createFile(atPath: path, contents: nil) else { return }
        }
        guard let file = FileHandle(forWritingAtPath: path) else { return }
        defer { try? file.close() }
        let end = try file.seekToEnd()
        let record = UInt64(Self.recordBytes(dimensions))
        try file.truncate(atOffset: end / record * record)
        try file.write(contentsOf: bytes)
    }

    private static func recordBytes(_ dimensions: Int) -> Int { 16 + dimensions * 4 }

    private static func read(_ path: String, dimensions: Int) -> State {
        var state = State()
        guard let data = FileManager.default.contents(atPath: path) else { return state }
        let record = recordBytes(dimensions)
        data.withUnsafeBytes { bytes in
            for start in stride(from: 0, to: bytes.count / record * record, by: record) {
                let key = Key(
                    first: bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self),
                    second: bytes.loadUnaligned(fromByteOffset: start + 8, as: UInt64.self))
                state.places[key] = state.values.count
                for place in 0..<dimensions {
                    state.values.append(
                        bytes.loadUnaligned(
                            fromByteOffset: start + 16 + place * 4, as: Float.self))
                }
            }
        }
        return state
    }

    /// FNV-1a twice, from two beginnings: plenty to tell the texts of one data set.
    private static func key(_ text: String) -> Key {
        func hash(_ start: UInt64) -> UInt64 {
            text.utf8.reduce(start) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        }
        return Key(first: hash(0xCBF2_9CE4_8422_2325), second: hash(0x9E37_79B9_7F4A_7C15))
    }
}
