import Foundation
import Glibc
import Synchronization

/// An HTTP server on loopback that plays scripted bytes, whatever they are, and keeps what it was
/// asked. One thread for each connection; gone some seconds after the last reference is, since a test
/// that asks it nothing more lets go of it while a client still speaks to it.
package final class ScriptedServer: Sendable {
    /// What happens on a connection after a request has arrived, in order. Then the connection
    /// closes, unless the last step says otherwise.
    package enum Step: Sendable {
        case send([UInt8])
        case wait(Duration)
        /// Every byte on its own, with a pause after each.
        case drip([UInt8], every: Duration)
        /// Sends until so many bytes are out or the client is gone. `bytesSent` says how far it is.
        case flood(Int)
        /// Waits until the test says so.
        case until(@Sendable () -> Bool)
        /// Waits for the client to close, at most as long as the server lives.
        case untilClosed
        /// Closes with a reset instead of an end.
        case reset
        /// The next request may come on the same connection.
        case keepOpen

        package static func text(_ text: String) -> Step { .send(Array(text.utf8)) }
    }

    package struct Request: Sendable {
        package let method: String
        package let path: String
        /// Names in lower case.
        package let headers: [String: String]
        package let body: [UInt8]
        /// The connection it came on, counted from 0.
        package let connection: Int

        package var text: String { String(decoding: body, as: UTF8.self) }
    }

    private struct State {
        var isStopped = false
        var requests: [Request] = []
        var connections = 0
        var openDescriptors: Set<Int32> = []
        var closedAt: [ContinuousClock.Instant] = []
        var bytesSent = 0
    }

    package let port: Int
    private let listener: Int32
    private let script: @Sendable (Request) -> [Step]
    private let state: SharedState

    /// Answers each request with the steps that `script` gives for it.
    package init(_ script: @escaping @Sendable (Request) -> [Step]) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && listen(descriptor, 64) == 0
                    && getsockname(descriptor, pointer, &length) == 0
            }
        }
        guard isBound else { throw POSIXError(.EADDRNOTAVAIL) }
        port = Int(UInt16(bigEndian: address.sin_port))
        self.script = script
        state = SharedState()
        let (shared, listener) = (state, listener)
        let thread = Thread { Self.accept(on: listener, script: script, state: shared) }
        thread.start()
    }

    /// Answers the first request with the first script, and so on; the last one again and again.
    package convenience init(_ scripts: [Step]...) throws {
        let count = Mutex(0)
        try self.init { _ in
            let index = count.withLock { count in
                defer { count += 1 }
                return count
            }
            return scripts.isEmpty ? [] : scripts[min(index, scripts.count - 1)]
        }
    }

    private static let lingerSeconds = 10.0

    deinit {
        let (state, listener) = (state, listener)
        DispatchQueue.global().asyncAfter(deadline: .now() + Self.lingerSeconds) {
            let descriptors = state.value.withLock { state in
                state.isStopped = true
                return state.openDescriptors
            }
            // Wakes the threads, which close their own.
            for descriptor in descriptors { shutdown(descriptor, Int32(SHUT_RDWR)) }
            shutdown(listener, Int32(SHUT_RDWR))
            close(listener)
        }
    }

    package var url: String { "http://127.0.0.1:\(port)" }
    package var requests: [Request] { state.value.withLock { $0.requests } }
    package var connections: Int { state.value.withLock { $0.connections } }
    package var bytesSent: Int { state.value.withLock { $0.bytesSent } }

    /// How many connections the client has closed while a script was still waiting or sending.
    package var closedByClient: Int { closedAt.count }

    /// When each of them was closed.
    package var closedAt: [ContinuousClock.Instant] { state.value.withLock { $0.closedAt } }

    /// A status line and headers; the connection's end is the body's.
    package static func head(
        _ status: Int = 200, type: String = "text/event-stream", headers: [String] = []
    ) -> Step {
        let lines = ["HTTP/1.1 \(status) Scripted", "Content-Type: \(type)"] + headers
        return .text(lines.joined(separator: "\r\n") + "\r\n\r\n")
    }

    /// A whole answer with its length, after which the connection may be used again.
    package static func answer(
        _ body: String, status: Int = 200, type: String = "application/json",
        headers: [String] = []
    ) -> [Step] {
        let length = "Content-Length: \(body.utf8.count)"
        return [head(status, type: type, headers: headers + [length]), .text(body), .keepOpen]
    }

    /// One chunk of a chunked body; an empty text is the last.
    package static func chunk(_ text: String) -> Step {
        .text(String(text.utf8.count, radix: 16) + "\r\n" + text + "\r\n")
    }

    private static func accept(
        on listener: Int32, script: @escaping @Sendable (Request) -> [Step], state: SharedState
    ) {
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            guard descriptor >= 0 else { return }
            let number: Int? = state.value.withLock { state in
                guard !state.isStopped else { return nil }
                state.openDescriptors.insert(descriptor)
                defer { state.connections += 1 }
                return state.connections
            }
            guard let number else {
                close(descriptor)
                return
            }
            let thread = Thread {
                Connection(descriptor: descriptor, number: number, state: state).serve(script)
            }
            thread.start()
        }
    }

    private final class SharedState: Sendable {
        let value = Mutex(State())
    }

    /// One connection, on its own thread.
    private struct Connection {
        let descriptor: Int32
        let number: Int
        let state: SharedState

        func serve(_ script: (Request) -> [Step]) {
            var isOpen = true
            while isOpen, let request = readRequest() {
                state.value.withLock { $0.requests.append(request) }
                isOpen = false
                for step in script(request) {
                    if case .keepOpen = step { isOpen = true }
                    guard perform(step) else {
                        state.value.withLock { $0.closedAt.append(.now) }
                        isOpen = false
                        break
                    }
                }
            }
            state.value.withLock { _ = $0.openDescriptors.remove(descriptor) }
            close(descriptor)
        }

        /// False when the client was gone.
        private func perform(_ step: Step) -> Bool {
            switch step {
            case .send(let bytes): return send(bytes)
            case .wait(let duration): return !isClosed(within: duration)
            case .drip(let bytes, let pause):
                return bytes.allSatisfy { send([$0]) && !isClosed(within: pause) }
            case .flood(let total):
                let piece = [UInt8](repeating: 120, count: 16 * 1024)
                return stride(from: 0, to: total, by: piece.count).allSatisfy { _ in send(piece) }
            case .until(let condition):
                while !condition() {
                    guard !isClosed(within: .milliseconds(2)) else { return false }
                }
                return true
            case .untilClosed: return !isClosed(within: .seconds(3600))
            case .reset:
                var linger = linger(l_onoff: 1, l_linger: 0)
                setsockopt(
                    descriptor, SOL_SOCKET, SO_LINGER, &linger,
                    socklen_t(MemoryLayout.size(ofValue: linger)))
                return true
            case .keepOpen: return true
            }
        }

        private func send(_ bytes: [UInt8]) -> Bool {
            var sent = 0
            while sent < bytes.count {
                let count = bytes.withUnsafeBytes { buffer in
                    Glibc.send(
                        descriptor, buffer.baseAddress.map { $0 + sent }, buffer.count - sent,
                        Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return false }
                sent += count
                state.value.withLock { $0.bytesSent += count }
            }
            return true
        }

        private func isClosed(within duration: Duration) -> Bool {
            let deadline = ContinuousClock.now + duration
            while true {
                let left = (deadline - .now) / .milliseconds(1)
                guard left > 0 else { return false }
                var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                guard Glibc.poll(&poll, 1, Int32(min(left.rounded(.up), 3_600_000))) > 0 else {
                    return false
                }
                let gone = Int16(POLLHUP | POLLERR)
                guard poll.revents & gone == 0 else { return true }
                var byte: UInt8 = 0
                guard recv(descriptor, &byte, 1, 0) > 0 else { return true }
            }
        }

        private func readRequest() -> Request? {
            var bytes: [UInt8] = []
            var head: (text: String, end: Int)?
            while head == nil {
                guard receive(into: &bytes) else { return nil }
                head = Self.head(in: bytes)
            }
            guard let head else { return nil }
            let lines = head.text.components(separatedBy: "\r\n")
            let start = lines[0].split(separator: " ")
            guard start.count >= 2 else { return nil }
            var headers: [String: String] = [:]
            for line in lines.dropFirst() {
                let parts = line.split(
                    separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2 else { continue }
                headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
            }
            let length = headers["content-length"].flatMap { Int($0) } ?? 0
            while bytes.count < head.end + length {
                guard receive(into: &bytes) else { return nil }
            }
            return Request(
                method: String(start[0]), path: String(start[1]), headers: headers,
                body: Array(bytes[head.end..<(head.end + length)]), connection: number)
        }

        private func receive(into bytes: inout [UInt8]) -> Bool {
            var buffer = [UInt8](repeating: 0, count: 16 * 1024)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return false }
            bytes += buffer.prefix(count)
            return true
        }

        private static func head(in bytes: [UInt8]) -> (text: String, end: Int)? {
            let mark = Array("\r\n\r\n".utf8)
            guard bytes.count >= mark.count else { return nil }
            for start in 0...(bytes.count - mark.count)
            where bytes[start..<(start + mark.count)].elementsEqual(mark) {
                return (String(decoding: bytes[..<start], as: UTF8.self), start + mark.count)
            }
            return nil
        }
    }
}
