import Core
import Logging

/// One thing that was logged: bounded in length, and without secrets.
struct LogRecord {
    let level: Logger.Level
    let label: String
    let message: String
    let metadata: [(key: String, value: String)]
    let parent: TraceParent?

    static let messageBytesMax = 4096
    static let valueBytesMax = 2048
    static let metadataMax = 64

    init(
        level: Logger.Level, label: String, message: String, metadata: Logger.Metadata,
        parent: TraceParent?
    ) {
        self.level = level
        self.label = label
        self.message = Redaction.scrubbed(clipped(message, to: Self.messageBytesMax))
        self.metadata = metadata.sorted { $0.key < $1.key }.prefix(Self.metadataMax).map { pair in
            (
                key: clipped(pair.key, to: SpanText.keyBytesMax),
                value: Redaction.isSecret(key: pair.key)
                    ? Redaction.mark
                    : Redaction.scrubbed(clipped("\(pair.value)", to: Self.valueBytesMax))
            )
        }
        self.parent = parent
    }

    /// One line for machines.
    func json(at time: Timestamp) -> String {
        var line = JSONLine()
        line.field("time", time.description)
        line.field("level", level.rawValue)
        line.field("label", label)
        line.field("message", message)
        if !metadata.isEmpty { line.object("metadata", metadata) }
        if let parent {
            line.field("trace_id", parent.traceID.description)
            line.field("span_id", TraceParent.text(parent.spanID))
        }
        return line.text
    }

    /// One line for people. What could move a terminal's cursor is shown, not sent.
    func text(at time: Timestamp) -> String {
        let clock = time.description.dropFirst(11).prefix(12)
        let level = level.rawValue.uppercased()
        let padding = String(repeating: " ", count: max(0, 8 - level.count))
        let fields = metadata.map { "  \($0.key)=\($0.value)" }.joined()
        let trace = parent.map { "  trace=\($0.traceID)" } ?? ""
        return Self.printable("\(clock) \(level)\(padding) \(label)  \(message)\(fields)\(trace)")
    }

    private static func printable(_ text: String) -> String {
        let isClean = text.unicodeScalars.allSatisfy { !isControl($0) }
        guard !isClean else { return text }
        var clean = ""
        for scalar in text.unicodeScalars {
            clean += isControl(scalar) ? scalar.escaped(asASCII: true) : String(scalar)
        }
        return clean
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
            || (0x202A...0x202E).contains(scalar.value)
    }
}
