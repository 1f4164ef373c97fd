import Synchronization

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Where time, randomness and identifiers come from. Handed in through `init`, so that a test owns
/// all three (`Environment.manual` in TestSupport).
package struct Environment: Sendable {
    package let now: @Sendable () -> Timestamp
    package let random: @Sendable () -> UInt64

    package init(
        now: @escaping @Sendable () -> Timestamp, random: @escaping @Sendable () -> UInt64
    ) {
        self.now = now
        self.random = random
    }

    /// A new UUIDv7.
    package func identifier() -> Identifier {
        Identifier(at: now(), random: (UInt16(truncatingIfNeeded: random()), random()))
    }

    /// The machine's clock and the system's generator.
    package static let system = Environment(
        now: { Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)) },
        random: { pool.next() })

    private static let pool = RandomPool()
}

/// The system's generator, asked for many numbers at a time: each time is a call of the kernel.
private final class RandomPool: Sendable {
    private let numbers = Mutex<[UInt64]>([])

    private static let count = 64

    func next() -> UInt64 {
        numbers.withLock { numbers in
            if let number = numbers.popLast() { return number }
            numbers = (1..<Self.count).map { _ in UInt64.random(in: .min ... .max) }
            return UInt64.random(in: .min ... .max)
        }
    }
}
