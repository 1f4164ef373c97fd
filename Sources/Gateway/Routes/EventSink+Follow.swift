import Core

/// What a short look at something that can be followed has found.
enum Probe: Sendable {
    case hasEvents, ended, waiting
}

/// Long enough for a store to say that a turn is not there, short enough for a browser to wait.
private let probeTimeout = Duration.seconds(1)

/// Looks whether `follow` can be followed, while a status can still say so: rethrows what it throws
/// at once, such as `notFound`, and stops it at its first event.
func probed(
    _ follow: @escaping @Sendable (_ emit: @Sendable () async throws -> Void) async throws -> Void
) async throws -> Probe {
    struct Enough: Error {}
    return try await withThrowingTaskGroup(of: Probe.self) { group in
        group.addTask {
            do {
                try await follow { throw Enough() }
                return .ended
            } catch is Enough {
                return .hasEvents
            }
        }
        group.addTask {
            try await Task.sleep(for: probeTimeout)
            return .waiting
        }
        defer { group.cancelAll() }
        return try await group.next() ?? .waiting
    }
}

extension EventSink {
    /// Runs `produce`; what it throws becomes an event `error`, since the status is out already.
    func reportingFailures(_ produce: () async throws -> Void) async {
        do {
            try await produce()
        } catch {
            guard !Task.isCancelled else { return }
            // When the client is gone, there is nobody to tell.
            try? await send(
                event: "error",
                data: Problem(Refusal(of: error), traceID: TraceContext.currentTraceID))
        }
    }
}
