import Core

/// The answers that are kept and the questions that others are compared to, with what both take in
/// memory. A question is there no longer than its answer.
struct KeptAnswers {
    private var answers = RecencyMap<CacheKey, (answer: KeptAnswer, user: Identifier)>()
    /// Of each user, by the key of the answer.
    private(set) var questions: [Identifier: RecencyMap<CacheKey, SimilarQuestion>] = [:]
    private(set) var bytes = 0

    var count: Int { answers.count }

    /// An answer that is older than its life is not given, and removed when nobody may have it.
    mutating func answer(
        to key: CacheKey, at now: Timestamp, life: Duration, kept: Duration
    ) -> KeptAnswer? {
        guard let answer = answers.use(key)?.answer else { return nil }
        if now - answer.keptAt < life { return answer }
        if now - answer.keptAt >= life + kept { remove(key) }
        return nil
    }

    /// A question that others were compared to with success stays longer.
    mutating func use(_ key: CacheKey, of user: Identifier) { _ = questions[user]?.use(key) }

    mutating func keep(
        _ answer: KeptAnswer, _ place: AnswerShelf.Place, questionsMax: Int
    ) {
        remove(place.key)
        answers.insert((answer, place.user), for: place.key)
        bytes += answer.bytes
        guard let question = place.question else { return }
        questions[place.user, default: RecencyMap()].insert(question, for: place.key)
        bytes += question.bytes
        guard let count = questions[place.user]?.count, count > questionsMax,
            let oldest = questions[place.user]?.removeOldest()
        else { return }
        bytes -= oldest.bytes
    }

    private mutating func remove(_ key: CacheKey) {
        guard let (answer, user) = answers.remove(key) else { return }
        forget(answer, user, key)
    }

    /// Whether there was one.
    mutating func removeOldest() -> Bool {
        guard let (key, (answer, user)) = answers.takeOldest() else { return false }
        forget(answer, user, key)
        return true
    }

    private mutating func forget(_ answer: KeptAnswer, _ user: Identifier, _ key: CacheKey) {
        bytes -= answer.bytes
        guard let question = questions[user]?.remove(key) else { return }
        bytes -= question.bytes
        if questions[user]?.count == 0 { questions[user] = nil }
    }
}
