import Core
import Logging
import Tracing

/// Turns what one logger says into lines, each with the trace and span it was said in.
struct LineLogHandler: LogHandler {
    private let label: String
    private let output: LogOutput
    private var ownLevel: Logger.Level?
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    init(label: String, output: LogOutput) {
        self.label = label
        self.output = output
    }

    /// The output's, unless this logger was given its own.
    var logLevel: Logger.Level {
        get { ownLevel ?? output.level }
        set { ownLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let metadataProvider { all.merge(metadataProvider.get()) { $1 } }
        if let error = event.error { all["error"] = "\(error)" }
        if let own = event.metadata {
            if all.isEmpty { all = own } else { all.merge(own) { $1 } }
        }
        output.write(
            LogRecord(
                level: event.level, label: label, message: event.message.description, metadata: all,
                parent: ServiceContext.current?[CurrentSpan.self]?.parent))
    }
}
