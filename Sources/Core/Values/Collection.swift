/// How far someone may go with a collection; each includes the ones before.
package enum CollectionAccess: String, Codable, Sendable, CaseIterable, Comparable {
    case read, write, own

    package static func < (left: Self, right: Self) -> Bool {
        left != right && (left == .read || right == .own)
    }
}

/// A set of documents with one owner, as a principal sees it.
package struct Collection: Hashable, Codable, Sendable {
    package let id: Identifier
    package var name: String
    package var ownerID: Identifier
    package var access = CollectionAccess.own
    package var documentCount = 0
    package var passageCount = 0
    package var byteCount = 0
    /// Of the documents, those that cannot be searched yet, and those that never will.
    package var pendingCount = 0
    package var failedCount = 0
    package let createdAt: Timestamp
    package var activeAt: Timestamp
    package var settings = CollectionSettings()
    /// The most it may hold, by the configuration and its own settings.
    package var documentsMax = 0
    package var bytesMax = 0
    package var metadata: [String: String] = [:]
    /// Set where it is not searched any more after so many days without use.
    package var expiresAfterDays: Int?

    package init(id: Identifier, name: String, ownerID: Identifier, createdAt: Timestamp) {
        (self.id, self.name, self.ownerID, self.createdAt) = (id, name, ownerID, createdAt)
        activeAt = createdAt
    }

    package var expiresAt: Timestamp? {
        expiresAfterDays.map { activeAt + .seconds($0 * 86_400) }
    }
}

/// What a collection has of its own; nil leaves a setting to the configuration.
package struct CollectionSettings: Hashable, Codable, Sendable {
    /// Passages that a search in it gives at most.
    package var passagesMax: Int?
    /// What meaning weighs against words: 0 for words alone, 1 for meaning alone.
    package var vectorShare: Double?
    package var similarityMin: Double?
    /// The longest passage of what is added from now on, in tokens.
    package var passageTokensMax: Int?
    /// Below the configured quota.
    package var documentsMax: Int?
    package var bytesMax: Int?

    package init() {}
}

/// What is to be different about a collection; nil leaves it as it is.
package struct CollectionChange: Codable, Sendable {
    package var name: String?
    package var settings: CollectionSettings?
    package var metadata: [String: String]?
    /// Zero for never.
    package var expiresAfterDays: Int?

    package init() {}
}

/// Someone whom a collection is shared with.
package struct Share: Hashable, Codable, Sendable {
    /// A user or a team.
    package let granteeID: Identifier
    package let access: CollectionAccess

    package init(granteeID: Identifier, access: CollectionAccess) {
        (self.granteeID, self.access) = (granteeID, access)
    }
}

/// What is to be different about a document; nil leaves it as it is.
package struct DocumentChange: Codable, Sendable {
    /// Where it moves to.
    package var collectionID: Identifier?
    package var tags: [String]?
    package var attributes: [String: AttributeValue]?

    package init() {}
}

/// A value that a document can be filtered by.
package enum AttributeValue: Hashable, Codable, Sendable {
    case string(String)
    case number(Double)
    case bool(Bool)

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            self = .string(text)
        } else if let isTrue = try? container.decode(Bool.self) {
            self = .bool(isTrue)
        } else {
            self = .number(try container.decode(Double.self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .string(let text): try container.encode(text)
        case .number(let number): try container.encode(number)
        case .bool(let isTrue): try container.encode(isTrue)
        }
    }
}
