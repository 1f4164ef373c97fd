import Core
import Synchronization

/// Token buckets by key: each holds `burst` tokens and gets one back every `interval`.
final class TokenBuckets<Key: Hashable & Sendable>: Sendable {
    /// Past so many, buckets that are full again are forgotten, and then the ones not used longest.
    static var bucketsMax: Int { 20_000 }

    private struct Bucket {
        var tokens: Double
        var at: Timestamp
    }

    let burst: Int
    private let perMicrosecond: Double
    private let environment: Environment
    private let buckets = Mutex<[Key: Bucket]>([:])

    init(burst: Int, perMinute: Double, environment: Environment) {
        self.burst = burst
        perMicrosecond = perMinute / 60_000_000
        self.environment = environment
    }

    func take(_ key: Key) -> BucketState {
        let now = environment.now()
        return buckets.withLock { buckets in
            var bucket = refilled(buckets[key], at: now)
            let isAllowed = bucket.tokens >= 1
            if isAllowed { bucket.tokens -= 1 }
            if buckets[key] == nil, buckets.count >= Self.bucketsMax { thin(&buckets, at: now) }
            buckets[key] = bucket
            let missing = max(0, 1 - bucket.tokens)
            return BucketState(
                isAllowed: isAllowed, remaining: Int(bucket.tokens),
                wait: .microseconds(Int64(missing / perMicrosecond)))
        }
    }

    /// Gives a token back that turned out not to be owed.
    func giveBack(_ key: Key) {
        let now = environment.now()
        buckets.withLock { buckets in
            var bucket = refilled(buckets[key], at: now)
            bucket.tokens = min(Double(burst), bucket.tokens + 1)
            buckets[key] = bucket
        }
    }

    var count: Int { buckets.withLock { $0.count } }

    private func refilled(_ bucket: Bucket?, at now: Timestamp) -> Bucket {
        guard let bucket else { return Bucket(tokens: Double(burst), at: now) }
        let gained = Double(max(0, (now - bucket.at).microseconds)) * perMicrosecond
        return Bucket(tokens: min(Double(burst), bucket.tokens + gained), at: now)
    }

    private func thin(_ buckets: inout [Key: Bucket], at now: Timestamp) {
        buckets = buckets.filter { refilled($0.value, at: now).tokens < Double(burst) }
        guard buckets.count >= Self.bucketsMax else { return }
        let times = buckets.values.map(\.at).sorted()
        let median = times[times.count / 2]
        buckets = buckets.filter { $0.value.at > median }
    }
}

/// What is left in a bucket after a request was counted.
struct BucketState: Sendable {
    let isAllowed: Bool
    let remaining: Int
    /// Until there is one more.
    let wait: Duration
}
