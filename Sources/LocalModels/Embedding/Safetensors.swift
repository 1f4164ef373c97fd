import Core

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The tensors of a safetensors file, which stay where they are in the mapped file: eight bytes that
/// say how long the header is, the header in JSON, then the tensors without gaps.
struct Safetensors: Sendable {
    struct Tensor: Sendable, Equatable {
        let type: String
        let shape: [Int]
        /// Where it lies in the file.
        let bytes: Range<Int>
    }

    /// A header of a model with 2,000 tensors has 200 KB.
    static let headerBytesMax = 8 << 20
    static let tensorsMax = 20_000
    static let dimensionsMax = 8

    let tensors: [String: Tensor]
    private let file: MappedModel

    /// Reads the header only. Throws `invalid` when it does not describe exactly the bytes that
    /// follow it.
    init(_ file: MappedModel) throws {
        self.file = file
        let problem = { (what: String) in
            Failure(.invalid, "\(file.name) is damaged: \(what). Fetch it again.")
        }
        guard file.bytes.count >= 8 else { throw problem("it has no header") }
        let length = UInt64(littleEndian: file.bytes.loadUnaligned(as: UInt64.self))
        guard length <= UInt64(Self.headerBytesMax) else {
            throw problem("its header would have \(length) bytes, at most \(Self.headerBytesMax)")
        }
        let dataStart = 8 + Int(length)
        guard dataStart <= file.bytes.count else { throw problem("its header is cut off") }

        let header: Header
        do {
            header = try JSONDecoder().decode(
                Header.self, from: Data(file.bytes[8..<dataStart]))
        } catch {
            throw Failure(
                .invalid,
                "\(file.name) is damaged: its header is not what it should be. Fetch it again.",
                cause: error)
        }
        guard header.entries.count <= Self.tensorsMax else {
            throw problem("it has more than \(Self.tensorsMax) tensors")
        }
        var tensors: [String: Tensor] = [:]
        for (name, entry) in header.entries {
            guard let tensor = entry.tensor(from: dataStart, to: file.bytes.count) else {
                throw problem("the size of tensor \(name.prefix(100)) does not fit its place")
            }
            tensors[name] = tensor
        }
        // In a sound file each tensor begins where the one before it ends, and the last one ends the
        // file. That also catches a file that was cut off.
        var end = dataStart
        let inOrder = tensors.values.map(\.bytes).sorted {
            ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound)
        }
        for bytes in inOrder {
            guard bytes.lowerBound == end else {
                throw problem("its tensors overlap or leave gaps")
            }
            end = bytes.upperBound
        }
        guard end == file.bytes.count else { throw problem("it is longer than its tensors") }
        self.tensors = tensors
    }

    /// The numbers of a tensor in single precision; valid as long as the mapped file. Throws
    /// `invalid` when it is missing or has another shape, `unsupported` when it is stored otherwise.
    func floats(_ name: String, _ shape: [Int]) throws -> UnsafePointer<Float> {
        guard let tensor = tensors[name] else {
            throw Failure(.invalid, "\(file.name) is no model that runs here: it has no \(name).")
        }
        guard tensor.shape == shape else {
            throw Failure(
                .invalid, "\(file.name): \(name) has shape \(tensor.shape), expected \(shape).")
        }
        guard tensor.type == "F32" else {
            throw Failure(
                .unsupported, "\(file.name) stores \(name) as \(tensor.type); only F32 runs here.")
        }
        guard let start = file.bytes[tensor.bytes].withMemoryRebound(to: Float.self, \.baseAddress),
            UInt(bitPattern: start) % UInt(MemoryLayout<Float>.alignment) == 0
        else {
            throw Failure(
                .unsupported, "\(file.name) is not aligned; save it again with a current library.")
        }
        return start
    }
}

/// The header as it is written; what it says is checked by `Entry.tensor(from:to:)`.
private struct Header: Decodable {
    var entries: [String: Entry] = [:]

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Name.self)
        for name in container.allKeys where name.stringValue != "__metadata__" {
            entries[name.stringValue] = try container.decode(Entry.self, forKey: name)
        }
    }

    struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    struct Entry: Decodable {
        let dtype: String
        let shape: [Int]
        let dataOffsets: [Int]

        enum CodingKeys: String, CodingKey {
            case dtype, shape
            case dataOffsets = "data_offsets"
        }

        /// Nil when shape and offsets contradict each other or the file.
        func tensor(from dataStart: Int, to fileEnd: Int) -> Safetensors.Tensor? {
            guard let size = Self.sizes[dtype], shape.count <= Safetensors.dimensionsMax,
                dataOffsets.count == 2, dataOffsets[0] >= 0, dataOffsets[0] <= dataOffsets[1],
                dataOffsets[1] <= fileEnd - dataStart
            else { return nil }
            var bytes = size
            for dimension in shape {
                let (product, overflow) = bytes.multipliedReportingOverflow(by: dimension)
                guard dimension >= 0, !overflow else { return nil }
                bytes = product
            }
            guard bytes == dataOffsets[1] - dataOffsets[0] else { return nil }
            return Safetensors.Tensor(
                type: dtype, shape: shape,
                bytes: dataStart + dataOffsets[0]..<dataStart + dataOffsets[1])
        }

        private static let sizes = [
            "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2,
            "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
        ]
    }
}
