import Core

/// What may be said of a collection or a document beside its name.
enum Metadata {
    static let entriesMax = 16
    static let keyMax = 64
    static let valueMax = 512
    static let tagsMax = 32

    static func check(_ metadata: [String: String]) throws {
        try check(metadata.mapValues { AttributeValue.string($0) })
    }

    static func check(_ attributes: [String: AttributeValue]) throws {
        guard attributes.count <= entriesMax else {
            throw Failure(.invalid, "There are more than \(entriesMax) keys.")
        }
        for (key, value) in attributes {
            guard (1...keyMax).contains(key.unicodeScalars.count), !key.hasPrefix("$") else {
                throw Failure(
                    .invalid,
                    "A key has 1 to \(keyMax) characters and does not begin with a dollar sign.")
            }
            if case .string(let text) = value, text.unicodeScalars.count > valueMax {
                throw Failure(
                    .invalid, "`\(key)` has a value of more than \(valueMax) characters.")
            }
            if case .number(let number) = value, !number.isFinite {
                throw Failure(.invalid, "`\(key)` is no number.")
            }
        }
    }

    static func check(tags: [String]) throws {
        guard tags.count <= tagsMax,
            tags.allSatisfy({ (1...keyMax).contains($0.unicodeScalars.count) })
        else {
            throw Failure(
                .invalid, "There are at most \(tagsMax) tags of 1 to \(keyMax) characters each.")
        }
    }
}

extension CollectionSettings {
    /// Throws `invalid` with a sentence that names the setting.
    func validate() throws {
        func check(_ isGood: Bool, _ sentence: String) throws {
            guard isGood else { throw Failure(.invalid, sentence) }
        }
        try check((1...1000).contains(passagesMax ?? 1), "`passagesMax` has to be 1 to 1000.")
        try check((0...1).contains(vectorShare ?? 0), "`vectorShare` has to be 0 to 1.")
        try check((-1...1).contains(similarityMin ?? 0), "`similarityMin` has to be -1 to 1.")
        try check(
            (32...4096).contains(passageTokensMax ?? 32),
            "`passageTokensMax` has to be 32 to 4096.")
        try check(documentsMax ?? 1 >= 1, "`documentsMax` has to be 1 or more.")
        try check(bytesMax ?? 1 >= 1, "`bytesMax` has to be 1 or more.")
    }
}
