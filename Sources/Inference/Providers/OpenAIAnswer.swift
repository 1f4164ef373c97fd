import Core
import Egress

/// An answer as it arrives: bytes from Egress, through the event parser, into what it says.
struct OpenAIAnswer: Sendable {
    private let body: HTTPBody
    private let isStream: Bool
    private let promptEstimate: Int
    private let now: @Sendable () -> Timestamp
    private var parser = EventStreamParser()
    private var stream = OpenAIStream()
    private var pieces: [ChatEvent] = []
    private var hasEnded = false
    /// What comes after `pieces`: they were said before it.
    private var failure: (any Error)?
    private var firstTextAt: Timestamp?

    // An answer in one piece is at most as long as the longest stream we would read.
    private static let wholeBytesMax = 8 * 1024 * 1024

    init(
        _ response: HTTPResponse, promptEstimate: Int, now: @escaping @Sendable () -> Timestamp
    ) {
        body = response.body
        isStream = response.headers["content-type"]?.lowercased().contains("json") != true
        self.promptEstimate = promptEstimate
        self.now = now
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

    private mutating func readMore() async {
        do { try await read() } catch { failure = error }
    }

    private mutating func read() async throws {
        guard isStream else {
            take(try stream.receive(whole: try await body.collect(bytesMax: Self.wholeBytesMax)))
            hasEnded = true
            return
        }
        guard let bytes = try await body.next() else {
            if let last = try parser.finish() { take(try stream.receive(last)) }
            hasEnded = true
            return
        }
        for event in try parser.push(bytes) {
            take(try stream.receive(event))
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
