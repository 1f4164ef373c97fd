import Core

/// Values of the metadata by key. What is missing, or of another kind, is thrown as `invalid`.
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

    /// A whole number, also where the file says it once for each layer. Nil when there is none;
    /// throws `unsupported` when layers differ.
    func integerOfAllLayers(_ key: String) throws -> Int? {
        guard case .array(let list)? = metadata[key], list.elementType == 4 || list.elementType == 5
        else { return try integerIfPresent(key) }
        let values = try integers(key) ?? []
        guard let first = values.first, values.allSatisfy({ $0 == first }) else {
            throw Failure(
                .unsupported,
                "\(file.name) cannot be run: its \(key) differs between layers, and a model with "
                    + "layers of one size would do.")
        }
        return Int(first)
    }

    func float(_ key: String) throws -> Double {
        guard let value = try floatIfPresent(key) else { throw missing(key) }
        return value
    }

    func floatIfPresent(_ key: String) throws -> Double? {
        switch metadata[key] {
        case nil: nil
        case .float(let value) where value.isFinite: value
        case .integer(let value): Double(value)
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
