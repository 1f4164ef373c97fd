import Core

/// The tables of a GGUF file, version 3: its metadata, and where its tensors are. Arrays stay in
/// the file, since a vocabulary has 50,000 strings.
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

    static let stringBytesMax = 1 << 20
    static let metadataMax = 10_000
    static let tensorsMax = 100_000
    /// Larger than any dimension of any model, small enough that products of three stay in 64 bits.
    static let dimensionMax = 1 << 20

    let file: MappedModel
    let metadata: [String: Value]
    let tensors: [String: Tensor]

    /// Throws `invalid` with what is wrong when the file is not GGUF, is truncated or contradicts
    /// itself, and `unsupported` for another version or tensor type.
    init(_ file: MappedModel) throws {
        self.file = file
        var reader = GGUFReader(file)
        guard Array(file.bytes.prefix(4)) == Array("GGUF".utf8) else {
            throw Failure(.invalid, "\(file.name) is not a GGUF file.")
        }
        _ = try reader.bytes(4, "the magic number")
        let version = UInt32(littleEndian: try reader.number(UInt32.self, "the version"))
        guard version == 3 else {
            throw Failure(
                .unsupported, "\(file.name) is GGUF version \(version); only version 3 can be read."
            )
        }
        let tensorCount = try reader.count("the number of tensors", limit: Self.tensorsMax)
        let metadataCount = try reader.count("the number of keys", limit: Self.metadataMax)

        var metadata: [String: Value] = [:]
        for _ in 0..<metadataCount {
            let key = try reader.string("a key", limit: 65_535)
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
        tensors = try Self.tensors(tensorCount, alignment: alignment, from: &reader)
    }

    static func damaged(_ name: String, _ what: String) -> Failure {
        Failure(
            .invalid,
            "The model file \(name) is damaged: \(what). Fetch it again with `make models`.")
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
        let sizes: [UInt32: Int] = [
            0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8,
        ]
        let count = try reader.count("the length of \(key)", limit: reader.bytesLeft)
        let start = reader.offset
        if let size = sizes[type] {
            guard count <= reader.bytesLeft / size else {
                throw reader.damaged("it ends in the middle of \(key)")
            }
            _ = try reader.bytes(count * size, key)
        } else if type == 8 {
            for _ in 0..<count { _ = try reader.stringBytes(key) }
        } else {
            throw reader.damaged("\(key) is a list of the unknown type \(type)")
        }
        return List(elementType: type, count: count, bytes: start..<reader.offset)
    }

    private struct Entry {
        let name: String
        let type: TensorType
        let columns: Int
        let rows: Int
        let offset: UInt64
    }

    private static func tensors(_ count: Int, alignment: Int, from reader: inout GGUFReader) throws
        -> [String: Tensor]
    {
        var entries: [Entry] = []
        for _ in 0..<count { entries.append(try entry(from: &reader)) }
        let start = (reader.offset + alignment - 1) / alignment * alignment

        var tensors: [String: Tensor] = [:]
        for entry in entries {
            let rowBytes = try entry.type.rowBytes(columns: entry.columns, in: entry.name, reader)
            let size = rowBytes * entry.rows
            guard entry.offset % UInt64(alignment) == 0,
                let offset = Int(exactly: entry.offset), offset <= reader.file.bytes.count,
                start + offset <= reader.file.bytes.count,
                size <= reader.file.bytes.count - start - offset
            else { throw reader.damaged("the tensor \(entry.name) is not inside it") }
            let tensor = Tensor(
                name: entry.name, type: entry.type, columns: entry.columns, rows: entry.rows,
                bytes: start + offset..<start + offset + size)
            guard tensors.updateValue(tensor, forKey: entry.name) == nil else {
                throw reader.damaged("it has the tensor \(entry.name) twice")
            }
        }
        return tensors
    }

    private static func entry(from reader: inout GGUFReader) throws -> Entry {
        let name = try reader.string("a tensor's name", limit: 256)
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
        guard dimensions.dropFirst(2).allSatisfy({ $0 == 1 }) else {
            throw Failure(
                .unsupported,
                "\(reader.file.name) cannot be run: its tensor \(name) has \(rank) dimensions.")
        }
        let code = UInt32(littleEndian: try reader.number(UInt32.self, name))
        let type = try TensorType(code: code, of: name, in: reader.file.name)
        let offset = UInt64(littleEndian: try reader.number(UInt64.self, name))
        return Entry(
            name: name, type: type, columns: dimensions[0],
            rows: dimensions.count > 1 ? dimensions[1] : 1, offset: offset)
    }
}

extension GGUF {
    func integer(_ key: String) throws -> Int {
        guard let value = try integerIfPresent(key) else { throw missing(key) }
        return value
    }

    func integerIfPresent(_ key: String) throws -> Int? {
        switch metadata[key] {
        case nil: nil
        case .integer(let value): value
        case .some: throw Self.damaged(file.name, "\(key) is not a whole number")
        }
    }

    func float(_ key: String) throws -> Double {
        guard let value = try floatIfPresent(key) else { throw missing(key) }
        return value
    }

    func floatIfPresent(_ key: String) throws -> Double? {
        switch metadata[key] {
        case nil: nil
        case .float(let value) where value.isFinite: value
        case .some: throw Self.damaged(file.name, "\(key) is not a number")
        }
    }

    func string(_ key: String) throws -> String {
        guard let value = try stringIfPresent(key) else { throw missing(key) }
        return value
    }

    func stringIfPresent(_ key: String) throws -> String? {
        switch metadata[key] {
        case nil: nil
        case .string(let value): value
        case .some: throw Self.damaged(file.name, "\(key) is not a text")
        }
    }

    func boolean(_ key: String, default otherwise: Bool) throws -> Bool {
        switch metadata[key] {
        case nil: otherwise
        case .boolean(let value): value
        case .some: throw Self.damaged(file.name, "\(key) is not true or false")
        }
    }

    /// Where each string of a list is in the file. Nil when there is no such list.
    func strings(_ key: String) throws -> [Range<Int>]? {
        guard let value = metadata[key] else { return nil }
        guard case .array(let list) = value, list.elementType == 8 else {
            throw Self.damaged(file.name, "\(key) is not a list of texts")
        }
        var places: [Range<Int>] = []
        places.reserveCapacity(list.count)
        var offset = list.bytes.lowerBound
        for _ in 0..<list.count {
            let length = Int(file.bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            places.append(offset + 8..<offset + 8 + length)
            offset += 8 + length
        }
        return places
    }

    /// A list of 32-bit whole numbers. Nil when there is none.
    func integers(_ key: String) throws -> [Int32]? {
        guard let value = metadata[key] else { return nil }
        guard case .array(let list) = value, list.elementType == 4 || list.elementType == 5 else {
            throw Self.damaged(file.name, "\(key) is not a list of whole numbers")
        }
        return (0..<list.count).map {
            Int32(
                littleEndian: file.bytes.loadUnaligned(
                    fromByteOffset: list.bytes.lowerBound + 4 * $0, as: Int32.self))
        }
    }

    private func missing(_ key: String) -> Failure {
        Self.damaged(file.name, "it does not say \(key)")
    }
}
