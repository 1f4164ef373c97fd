import Core
import Egress

/// What a provider's protocol has said so far: frames in, pieces of an answer out. No I/O.
protocol AnswerStream: Sendable {
    associatedtype Frames: FrameParser = EventStreamParser

    /// The model has begun to answer, if only by thinking.
    var hasBegun: Bool { get }
    /// Nothing more comes that matters.
    var isDone: Bool { get }

    /// What one frame brings. Throws `ProviderError` for one that is an error, and
    /// `CandidateFailure` for one that is not the protocol.
    mutating func receive(_ frame: Frames.Frame) throws -> [ChatEvent]

    /// A whole answer that came where a stream was asked for.
    mutating func receive(whole body: [UInt8]) throws -> [ChatEvent]

    /// How the answer ended. Throws `truncated` when the stream ended without saying so, which an
    /// answer cut in half does too.
    func outcome(promptEstimate: Int, firstTextAt: Timestamp?) throws -> ProviderOutcome

    /// What the provider says that it took until now; nil before it says anything.
    func usageSoFar(promptEstimate: Int) -> TokenUsage?
}

/// Bytes in, frames out, wherever the bytes are split.
protocol FrameParser: Sendable {
    associatedtype Frame: Sendable

    init()
    mutating func push(_ bytes: [UInt8]) throws -> [Frame]
    /// What the bytes ended in, where that is a frame.
    mutating func finish() throws -> Frame?
}

extension EventStreamParser: FrameParser {
    init() { self.init(lineBytesMax: Self.lineBytesMaxDefault) }
}

// An answer in one piece is at most as long as the longest stream we would read.
private let wholeBytesMax = 8 * 1024 * 1024

/// An answer as it arrives: bytes from Egress, through the parser of frames, into what it says.
struct HostedAnswer<Stream: AnswerStream>: Sendable {
    private let body: HTTPBody
    private let isStream: Bool
    private let promptEstimate: Int
    private let now: @Sendable () -> Timestamp
    private var frames = Stream.Frames()
    private var stream: Stream
    private var pieces: [ChatEvent] = []
    private var hasEnded = false
    /// What comes after `pieces`: they were said before it.
    private var failure: (any Error)?
    private var firstTextAt: Timestamp?

    init(
        _ response: HTTPResponse, _ stream: Stream, promptEstimate: Int,
        now: @escaping @Sendable () -> Timestamp
    ) {
        self.stream = stream
        body = response.body
        isStream = !Self.isJSON(response.headers["content-type"] ?? "")
        self.promptEstimate = promptEstimate
        self.now = now
    }

    private static func isJSON(_ type: String) -> Bool {
        let letters = type.utf8.prefix(100).map { $0 | 0x20 }
        return letters.indices.contains { letters[$0...].starts(with: "json".utf8) }
    }

    func close() { body.close() }

    /// Reads until the model has begun to answer, so that a failure up to there can still be made
    /// good by another candidate. Throws `timeout` when that takes longer than `limit`, however
    /// many comments keep the stream alive.
    mutating func awaitBeginning(within limit: Duration) async throws {
        let deadline = now() + limit
        while !stream.hasBegun, !hasEnded {
            await readMore()
            if let failure { throw failure }
            guard stream.hasBegun || now() < deadline else {
                throw CandidateFailure(
                    .transport, Failure(.timeout, "The provider did not begin to answer in time."))
            }
        }
        if hasEnded { _ = try outcome() }
    }

    /// What comes next; nil at the end.
    mutating func next() async throws -> ChatEvent? {
        while pieces.isEmpty {
            if let failure { throw failure }
            guard !hasEnded else { return nil }
            await readMore()
        }
        return pieces.removeFirst()
    }

    func outcome() throws -> ProviderOutcome {
        try stream.outcome(promptEstimate: promptEstimate, firstTextAt: firstTextAt)
    }

    var usageSoFar: TokenUsage? { stream.usageSoFar(promptEstimate: promptEstimate) }

    private mutating func readMore() async {
        do { try await read() } catch { failure = error }
    }

    private mutating func read() async throws {
        guard isStream else {
            take(try stream.receive(whole: try await body.collect(bytesMax: wholeBytesMax)))
            hasEnded = true
            return
        }
        guard let bytes = try await body.next() else {
            if let last = try frames.finish() { take(try stream.receive(last)) }
            hasEnded = true
            return
        }
        for frame in try frames.push(bytes) {
            take(try stream.receive(frame))
            guard stream.isDone else { continue }
            hasEnded = true
            body.finish()
            return
        }
    }

    private mutating func take(_ events: [ChatEvent]) {
        guard !events.isEmpty else { return }
        if firstTextAt == nil { firstTextAt = now() }
        pieces += events
    }
}
