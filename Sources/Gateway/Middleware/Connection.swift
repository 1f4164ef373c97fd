import Core
import NIOCore
import Synchronization

/// What a connection's event loop tells those who answer its requests: whether the body is here, and
/// that the client has gone away.
final class Connection: Sendable {
    private struct State {
        var isBodyComplete = false
        var isClosed = false
        var peer: NetworkAddress?
        var watchers: [Int: @Sendable () -> Void] = [:]
        var watchersEver = 0
    }

    private let state = Mutex(State())

    /// All of the request that arrived last is here, and so is all before it.
    var isBodyComplete: Bool { state.withLock(\.isBodyComplete) }

    /// The client sends no more, and is taken to be gone.
    var isClosed: Bool { state.withLock(\.isClosed) }

    /// Who is at the other end, read once for all requests.
    func peer(at address: SocketAddress?) -> NetworkAddress? {
        state.withLock { state in
            if let known = state.peer { return known }
            state.peer = address?.ipAddress.flatMap { NetworkAddress($0) }
            return state.peer
        }
    }

    func requestBegan() { state.withLock { $0.isBodyComplete = false } }
    func requestEnded() { state.withLock { $0.isBodyComplete = true } }

    func closed() {
        let watchers = state.withLock { state in
            state.isClosed = true
            defer { state.watchers = [:] }
            return state.watchers
        }
        for watcher in watchers.values { watcher() }
    }

    /// Runs `work` and cancels it when the client goes away, which throws `cancelled`: a long answer
    /// that nobody waits for is not worth its cost.
    func whileOpen<Value: Sendable>(
        _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let task = Task { try await work() }
        let watcher = watch { task.cancel() }
        defer { forget(watcher) }
        do { return try await Self.value(of: task) } catch {
            guard isClosed, Failure(error).code == .cancelled else { throw error }
            throw Failure(.cancelled, "The client went away.", cause: error)
        }
    }

    /// Runs `work` in a task of its own, whose memory goes with it: a connection's task keeps as much
    /// as it ever needed, which is much for a thousand streams.
    static func apart<Value: Sendable>(
        _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await value(of: Task { try await work() })
    }

    private static func value<Value: Sendable>(
        of task: Task<Value, any Error>
    ) async throws -> Value {
        try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }

    /// Nil when the client is gone, and then it has been called.
    private func watch(_ watcher: @escaping @Sendable () -> Void) -> Int? {
        let number: Int? = state.withLock { state in
            guard !state.isClosed else { return nil }
            state.watchersEver += 1
            state.watchers[state.watchersEver] = watcher
            return state.watchersEver
        }
        if number == nil { watcher() }
        return number
    }

    private func forget(_ watcher: Int?) {
        guard let watcher else { return }
        state.withLock { $0.watchers[watcher] = nil }
    }
}

/// The connections there are. Hummingbird hands a request its channel only, and a channel can be
/// asked for its handlers on its own thread only.
final class ConnectionTable: Sendable {
    private let connections = Mutex<[ObjectIdentifier: Connection]>([:])

    subscript(channel: ObjectIdentifier) -> Connection? {
        connections.withLock { $0[channel] }
    }

    func add(_ connection: Connection, of channel: any Channel) {
        connections.withLock { $0[ObjectIdentifier(channel)] = connection }
    }

    func remove(_ channel: any Channel) {
        _ = connections.withLock { $0.removeValue(forKey: ObjectIdentifier(channel)) }
    }
}
