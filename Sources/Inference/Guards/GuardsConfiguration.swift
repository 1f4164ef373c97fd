import Core

/// What is looked at, taken out or marked before a model sees a request.
package struct GuardsConfiguration: Codable, Sendable, Hashable {
    /// The most characters that a request may have, all messages and tools together; 0 for any.
    package var maxChars = 0
    /// Regular expressions of what may not be sent, whatever its case.
    package var banned: [String] = []
    /// What about persons is not shown to the model.
    package var pii = PIIConfiguration()
    /// Fences what tools answered, and tells the model that it is data.
    package var markUntrusted = false

    package init() {}

    static let bannedMax = 100

    func validate(_ key: String) throws {
        guard maxChars >= 0 else {
            throw Failure(.invalid, "\(key).max_chars cannot be negative.")
        }
        guard banned.count <= Self.bannedMax else {
            throw Failure(.invalid, "\(key).banned may have \(Self.bannedMax) patterns at most.")
        }
        for (place, text) in banned.enumerated() {
            do { _ = try LinearPattern(text) } catch {
                throw Failure(
                    .invalid, "\(key).banned, pattern \(place + 1): it \(error.sentence)")
            }
        }
        for name in pii.redact where PersonalData.Kind(rawValue: name) == nil {
            let known = PersonalData.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw Failure(.invalid, "\(key).pii.redact: \"\(name)\" is none of \(known).")
        }
    }
}

/// Which values are replaced, and whether they are put back into the answer.
package struct PIIConfiguration: Codable, Sendable, Hashable {
    /// Of `email`, `phone`, `card`, `iban`, `ssn` and `ip`.
    package var redact: [String] = []
    /// Whoever asked gets the values back where the answer has their placeholders.
    package var restore = true

    package init() {}
}
