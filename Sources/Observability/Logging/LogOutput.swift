import Core
import Logging
import Synchronization

/// Where lines go, from which level on and in which form. What it is told holds for every logger at
/// once, those that were made before it too.
final class LogOutput: Sendable {
    private let settings = Mutex<Settings?>(nil)
    private let writing = Mutex(())
    // Read for every statement that might log, so it does not take the lock.
    private let lowest = Atomic<Int>(Logger.Level.info.order)
    private let dropped = Atomic<Int>(0)

    private struct Settings {
        let sink: any LogSink
        let isText: Bool
        let now: @Sendable () -> Timestamp
    }

    func configure(
        sink: any LogSink, level: Logger.Level, isText: Bool,
        now: @escaping @Sendable () -> Timestamp
    ) {
        settings.withLock { $0 = Settings(sink: sink, isText: isText, now: now) }
        lowest.store(level.order, ordering: .relaxed)
    }

    var level: Logger.Level {
        let order = lowest.load(ordering: .relaxed)
        return Self.levels.indices.contains(order) ? Self.levels[order] : .info
    }

    private static let levels = Logger.Level.allCases

    /// How many lines the sink did not take.
    var droppedCount: Int { dropped.load(ordering: .relaxed) }

    /// Lines are written one after another; two never mix.
    func write(_ record: LogRecord) {
        let settings = settings.withLock { $0 }
        var isWritten = false
        if let settings {
            let time = settings.now()
            let line = settings.isText ? record.text(at: time) : record.json(at: time)
            isWritten = writing.withLock { _ in settings.sink.write(line + "\n") }
        }
        if !isWritten { dropped.add(1, ordering: .relaxed) }
    }
}

extension Logger.Level {
    fileprivate var order: Int { Self.allCases.firstIndex(of: self) ?? 2 }
}
