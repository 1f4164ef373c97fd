import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Where log lines go.
protocol LogSink: Sendable {
    var isTerminal: Bool { get }
    /// Takes a whole line, or says that it cannot now. It never waits.
    func write(_ line: String) -> Bool
}

/// The process's standard error. One that nobody reads must not stop the server: a line that would
/// have to wait is not written.
struct StandardError: LogSink {
    var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    func write(_ line: String) -> Bool {
        var readiness = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        guard poll(&readiness, 1, 0) == 1, readiness.revents & Int16(POLLOUT) != 0 else {
            return false
        }
        var line = line
        return line.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = unistdWrite(STDERR_FILENO, rest.baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
            }
            return true
        }
    }
}

// The method above has the same name.
private func unistdWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    guard let bytes else { return 0 }
    return write(descriptor, bytes, count)
}
