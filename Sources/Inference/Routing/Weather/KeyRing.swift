import Core
import Egress

/// The keys of one provider. A key that was refused or throttled rests, and the next one is used;
/// limits are a key's and a model's, so they are kept for each pair. No I/O.
struct KeyRing: Sendable {
    /// What is known of a key for a model.
    private struct Standing {
        var restsUntil: Timestamp?
        /// Why it rests.
        var failure: CandidateFailure?
        var room = RateRoom()
    }

    private struct Place: Hashable {
        let key: Int
        let model: String
    }

    let keys: [String]
    private var standings: [Place: Standing] = [:]
    private var last = 0

    // A key that is refused stays refused until somebody acts; asking once a minute finds out.
    private static let refusedRest = Duration.seconds(60)
    private static let exhaustedRest = Duration.seconds(300)
    private static let throttledRest = Duration.seconds(10)
    private static let restMax = Duration.seconds(3600)

    /// Without keys there is one that is empty: servers of one's own need none.
    init(_ keys: [String]) { self.keys = keys.isEmpty ? [""] : keys }

    /// The key for a call of so many tokens: the one used last as long as it may be, so that the
    /// provider's prompt cache, which is kept by key, stays warm. `tried` are out.
    mutating func next(model: String, tokens: Int, tried: Set<Int>, at now: Timestamp) -> Int? {
        for step in keys.indices {
            let key = (last + step) % keys.count
            guard !tried.contains(key), wait(key, model, tokens, at: now) == nil else { continue }
            last = key
            standings[Place(key: key, model: model)]?.room.take(tokens: tokens)
            return key
        }
        return nil
    }

    /// How long until some key may be used; nil when one may be used now.
    func wait(model: String, tokens: Int, at now: Timestamp) -> Duration? {
        let waits = keys.indices.map { wait($0, model, tokens, at: now) }
        return waits.contains(nil) ? nil : waits.compactMap { $0 }.min()
    }

    /// Why the key that may be used soonest rests; nil where it only waits for its limits' reset.
    func failure(model: String, tokens: Int, at now: Timestamp) -> CandidateFailure? {
        keys.indices.compactMap { key in wait(key, model, tokens, at: now).map { ($0, key) } }
            .min { $0.0 < $1.0 }
            .flatMap { standings[Place(key: $0.1, model: model)]?.failure }
    }

    mutating func read(_ headers: [HTTPHeader], key: Int, model: String, at now: Timestamp) {
        standings[Place(key: key, model: model), default: Standing()].room.read(headers, at: now)
    }

    /// A model that a key rests for, until when, and why.
    func rests(of key: Int, at now: Timestamp) -> [(String, Timestamp, CandidateFailure)] {
        standings.compactMap { place, standing in
            guard place.key == key, let until = standing.restsUntil, until > now,
                let failure = standing.failure
            else { return nil }
            return (place.model, until, failure)
        }.sorted { $0.0 < $1.0 }
    }

    /// What the provider said last of a model's limits, by the key that was used last.
    func room(model: String) -> RateRoom? { standings[Place(key: last, model: model)]?.room }

    mutating func succeeded(key: Int, model: String) {
        standings[Place(key: key, model: model)]?.restsUntil = nil
        standings[Place(key: key, model: model)]?.failure = nil
    }

    /// Whether another key may do better.
    mutating func failed(
        key: Int, model: String, _ failure: CandidateFailure, at now: Timestamp
    ) -> Bool {
        let rest: Duration
        switch failure.kind {
        case .throttled: rest = failure.failure.retryAfter ?? Self.throttledRest
        case .credential: rest = Self.refusedRest
        case .exhausted: rest = failure.failure.retryAfter ?? Self.exhaustedRest
        default: return false
        }
        let place = Place(key: key, model: model)
        standings[place, default: Standing()].restsUntil = now + min(rest, Self.restMax)
        standings[place]?.failure = failure
        return true
    }

    private func wait(_ key: Int, _ model: String, _ tokens: Int, at now: Timestamp) -> Duration? {
        guard let standing = standings[Place(key: key, model: model)] else { return nil }
        let rest = standing.restsUntil.flatMap { $0 > now ? $0 - now : nil }
        return [rest, standing.room.wait(tokens: tokens, at: now)].compactMap { $0 }.max()
    }
}
