import Core

/// The tables of a GGUF file, version 2 or 3: its metadata, and where its tensors are. Arrays stay
/// in the file, since a vocabulary has 50,000 strings.
///
/// The format is that of ggml's `docs/gguf.md`. Reading takes time in proportion to the tables, and
/// memory in proportion to the number of their entries, both of which have limits.
struct GGUF: Sendable {
    enum Value: Sendable, Equatable {
        case integer(Int)
        case float(Double)
        case boolean(Bool)
        case string(String)
        case array(List)
    }

    /// An array, as the place of its elements in the file.
    struct List: Sendable, Equatable {
        let elementType: UInt32
        let count: Int
        let bytes: Range<Int>
    }

    struct Tensor: Sendable, Equatable {
        let name: String
        let type: TensorType
        /// The length of a row, then how many rows: GGUF's own order.
        let columns: Int
        let rows: Int
        let bytes: Range<Int>
    }

    /// A tensor that no kernel can read, and why.
    struct UnreadableTensor: Sendable, Equatable {
        let name: String
        /// Such as "has the type IQ2_XXS".
        let reason: String
    }

    static let keyBytesMax = 1024
    static let stringBytesMax = 1 << 20
    /// What all keys, texts and tensor names may take together. Chat templates are the longest of
    /// them, of some 10 KB.
    static let textBytesMax = 1 << 24
    static let metadataMax = 10_000
    static let tensorsMax = 100_000
    /// Larger than any vocabulary. The strings of a list are walked one by one.
    static let listCountMax = 1 << 22
    /// Larger than any dimension of any model, small enough that products of three stay in 64 bits.
    static let dimensionMax = 1 << 20

    let file: MappedModel
    let metadata: [String: Value]
    let tensors: [String: Tensor]
    /// In the order of the file.
    let unreadableTensors: [UnreadableTensor]

    /// Throws `invalid` with what is wrong when the file is not GGUF, is truncated or contradicts
    /// itself, and `unsupported` for another version. Tensors that cannot be read are no error yet:
    /// who wants to run the model says all that is missing at once.
    init(_ file: MappedModel) throws {
        self.file = file
        var reader = GGUFReader(file)
        guard Array(file.bytes.prefix(4)) == Array("GGUF".utf8) else {
            throw Failure(.invalid, "\(file.name) is not a GGUF file.")
        }
        _ = try reader.bytes(4, "the magic number")
        try Self.checkVersion(&reader)
        let tensorCount = try reader.count("the number of tensors", limit: Self.tensorsMax)
        let metadataCount = try reader.count("the number of keys", limit: Self.metadataMax)

        var metadata: [String: Value] = [:]
        for _ in 0..<metadataCount {
            let key = try reader.name("a key", limit: Self.keyBytesMax)
            let type = UInt32(littleEndian: try reader.number(UInt32.self, "a type"))
            let value = try Self.value(type, of: key, from: &reader)
            guard metadata.updateValue(value, forKey: key) == nil else {
                throw reader.damaged("it has \(key) twice")
            }
        }
        self.metadata = metadata

        var alignment = 32
        if let value = metadata["general.alignment"] {
            guard case .integer(let stated) = value, (8...65_536).contains(stated),
                stated & (stated - 1) == 0
            else { throw reader.damaged("its alignment is \(value)") }
            alignment = stated
        }
        (tensors, unreadableTensors) = try Self.tensors(
            tensorCount, alignment: alignment, from: &reader)
    }

    static func damaged(_ name: String, _ what: String) -> Failure {
        Failure(
            .invalid,
            "The model file \(name) is damaged: \(what). Fetch it again from where it came from.")
    }

    /// Versions 2 and 3 differ in that 3 may also be written with the most significant byte first;
    /// version 1 had counts of another size.
    private static func checkVersion(_ reader: inout GGUFReader) throws {
        let version = UInt32(littleEndian: try reader.number(UInt32.self, "the version"))
        guard !(2...3).contains(version) else { return }
        let name = reader.file.name
        throw Failure(
            .unsupported,
            version.byteSwapped < 1 << 16
                ? "\(name) has the byte order of big-endian machines; a little-endian GGUF file "
                    + "would do."
                : "\(name) is GGUF version \(version); versions 2 and 3 can be read.")
    }

    private static func value(_ type: UInt32, of key: String, from reader: inout GGUFReader) throws
        -> Value
    {
        switch type {
        case 0: return .integer(Int(try reader.number(UInt8.self, key)))
        case 1: return .integer(Int(try reader.number(Int8.self, key)))
        case 2: return .integer(Int(UInt16(littleEndian: try reader.number(UInt16.self, key))))
        case 3: return .integer(Int(Int16(littleEndian: try reader.number(Int16.self, key))))
        case 4: return .integer(Int(UInt32(littleEndian: try reader.number(UInt32.self, key))))
        case 5: return .integer(Int(Int32(littleEndian: try reader.number(Int32.self, key))))
        case 6:
            let bits = UInt32(littleEndian: try reader.number(UInt32.self, key))
            return .float(Double(Float(bitPattern: bits)))
        case 7: return .boolean(try reader.number(UInt8.self, key) != 0)
        case 8: return .string(try reader.string(key))
        case 9: return .array(try list(key, from: &reader))
        case 10: return .integer(try reader.count(key, limit: .max))
        case 11: return .integer(Int(Int64(littleEndian: try reader.number(Int64.self, key))))
        case 12:
            let bits = UInt64(littleEndian: try reader.number(UInt64.self, key))
            return .float(Double(bitPattern: bits))
        default: throw reader.damaged("\(key) has the unknown type \(type)")
        }
    }

    private static func list(_ key: String, from reader: inout GGUFReader) throws -> List {
        let type = UInt32(littleEndian: try reader.number(UInt32.self, key))
        let count = try reader.count("the length of \(key)", limit: listCountMax)
        let start = reader.offset
        if let size = elementBytes[type] {
            _ = try reader.bytes(count * size, key)
        } else if type == 8 {
            for _ in 0..<count { _ = try reader.stringBytes(key) }
        } else {
            // Lists of lists are in the format, and no model has any.
            throw reader.damaged("\(key) is a list of the unknown type \(type)")
        }
        return List(elementType: type, count: count, bytes: start..<reader.offset)
    }

    private static let elementBytes: [UInt32: Int] = [
        0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8,
    ]
}

// MARK: Tensors

extension GGUF {
    private struct Entry {
        let name: String
        let columns: Int
        let rows: Int
        let isFlat: Bool
        let type: UInt32
        let offset: UInt64
    }

    private static func tensors(_ count: Int, alignment: Int, from reader: inout GGUFReader) throws
        -> ([String: Tensor], [UnreadableTensor])
    {
        var entries: [Entry] = []
        for _ in 0..<count { entries.append(try entry(from: &reader)) }
        let start = (reader.offset + alignment - 1) / alignment * alignment

        var tensors: [String: Tensor] = [:]
        var unreadable: [UnreadableTensor] = []
        var names: Set<String> = []
        for entry in entries {
            guard names.insert(entry.name).inserted else {
                throw reader.damaged("it has the tensor \(entry.name) twice")
            }
            guard let type = TensorType(rawValue: entry.type) else {
                let reason = "has the type \(TensorType.name(of: entry.type))"
                unreadable.append(UnreadableTensor(name: entry.name, reason: reason))
                continue
            }
            guard entry.isFlat else {
                let reason = "has more than two dimensions"
                unreadable.append(UnreadableTensor(name: entry.name, reason: reason))
                continue
            }
            guard entry.columns % type.block.count == 0 else {
                throw reader.damaged("the rows of \(entry.name) do not divide into blocks")
            }
            let size = type.rowBytes(columns: entry.columns) * entry.rows
            let fileBytes = reader.file.bytes.count
            guard entry.offset % UInt64(alignment) == 0,
                let offset = Int(exactly: entry.offset), offset <= fileBytes,
                start + offset <= fileBytes, size <= fileBytes - start - offset
            else { throw reader.damaged("the tensor \(entry.name) is not inside it") }
            tensors[entry.name] = Tensor(
                name: entry.name, type: type, columns: entry.columns, rows: entry.rows,
                bytes: start + offset..<start + offset + size)
        }
        try checkOverlaps(tensors, reader)
        return (tensors, unreadable)
    }

    private static func checkOverlaps(_ tensors: [String: Tensor], _ reader: GGUFReader) throws {
        let sorted = tensors.values.sorted { $0.bytes.lowerBound < $1.bytes.lowerBound }
        for (one, next) in zip(sorted, sorted.dropFirst())
        where one.bytes.upperBound > next.bytes.lowerBound {
            throw reader.damaged("its tensors \(one.name) and \(next.name) overlap")
        }
    }

    private static func entry(from reader: inout GGUFReader) throws -> Entry {
        let name = try reader.name("a tensor's name", limit: 256)
        let rank = UInt32(littleEndian: try reader.number(UInt32.self, name))
        guard (1...4).contains(rank) else {
            throw reader.damaged("the tensor \(name) has \(rank) dimensions")
        }
        var dimensions: [Int] = []
        for _ in 0..<rank {
            let dimension = try reader.count("a dimension of \(name)", limit: dimensionMax)
            guard dimension > 0 else { throw reader.damaged("the tensor \(name) is empty") }
            dimensions.append(dimension)
        }
        let type = UInt32(littleEndian: try reader.number(UInt32.self, name))
        let offset = UInt64(littleEndian: try reader.number(UInt64.self, name))
        return Entry(
            name: name, columns: dimensions[0], rows: dimensions.count > 1 ? dimensions[1] : 1,
            isFlat: dimensions.dropFirst(2).allSatisfy { $0 == 1 }, type: type, offset: offset)
    }
}
