import CCurl
import Core
import Foundation
import Glibc
import Synchronization

/// Looks names up. `getaddrinfo` blocks, for half a minute where a name server is gone, so it has a
/// few threads of its own, which end when nothing is left to look up.
final class Resolver: Sendable {
    private struct Line {
        var waiting: [Lookup] = []
        var threads = 0
    }

    private static let threadsMax = 8
    private static let waitingMax = 256

    private let line = Mutex(Line())

    /// The addresses of a name, in the system's order; an address is its own. Throws `upstream` for
    /// a name that has none, `timeout`, and `unavailable` when too many lookups wait.
    func addresses(of host: String, within timeout: Duration) async throws -> [IPAddress] {
        if let address = IPAddress(host) { return [address] }
        let lookup = Lookup(host)
        return try await withThrowingTaskGroup { group in
            group.addTask { try await self.answer(to: lookup) }
            group.addTask {
                try await Task.sleep(for: timeout)
                throw Failure(.timeout, "The name \(host) could not be looked up in time.")
            }
            defer { group.cancelAll() }
            return try await group.next() ?? []
        }
    }

    private func answer(to lookup: Lookup) async throws -> [IPAddress] {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                lookup.wait(continuation)
                enqueue(lookup)
            }
        } onCancel: {
            lookup.finish(.failure(CancellationError()))
        }
    }

    private func enqueue(_ lookup: Lookup) {
        let (isRefused, needsThread) = line.withLock { line in
            guard line.waiting.count < Self.waitingMax else { return (true, false) }
            line.waiting.append(lookup)
            guard line.threads < Self.threadsMax else { return (false, false) }
            line.threads += 1
            return (false, true)
        }
        if isRefused {
            lookup.finish(
                .failure(Failure(.unavailable, "Too many names wait to be looked up; try again.")))
        }
        guard needsThread else { return }
        let thread = Thread { self.work() }
        thread.name = "heptad.resolver"
        thread.stackSize = 512 * 1024
        thread.start()
    }

    private func work() {
        while let lookup = next() {
            if !lookup.isFinished { lookup.finish(Self.resolve(lookup.host)) }
        }
    }

    private func next() -> Lookup? {
        line.withLock { line in
            guard !line.waiting.isEmpty else {
                line.threads -= 1
                return nil
            }
            return line.waiting.removeFirst()
        }
    }

    private static func resolve(_ host: String) -> Result<[IPAddress], any Error> {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        defer { list.map { freeaddrinfo($0) } }
        var addresses: [IPAddress] = []
        var entry = code == 0 ? list : nil
        while let current = entry {
            if let pointer = current.pointee.ai_addr,
                let address = IPAddress(UnsafePointer(pointer)),
                !addresses.contains(address)
            {
                addresses.append(address)
            }
            entry = current.pointee.ai_next
        }
        guard addresses.isEmpty else { return .success(addresses) }
        return .failure(
            Failure(
                .upstream, "The name \(host) has no address.",
                cause: String(cString: gai_strerror(code))))
    }
}

/// One name that somebody waits for; whoever finishes it first wins.
private final class Lookup: Sendable {
    typealias Waiter = CheckedContinuation<[IPAddress], any Error>

    private struct State {
        var waiter: Waiter?
        var result: Result<[IPAddress], any Error>?
    }

    let host: String
    private let state = Mutex(State())

    init(_ host: String) { self.host = host }

    var isFinished: Bool { state.withLock { $0.result != nil } }

    func wait(_ waiter: Waiter) {
        let result = state.withLock { state in
            if state.result == nil { state.waiter = waiter }
            return state.result
        }
        if let result { waiter.resume(with: result) }
    }

    func finish(_ result: Result<[IPAddress], any Error>) {
        let waiter: Waiter? = state.withLock { state in
            guard state.result == nil else { return nil }
            state.result = result
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(with: result)
    }
}
