import Core

/// Which of a model's candidates is asked first.
package enum RoutePolicy: String, Codable, Sendable, CaseIterable {
    case fallback, weighted, tiered, fastest
    case leastBusy = "least_busy"
}

/// What happens to an answer whose candidate breaks off in the middle.
package enum AfterFirstToken: String, Codable, Sendable, CaseIterable {
    case error
    case `continue`
}

/// How often, and how long, one request is tried before it fails. Only what is safe to repeat is:
/// nothing that was shown, nothing the caller did wrong.
package struct RetryConfiguration: Codable, Sendable, Equatable {
    /// Attempts of one request at all its candidates together; 1 asks once.
    package var attemptsMax = 6
    /// Attempts of one request that may have been charged for though nothing came of them.
    package var chargedAttemptsMax = 3
    /// The longest that one request waits between its attempts, all waits together.
    package var waitingSecondsMax = 20.0
    /// Waits begin below this and double; each is drawn between nothing and its limit.
    package var backoffMilliseconds = 250
    /// No wait is longer, unless the provider asks for it.
    package var backoffSecondsMax = 8.0

    package init() {}

    func validate() throws {
        let key = "inference.retries"
        guard (1...100).contains(attemptsMax), (1...100).contains(chargedAttemptsMax) else {
            throw Failure(
                .invalid,
                "\(key): attempts_max and charged_attempts_max must be between 1 and 100.")
        }
        guard (0...3600).contains(waitingSecondsMax), (0...3600).contains(backoffSecondsMax),
            (1...60_000).contains(backoffMilliseconds)
        else {
            throw Failure(
                .invalid,
                "\(key): waits must be between 0 and 3600 seconds, backoff_milliseconds between 1"
                    + " and 60000.")
        }
    }

    var limits: AttemptBudget.Limits {
        AttemptBudget.Limits(
            attemptsMax: attemptsMax, chargedMax: chargedAttemptsMax,
            waitingMax: .seconds(waitingSecondsMax),
            backoff: Backoff(
                base: .milliseconds(backoffMilliseconds), cap: .seconds(backoffSecondsMax)))
    }
}

/// When a candidate counts as ill and is left alone for a while.
package struct BreakerConfiguration: Codable, Sendable, Equatable {
    /// Failures within the window that it takes at least.
    package var failuresMin = 5
    /// The share of the window's calls that have to have failed.
    package var failureRatio = 0.5
    /// How far back calls count.
    package var windowSeconds = 60.0
    /// How long it is left alone; then one call finds out how it is, and doubles this if it fails.
    package var openSeconds = 15.0

    package init() {}

    func validate() throws {
        guard (1...200).contains(failuresMin), (0...1).contains(failureRatio),
            (1...3600).contains(windowSeconds), (0.001...3600).contains(openSeconds)
        else {
            throw Failure(
                .invalid,
                "inference.breaker: failures_min must be between 1 and 200, failure_ratio between 0"
                    + " and 1, window_seconds between 1 and 3600, open_seconds at most 3600.")
        }
    }

    var rules: CircuitBreaker.Rules {
        CircuitBreaker.Rules(
            failuresMin: failuresMin, failureRatio: failureRatio, window: .seconds(windowSeconds),
            open: .seconds(openSeconds), openMax: .seconds(openSeconds * 16))
    }
}

extension ModelConfiguration {
    /// The weights as numbers, one for each candidate; all alike where none are given.
    var weightNumbers: [Double] {
        weights.isEmpty ? candidates.map { _ in 1 } : weights.map { Double($0) ?? 0 }
    }

    func validatePolicy(_ key: String) throws {
        if !weights.isEmpty {
            let numbers = weights.compactMap { Double($0) }.filter { (0...1e6).contains($0) }
            guard policy == .weighted else {
                throw Failure(.invalid, "\(key).weights are for the policy weighted only.")
            }
            guard numbers.count == candidates.count, weights.count == candidates.count,
                numbers.contains(where: { $0 > 0 })
            else {
                throw Failure(
                    .invalid,
                    "\(key).weights needs a number from 0 to 1000000 for each candidate, one of them"
                        + " above 0.")
            }
        }
        guard (0...1).contains(difficultyThreshold), (0...1).contains(confidenceMin) else {
            throw Failure(
                .invalid,
                "\(key): difficulty_threshold and confidence_min must be between 0 and 1.")
        }
        guard !degradeTo.contains("/") else {
            throw Failure(
                .invalid, "\(key).degrade_to is the name of a model in the models folder.")
        }
    }
}
