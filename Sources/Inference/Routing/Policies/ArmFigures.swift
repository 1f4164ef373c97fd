import Core

/// How a candidate has done for a public name since the process began: what the policies compare,
/// and what is told of each arm. Of times, newer calls count more.
struct ArmFigures: Hashable, Sendable {
    /// An answer that came to its end.
    struct Answer: Hashable, Sendable {
        /// From the call to the first piece, in milliseconds.
        var firstToken: Double?
        let total: Double
        /// Another candidate had to give it again.
        var isRejected = false
        /// It says no, or was filtered.
        var isRefusal = false
    }

    var running = 0
    private(set) var answers = 0
    private(set) var failures = 0
    /// Answers that another candidate had to give again.
    private(set) var rejections = 0
    private(set) var refusals = 0
    private(set) var inputTokens = 0
    private(set) var outputTokens = 0
    /// At today's prices; the ledger has what was booked.
    private(set) var cost = Picodollars.zero
    /// From the call to the first piece; nil before the first answer.
    private(set) var firstTokenMilliseconds: Double?
    private(set) var totalMilliseconds: Double?
    private(set) var firstTokens = RecentValues()
    private(set) var totals = RecentValues()

    // A tenth of what is new: the mean of about the last twenty.
    private static let newShare = 0.1
    private static let tokensMax = 1 << 53

    mutating func began() { running += 1 }

    mutating func ended() { running = max(0, running - 1) }

    mutating func answered(_ answer: Answer) {
        answers += 1
        if answer.isRejected { rejections += 1 }
        if answer.isRefusal { refusals += 1 }
        if let firstToken = answer.firstToken {
            Self.mix(firstToken, into: &firstTokenMilliseconds)
            firstTokens.add(firstToken)
        }
        Self.mix(answer.total, into: &totalMilliseconds)
        totals.add(answer.total)
    }

    mutating func took(_ usage: TokenUsage, cost: Picodollars) {
        inputTokens = min(Self.tokensMax, inputTokens + min(max(0, usage.input), Self.tokensMax))
        outputTokens = min(
            Self.tokensMax, outputTokens + min(max(0, usage.output), Self.tokensMax))
        self.cost = (try? self.cost.adding(cost)) ?? self.cost
    }

    mutating func failed() { failures += 1 }

    private static func mix(_ value: Double, into mean: inout Double?) {
        mean = mean.map { $0 + newShare * (value - $0) } ?? value
    }
}

/// The last few of many values.
struct RecentValues: Hashable, Sendable {
    private(set) var values: [Double] = []
    private var next = 0

    static let countMax = 256

    mutating func add(_ value: Double) {
        if values.count < Self.countMax {
            values.append(value)
        } else {
            values[next] = value
            next = (next + 1) % Self.countMax
        }
    }
}

/// Where half and nineteen twentieths of some values lie; nil without any.
struct Percentiles: Hashable, Codable, Sendable {
    let p50: Double?
    let p95: Double?

    init(_ values: [Double]) {
        let sorted = values.sorted()
        func at(_ share: Double) -> Double? {
            guard !sorted.isEmpty else { return nil }
            // The nearest rank: a value that was measured.
            let rank = Int((share * Double(sorted.count)).rounded(.up))
            return sorted[min(max(1, rank), sorted.count) - 1]
        }
        p50 = at(0.5)
        p95 = at(0.95)
    }
}
