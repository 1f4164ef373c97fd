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
        (self.now, self.random) = (now, random)
    }

    /// A new UUIDv7.
    package func identifier() -> Identifier {
        Identifier(at: now(), random: (UInt16(truncatingIfNeeded: random()), random()))
    }

    /// The machine's clock and the system's generator.
    package static let system = Environment(
        now: { Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)) },
        random: { UInt64.random(in: .min ... .max) })
}
