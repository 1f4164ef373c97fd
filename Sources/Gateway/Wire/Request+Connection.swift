import Core
import Hummingbird

extension Request {
    /// Runs `work` and cancels it when the client goes away: a long answer that nobody waits for is
    /// not worth its cost. The connection cannot be used again, so say `Connection: close`.
    func whileConnected<Value: Sendable>(
        _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let (closed, close) = AsyncStream<Void>.makeStream()
        return try await body.consumeWithInboundCloseHandler(
            { _ in
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
            }, onInboundClosed: { close.finish() })
    }
}
