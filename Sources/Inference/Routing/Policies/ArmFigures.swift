import Core

/// How a candidate has done for a public name: what the policies compare, and what is told of each
/// arm. Newer calls count more.
struct ArmFigures: Hashable, Sendable {
    var running = 0
    private(set) var answers = 0
    private(set) var failures = 0
    /// Answers that another candidate had to give again.
    private(set) var rejections = 0
    /// From the call to the first piece; nil before the first answer.
    private(set) var firstTokenMilliseconds: Double?
    private(set) var totalMilliseconds: Double?

    // A tenth of what is new: the mean of about the last twenty.
    private static let newShare = 0.1

    mutating func began() { running += 1 }

    mutating func ended() { running = max(0, running - 1) }

    mutating func answered(firstToken: Double?, total: Double) {
        answers += 1
        if let firstToken { Self.mix(firstToken, into: &firstTokenMilliseconds) }
        Self.mix(total, into: &totalMilliseconds)
    }

    mutating func failed() { failures += 1 }

    mutating func rejected() { rejections += 1 }

    private static func mix(_ value: Double, into mean: inout Double?) {
        mean = mean.map { $0 + newShare * (value - $0) } ?? value
    }
}
