import Core
import HTTPTypes
import Hummingbird
import NIOCore
import OrderedJSON
import ServiceLifecycle
import Synchronization

/// Where the events of one response go.
struct EventSink: Sendable {
    /// One after the other, and returns when the connection has taken the event.
    fileprivate let write: @Sendable (ByteBuffer) async throws -> Void

    func send(id: Int? = nil, event: String? = nil, data: some Encodable) async throws {
        try await send(id: id, event: event, text: try JSON.text(data))
    }

    /// JSON whose members stand in their own order.
    func send(id: Int? = nil, event: String? = nil, data: JSONValue) async throws {
        try await send(id: id, event: event, text: data.text)
    }

    /// `text` has no line breaks: JSON as we write it has none.
    func send(id: Int? = nil, event: String? = nil, text: String) async throws {
        var frame = ByteBuffer()
        if let id { frame.writeString("id: \(id)\n") }
        if let event { frame.writeString("event: \(event)\n") }
        frame.writeString("data: ")
        frame.writeString(text)
        frame.writeString("\n\n")
        try await write(frame)
    }

    /// What clients pass over; without line breaks.
    func send(comment: String) async throws { try await raw(": \(comment)\n\n") }

    fileprivate func raw(_ text: String) async throws {
        try await write(ByteBuffer(string: text))
    }
}

/// Server-sent events: a response that `produce` writes until it returns, the client goes away, or
/// the server shuts down.
struct EventStream: Sendable {
    /// Proxies close connections that are silent, most after 60 seconds.
    let keepAlive: Duration
    /// What is sent when nothing else is.
    var sign = ": alive\n\n"
    /// A client that does not read for so long is gone.
    static let stalledMax = Duration.seconds(60)
    /// What holds a place while the stream runs.
    let slot: StreamSlots.Slot

    /// - Parameter opening: what goes out with the head, at once; some clients wait for a first byte.
    func response(
        over connection: Connection, opening: String = ": heptad\n\n",
        _ produce: @escaping @Sendable (EventSink) async throws -> Void
    ) -> Response {
        Response(
            status: .ok,
            headers: [
                .contentType: "text/event-stream; charset=utf-8",
                .cacheControl: "no-store, no-transform",
                .proxyBuffering: "no",
            ],
            body: ResponseBody { writer in
                try await run(connection, writer, opening, produce)
                try await writer.finish(nil)
            })
    }

    private func run(
        _ connection: Connection, _ writer: any ResponseBodyWriter, _ opening: String,
        _ produce: @escaping @Sendable (EventSink) async throws -> Void
    ) async throws {
        defer { slot.release() }
        // SAFETY: Hummingbird's writer for HTTP/1 is a sendable struct over NIO's async writer, which
        // takes writes from several tasks; only its protocol does not say so. Each write here is a
        // whole event.
        nonisolated(unsafe) let writer = writer
        let progress = WriteProgress()
        let sink = EventSink { frame in
            nonisolated(unsafe) var own = writer
            progress.began()
            try await own.write(frame)
            progress.ended()
        }
        do {
            try await connection.whileOpen {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    try await sink.raw(opening)
                    group.addTask { try await produce(sink) }
                    group.addTask { try? await gracefulShutdown() }
                    group.addTask { try await keepAlive(sink, progress) }
                    defer { group.cancelAll() }
                    try await group.next()
                }
            }
        } catch {
            // That a client is gone is no failure; what failed while it went is.
            let isOurs = (error as? Failure).map { $0.code != .cancelled } ?? (error is Refusal)
            guard connection.isClosed, !isOurs else { throw error }
        }
    }

    private func keepAlive(_ sink: EventSink, _ progress: WriteProgress) async throws {
        while true {
            try await Task.sleep(for: min(keepAlive, Self.stalledMax))
            guard progress.pending < Self.stalledMax else {
                throw Failure(.cancelled, "The client stopped reading.")
            }
            if progress.pending == .zero { try await sink.raw(sign) }
        }
    }
}

/// Since when a write has been waiting for the client to read.
private final class WriteProgress: Sendable {
    private let startedAt = Mutex<ContinuousClock.Instant?>(nil)

    func began() { startedAt.withLock { $0 = .now } }
    func ended() { startedAt.withLock { $0 = nil } }

    var pending: Duration { startedAt.withLock { $0.map { .now - $0 } ?? .zero } }
}
