import Core

/// What is kept of one model's answers, and who may have it.
struct CacheRules: Hashable, Sendable {
    var exact = CacheScope.off
    var semantic = CacheScope.off
    var similarityMin = 1.0
    var answersOutages = false

    /// Whether an answer to this request is kept, and given to the same request.
    func keeps(_ request: ChatRequest) -> Bool {
        exact.covers(request) || comparesQuestions(of: request)
    }

    /// Whether it is given the answer to a similar question.
    func comparesQuestions(of request: ChatRequest) -> Bool {
        semantic.covers(request) && SimilarQuestion.text(of: request) != nil
    }
}

extension InferenceConfiguration {
    /// The rules of each model that has an entry; nil is the name of all others.
    func cacheRules() -> [String?: CacheRules] {
        var general = CacheRules()
        general.exact = cache.exact
        general.semantic = cache.semantic
        general.similarityMin = cache.similarityMin
        var rules: [String?: CacheRules] = [nil: general]
        for (name, model) in models {
            var own = general
            own.semantic = CacheScope(rawValue: model.semanticCache.rawValue) ?? general.semantic
            if model.similarityMin > 0 { own.similarityMin = model.similarityMin }
            own.answersOutages = model.degradeToCache
            rules[name] = own
        }
        return rules
    }

    func validateCache() throws {
        try cache.validate()
        let rules = cacheRules()
        for (name, model) in models {
            let key = "inference.models.\(name)"
            guard model.similarityMin == 0 || (0.5...1).contains(model.similarityMin) else {
                throw Failure(.invalid, "\(key).similarity_min must be between 0.5 and 1, or 0.")
            }
            guard let own = rules[name], own.answersOutages, own.exact == .off,
                own.semantic == .off
            else { continue }
            throw Failure(
                .invalid,
                "\(key).degrade_to_cache: nothing is kept while inference.cache.exact is off.")
        }
    }
}
