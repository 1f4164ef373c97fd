import Core
import Hummingbird
import NIOCore

/// How much a request may send, and how long it may take.
struct BodyLimits: Sendable {
    let bytesMax: Int
    /// What a form's boundaries and headers may add to the file itself.
    var slack = 0
    let timeout: Duration

    var wireBytesMax: Int { bytesMax + slack }

    var refusal: Failure {
        let size = bytesMax >= 1 << 20 ? "\(bytesMax >> 20) MiB" : "\(bytesMax) bytes"
        return Failure(.tooLarge, "The request is too large: at most \(size) are taken here.")
    }
}

extension Request {
    /// What the client says the body has; nil where it does not say.
    var declaredBytes: Int? { headers.text(.contentLength).flatMap { Int($0) } }

    /// Hands the body to `take` piece by piece. Throws `tooLarge` past the limit, a 408 when it
    /// takes too long, and `invalid` when it ends too early.
    ///
    /// - Parameter connection: knows whether all is here, and then there is nothing to wait for.
    func readBody<Result: Sendable>(
        _ limits: BodyLimits, over connection: Connection, into initial: Result,
        _ take: @escaping @Sendable (inout Result, ByteBuffer) throws -> Void
    ) async throws -> Result {
        guard !connection.isBodyComplete else { return try await read(limits, initial, take) }
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask {
                try await read(limits, initial, take)
            }
            group.addTask {
                try await Task.sleep(for: limits.timeout)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let result = first else {
                throw Refusal(
                    Failure(.timeout, "The request's body took too long to arrive."),
                    status: .requestTimeout)
            }
            return result
        }
    }

    private func read<Result: Sendable>(
        _ limits: BodyLimits, _ initial: Result,
        _ take: @Sendable (inout Result, ByteBuffer) throws -> Void
    ) async throws -> Result {
        var result = initial
        var count = 0
        do {
            for try await piece in body {
                count += piece.readableBytes
                guard count <= limits.wireBytesMax else { throw limits.refusal }
                try take(&result, piece)
            }
        } catch let error where !Self.isOurs(error) {
            throw Refusal.invalid("The request's body could not be read.", cause: error)
        }
        // A connection that closes looks like the end of the body.
        try Task.checkCancellation()
        guard declaredBytes == nil || declaredBytes == count else {
            throw Refusal.invalid("The request's body was cut off.")
        }
        return result
    }

    /// The body in one piece.
    func collect(_ limits: BodyLimits, over connection: Connection) async throws -> ByteBuffer {
        try await readBody(limits, over: connection, into: ByteBuffer()) { whole, piece in
            var piece = piece
            guard whole.readableBytes > 0 else {
                whole = piece
                return
            }
            whole.writeBuffer(&piece)
        }
    }

    private static func isOurs(_ error: any Error) -> Bool {
        error is Failure || error is Refusal || error is CancellationError
    }
}
