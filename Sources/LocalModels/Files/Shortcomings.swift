import Core

/// What keeps a model file from being run by this engine, gathered so that its user reads all of it
/// in one sentence.
struct Shortcomings {
    private let file: String
    private var reasons: [String] = []

    init(_ file: String) { self.file = file }

    /// `reason` is a clause, such as "it has 8 experts"; `remedy` what would do instead.
    mutating func add(_ reason: String, remedy: String? = nil) {
        reasons.append(remedy.map { "\(reason) (\($0) would do)" } ?? reason)
    }

    /// Throws `unsupported` when there are any.
    func check() throws {
        guard let last = reasons.last else { return }
        let list =
            reasons.count == 1 ? last : reasons.dropLast().joined(separator: ", ") + " and \(last)"
        throw Failure(.unsupported, "\(file) cannot be run: \(list).")
    }

    /// Text from a file, made fit for a message.
    static func printable(_ text: String) -> String {
        let shown = text.unicodeScalars.prefix(40).map { scalar in
            scalar.properties.generalCategory == .control ? " " : String(scalar)
        }
        return shown.joined() + (text.unicodeScalars.count > 40 ? "…" : "")
    }
}
