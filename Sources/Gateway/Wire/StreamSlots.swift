import Core
import Synchronization

/// Counts what each user has open, so that one cannot have it all.
final class StreamSlots: Sendable {
    private let limit: Int
    private let keepAlive: Duration
    private let counts = Mutex<[Identifier: Int]>([:])

    init(limit: Int, keepAlive: Duration = .seconds(15)) {
        self.limit = limit
        self.keepAlive = keepAlive
    }

    /// A stream that holds one of the user's places.
    func stream(for user: Identifier) throws -> EventStream {
        EventStream(keepAlive: keepAlive, slot: try take(for: user))
    }

    /// Throws `rateLimited` when the user has as many as allowed.
    func take(for user: Identifier) throws -> Slot {
        let isFree = counts.withLock { counts in
            guard counts[user, default: 0] < limit else { return false }
            counts[user, default: 0] += 1
            return true
        }
        guard isFree else {
            throw Failure(
                .rateLimited, "There are \(limit) open already; close one first.",
                retryAfter: .seconds(5))
        }
        return Slot { [self] in give(back: user) }
    }

    private func give(back user: Identifier) {
        counts.withLock { counts in
            let rest = counts[user, default: 0] - 1
            counts[user] = rest > 0 ? rest : nil
        }
    }

    /// A place that is given back once: when its stream ends, or when its response is dropped.
    final class Slot: Sendable {
        private let giveBack: Mutex<(@Sendable () -> Void)?>

        fileprivate init(_ giveBack: @escaping @Sendable () -> Void) {
            self.giveBack = Mutex(giveBack)
        }

        deinit { release() }

        func release() {
            let giveBack = giveBack.withLock { held in
                defer { held = nil }
                return held
            }
            giveBack?()
        }
    }
}
