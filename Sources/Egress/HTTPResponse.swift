/// An answer whose status and headers are here and whose body is on its way.
package struct HTTPResponse: Sendable {
    package let status: Int
    package let headers: [HTTPHeader]
    /// The answers that led here, first to last; empty where nothing redirected.
    package let redirects: [HTTPRedirect]
    package let body: HTTPBody
}

/// The bytes of an answer, for one reader. No more than `Transfer.bufferBytesMax` wait here: a
/// reader who is slow makes the server at the other end wait. Letting go of the body, or cancelling
/// the task that reads it, closes the connection.
package final class HTTPBody: Sendable {
    private let transfer: Transfer
    // The last reference to a client stops its thread, which an answer still needs.
    private let client: HTTPClient

    init(_ transfer: Transfer, of client: HTTPClient) {
        self.transfer = transfer
        self.client = client
    }

    deinit { transfer.close() }

    /// The bytes that have arrived since the last call, at least one; nil at the end. Throws
    /// `timeout`, `tooLarge` past the response limit, `upstream` when the connection broke, and
    /// `CancellationError`.
    package func next() async throws -> [UInt8]? { try await transfer.next() }

    /// Hands every piece to `consume`, which is awaited before the next is read.
    package func read(_ consume: ([UInt8]) async throws -> Void) async throws {
        defer { close() }
        while let bytes = try await next() { try await consume(bytes) }
    }

    /// The whole body, cut off after `bytesMax`.
    package func collect(bytesMax: Int) async throws -> [UInt8] {
        defer { close() }
        var all: [UInt8] = []
        while all.count < bytesMax, let bytes = try await next() {
            all += bytes.prefix(bytesMax - all.count)
        }
        return all
    }

    /// Ends the transfer; what comes after throws `CancellationError`. Does nothing at its end.
    package func close() { transfer.close() }

    /// Says that nobody reads any more, though the server may still say its last words: a little
    /// may come for a moment, so that the connection can be used again, and then it is closed.
    package func finish() { transfer.drain() }
}

/// An answer that sent us on.
package struct HTTPRedirect: Hashable, Sendable {
    package let status: Int
    package let headers: [HTTPHeader]
    /// `host:port` of the next address.
    package let target: String
}
