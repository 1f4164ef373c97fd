import Core
import Logging
import Metrics
import Tracing

/// The search for a candidate that begins to answer one request: in the plan's order, past those
/// that are ill or whose limits are used up, again after a pause as long as the budget lasts, and at
/// last this machine's own model where the route allows it.
struct CandidateSearch: Sendable {
    /// What all searches share.
    struct Surroundings: Sendable {
        let weather: Weather
        let environment: Environment
        let limits: AttemptBudget.Limits
        let wait: @Sendable (Duration) async throws -> Void
        let tracer: any Tracer
        let room: PromptRoom
        var pricing: (any Pricing)?
        let meters = ModelMeters.Shelf()

        func cost(of candidate: CandidateName, _ usage: TokenUsage) -> Picodollars {
            pricing?.cost(of: CandidateUsage(candidate.description, usage)) ?? .zero
        }
    }

    let route: Route
    let plan: RoutePlan
    private let around: Surroundings
    private var budget: AttemptBudget
    private var decision: RouteDecision
    private var allowance: CostAllowance
    /// What attempts took that came to nothing, as their providers say.
    private(set) var spent: [CandidateUsage] = []
    /// Who has begun an answer; nobody is asked again to go on with what broke off there.
    private var given: Set<CandidateName> = []
    private let logger = Logger(label: "heptad.inference")

    init(_ route: Route, _ request: ChatRequest, _ around: Surroundings) {
        self.route = route
        self.around = around
        plan = RoutePlan(
            route, request, figures: { around.weather.figures($0.name, for: route.name) },
            random: around.environment.random())
        budget = AttemptBudget(around.limits)
        decision = RouteDecision(plan)
        allowance = CostAllowance(route.rules.costMax, around.pricing)
    }

    /// Whether anyone of the plan is left who has not given an answer to this request.
    var hasNext: Bool { plan.candidates.contains { !given.contains($0.name) } }

    /// Whether the local model is left that answers when all others are down.
    var hasLastResort: Bool { route.lastResort.map { !given.contains($0.name) } == true }

    var attempts: Int { budget.attempts }

    /// Takes in what the provider counted for the prompt of a leg.
    func learn(_ usage: TokenUsage, of leg: Leg) {
        around.room.counter.learn(usage, of: leg.request, at: leg.candidate)
    }

    /// What the prompt of a leg has as far as we can tell.
    func promptTokens(_ leg: Leg) -> Int? {
        try? around.room.counter.tokens(leg.request, at: leg.candidate)
    }

    mutating func passOver(_ candidate: CandidateName, _ reason: String) {
        decision.passedOver(candidate, reason)
    }

    /// Takes what a candidate took, which is not asked any more, off what the request may cost.
    mutating func took(_ usage: TokenUsage, at candidate: CandidateName) {
        allowance.took(CandidateUsage(candidate.description, usage))
    }

    /// The next candidate that begins to answer: those with room for the prompt first, then, where
    /// the route shortens prompts, the others. Throws the last failure when nobody does.
    mutating func next(
        for request: ChatRequest, allowsLastResort: Bool = true, mayShorten: Bool = true
    ) async throws -> Leg {
        var round = Round()
        var asked = try order(request, mayShorten: mayShorten, &round)
        while !asked.isEmpty {
            if let leg = try await ask(asked, request, &round) { return leg }
            guard !round.again.isEmpty,
                let wait = budget.nextRound(
                    least: round.waits.min(), random: around.environment.random())
            else { break }
            Counter(label: "heptad_route_retries_total", dimensions: [("model", route.name)])
                .increment()
            try await around.wait(wait)
            asked = round.again
        }
        if let candidate = route.lastResort, allowsLastResort, hasLastResort,
            round.isOutage && !round.isOnlyTooDear
        {
            // A model that nobody planned for may read less than the one they did.
            var request = request
            request.truncates = true
            round.overflows[candidate.name] = try? around.room.overflow(
                request, at: candidate, route.rules.context)
            do {
                return try await open(request, at: candidate, round, isDegraded: true)
            } catch let error as CancellationError {
                throw error
            } catch {
                note(CandidateFailure(error), at: candidate, &round)
            }
        }
        throw summary(round)
    }

    /// What came of asking, over all rounds; `again` and `waits` are of the last.
    private struct Round {
        var failures: [(candidate: CandidateName, failure: CandidateFailure)] = []
        /// How long those who were not asked want to be left alone.
        var rests: [Duration] = []
        var again: [Candidate] = []
        var waits: [Duration] = []
        /// Nobody refused this very request.
        var isOutage = true
        var hasHostedOutage = false
        /// Who has no room for the prompt as it is.
        var overflows: [CandidateName: PromptRoom.Overflow] = [:]
        /// Somebody was left out since the request may not cost so much.
        var isTooDear = false

        var isOnlyTooDear: Bool { isTooDear && failures.isEmpty && rests.isEmpty }
    }

    /// Who is asked, in which order, for a prompt of this length.
    private mutating func order(
        _ request: ChatRequest, mayShorten: Bool, _ round: inout Round
    ) throws -> [Candidate] {
        let all = plan.candidates.filter { !given.contains($0.name) }
        let rules = route.rules.context
        for candidate in all {
            round.overflows[candidate.name] = try? around.room.overflow(
                request, at: candidate, rules)
        }
        let fitting = all.filter { round.overflows[$0.name] == nil }
        let isShortened = mayShorten && PromptRoom.shortens(request, rules)
        guard isShortened, fitting.isEmpty else {
            for candidate in all {
                guard let overflow = round.overflows[candidate.name] else { continue }
                decision.passedOver(candidate.name, overflow.reason)
            }
            if fitting.isEmpty, !all.isEmpty {
                round.isOutage = false
                PromptRoom.count("refused", route.name)
            }
            return isShortened
                ? fitting + all.filter { round.overflows[$0.name] != nil } : fitting
        }
        return all
    }

    private mutating func ask(
        _ candidates: [Candidate], _ request: ChatRequest, _ round: inout Round
    ) async throws -> Leg? {
        round.again = []
        round.waits = []
        let tokens = TokenEstimate.tokens(request.messages)
        for candidate in candidates {
            try Task.checkCancellation()
            if let wait = around.weather.breakerWait(candidate.name) {
                decision.passedOver(candidate.name, "breaker open")
                round.rests.append(wait)
                round.hasHostedOutage = true
                continue
            }
            if let wait = candidate.provider.wait(model: candidate.name.model, tokens: tokens) {
                decision.passedOver(candidate.name, "limits used up")
                round.rests.append(wait)
                round.hasHostedOutage = true
                round.again.append(candidate)
                round.waits.append(wait)
                continue
            }
            guard try allowance.covers(request, at: candidate) else {
                decision.passedOver(candidate.name, "past cost_max_dollars")
                round.isTooDear = true
                continue
            }
            guard budget.begin() else { return nil }
            do {
                return try await open(request, at: candidate, round, isDegraded: false)
            } catch let error as CancellationError {
                throw error
            } catch {
                let failure = CandidateFailure(error)
                note(failure, at: candidate, &round)
                if failure.usage == nil, failure.mayBeCharged {
                    allowance.tookPrompt(request, at: candidate)
                }
                guard failure.kind.fallsThrough else { throw summary(round) }
                guard failure.isSafeToRepeat, !candidate.provider.isLocal else { continue }
                round.again.append(candidate)
                round.waits.append(failure.failure.retryAfter ?? .zero)
            }
        }
        return nil
    }

    private mutating func note(
        _ failure: CandidateFailure, at candidate: Candidate, _ round: inout Round
    ) {
        budget.failed(mayBeCharged: failure.mayBeCharged || failure.usage != nil)
        if let usage = failure.usage {
            spent.append(CandidateUsage(candidate.name.description, usage))
            took(usage, at: candidate.name)
        }
        decision.passedOver(candidate.name, failure.kind.rawValue)
        round.failures.append((candidate.name, failure))
        round.isOutage = round.isOutage && failure.kind.isOutage
        if failure.kind.isOutage, !candidate.provider.isLocal { round.hasHostedOutage = true }
        logger.warning(
            "a candidate did not answer",
            metadata: [
                "candidate": "\(candidate.name)", "class": "\(failure.kind)",
                "failure": "\(failure.failure)",
            ])
    }

    private mutating func open(
        _ request: ChatRequest, at candidate: Candidate, _ round: Round, isDegraded: Bool
    ) async throws -> Leg {
        let environment = around.environment
        let openedAt = environment.now()
        let isChecked =
            !isDegraded
            && plan.candidates.prefix(plan.checkedCount).contains { $0.name == candidate.name }
        let span = ModelSpan(
            .chat, candidate, purpose: request.purpose, tracer: around.tracer,
            meters: around.meters, now: environment.now)
        var sampling = request.sampling
        let outputTokensMax = min(
            sampling.outputTokensMax ?? candidate.limits.outputTokensMax,
            candidate.limits.outputTokensMax)
        sampling.outputTokensMax = outputTokensMax
        if isChecked, route.rules.confidenceMin > 0 {
            sampling.topLogprobs = sampling.topLogprobs ?? 0
        }
        span.note(request, outputTokensMax: outputTokensMax)
        var request = request
        var context: ContextNote?
        if let overflow = round.overflows[candidate.name] {
            do {
                let made = try await around.room.shortened(
                    request, overflow, at: candidate, route.rules.context)
                (request, context) = (made.request, made.note)
                span.shortened(made.note)
                sampling.outputTokensMax = min(
                    outputTokensMax, max(1, made.note.windowTokens - made.note.tokens))
            } catch {
                span.failed(error)
                throw error
            }
        }
        let place: Weather.Call
        do { place = try await around.weather.begin(candidate, for: route.name) } catch {
            span.failed(error)
            throw error
        }
        do {
            let call = try await candidate.provider.open(
                ProviderRequest(
                    principal: request.principal, model: candidate.name.model,
                    messages: request.messages, sampling: sampling,
                    contextTokens: candidate.limits.contextTokens,
                    headers: TraceContext.headers(of: span.context), tools: request.tools,
                    toolChoice: request.toolChoice,
                    allowsParallelToolCalls: request.allowsParallelToolCalls,
                    responseFormat: request.responseFormat, reasoning: request.reasoning,
                    streams: request.streams))
            place.hasBegun()
            given.insert(candidate.name)
            let text = decision.text(chosen: candidate.name, isDegraded: isDegraded)
            span.decided(text)
            if let context { PromptRoom.count(context.action, route.name) }
            let outage =
                candidate.provider.isLocal && round.hasHostedOutage
                ? "No hosted model could be reached; the local model \(candidate.name.model)"
                    + " answers instead." : nil
            let notices = [outage, context?.notice].compactMap(\.self)
            return Leg(
                candidate: candidate, request: request, call: call, span: span, place: place,
                openedAt: openedAt, isChecked: isChecked, decision: text,
                notice: notices.isEmpty ? nil : notices.joined(separator: " "), context: context)
        } catch {
            let failure = CandidateFailure(error)
            if let usage = failure.usage {
                span.took(usage)
                place.took(usage, cost: around.cost(of: candidate.name, usage))
            }
            place.failed(failure.kind)
            span.failed(error)
            throw error
        }
    }

    private func summary(_ round: Round) -> Failure {
        var failure: Failure
        if let last = round.failures.last?.failure.failure {
            let asked = Set(round.failures.map(\.candidate)).count
            failure =
                asked < 2
                ? last
                : Failure(
                    last.code,
                    "None of the \(asked) candidates of \(route.name) could answer. The last:"
                        + " \(last.message)",
                    cause: round.failures.map(\.failure.failure.description)
                        .joined(separator: " | "), retryAfter: last.retryAfter)
        } else if round.isTooDear, let most = route.rules.costMax {
            failure = Failure(
                .budgetExceeded,
                "A request of \(route.name) may cost \(most) at most, and nobody is left who would"
                    + " certainly stay below it. Ask for a shorter answer, or shorten the prompt.",
                cause: decision.notes.joined(separator: "; "))
        } else if let rest = round.rests.min() {
            failure = Failure(
                .unavailable,
                "Everyone who answers for the model \(route.name) has failed too often or has had"
                    + " too many calls, and is left alone for a moment.",
                cause: decision.notes.joined(separator: "; "), retryAfter: rest)
        } else if let widest = round.overflows.max(by: {
            $0.value.windowTokens < $1.value.windowTokens
        }) {
            failure = widest.value.failure(widest.key)
        } else {
            failure = Failure(
                .unavailable, "Nobody can answer for the model \(route.name).")
        }
        failure.hasBeenRetried = budget.attempts > 1
        failure.spent = spent
        return failure
    }
}
