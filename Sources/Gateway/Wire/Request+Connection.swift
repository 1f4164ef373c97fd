import Core
import HTTPTypes
import Hummingbird
import NIOCore

extension Request {
    /// Runs `work` and cancels it when the client goes away: a long answer that nobody waits for is
    /// not worth its cost. The connection cannot be used again, so say `Connection: close`, as what is
    /// thrown here does.
    func whileConnected<Value: Sendable>(
        _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        do {
            return try await watchingConnection { closed in
                try await withThrowingTaskGroup(of: Value?.self) { group in
                    group.addTask { try await work() }
                    group.addTask {
                        for await _ in closed {}
                        return nil
                    }
                    defer { group.cancelAll() }
                    guard let first = try await group.next(), let value = first else {
                        throw Failure(.cancelled, "The client went away.")
                    }
                    return value
                }
            }
        } catch {
            var refusal = Refusal(of: error)
            refusal.headers[.connection] = "close"
            throw refusal
        }
    }

    /// Hands `work` a stream that ends when the client goes away.
    func watchingConnection<Value: Sendable>(
        _ work: (_ closed: AsyncStream<Void>) async throws -> Value
    ) async throws -> Value {
        // Hummingbird's watcher traps when the connection closes before it has seen the end of the
        // body: of one that we have read already, or that a client never finishes. With an empty
        // body put in its place it sees that end first, and then watches what is left.
        var request = self
        request.body = RequestBody(buffer: ByteBuffer())
        let (closed, close) = AsyncStream<Void>.makeStream()
        return try await request.body.consumeWithInboundCloseHandler(
            { _ in try await work(closed) }, onInboundClosed: { close.finish() })
    }
}
