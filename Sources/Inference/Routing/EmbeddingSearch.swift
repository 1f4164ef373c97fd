import Core
import Logging
import Metrics
import ServiceContextModule

/// The search for a candidate that embeds some texts: like `CandidateSearch`, with retries, breakers,
/// keys and failover, and without an answer that is streamed.
struct EmbeddingSearch: Sendable {
    private let route: Route
    private let around: CandidateSearch.Surroundings
    private let purpose: String
    private var allowance: CostAllowance
    private let logger = Logger(label: "heptad.inference")

    init(_ route: Route, purpose: String, _ around: CandidateSearch.Surroundings) {
        self.route = route
        self.purpose = purpose
        self.around = around
        allowance = CostAllowance(route.rules.costMax, around.pricing)
    }

    /// Throws the last failure when nobody embeds them.
    ///
    /// - Parameter rest: texts of the same call that are embedded later. They are in its cost.
    mutating func embed(
        _ texts: [String], beside rest: some Sequence<String>
    ) async throws -> (Candidate, ProviderEmbeddings) {
        let tokens = (own: Self.tokens(texts), all: Self.tokens(texts) + Self.tokens(rest))
        var budget = AttemptBudget(around.limits)
        var round = Round()
        var asked = route.candidates
        while !asked.isEmpty {
            if let made = try await ask(asked, texts, tokens, &budget, &round) { return made }
            guard !round.again.isEmpty,
                let wait = budget.nextRound(
                    least: round.waits.min(), random: around.environment.random())
            else { break }
            Counter(label: "heptad_route_retries_total", dimensions: [("model", route.name)])
                .increment()
            try await around.wait(wait)
            asked = round.again
        }
        var failure = round.failure ?? nobodyAsked(round)
        failure.hasBeenRetried = budget.attempts > 1
        throw failure
    }

    private func nobodyAsked(_ round: Round) -> Failure {
        if round.isTooDear, let most = route.rules.costMax {
            return Failure(
                .budgetExceeded,
                "A call for embeddings may cost \(most) at most, and nobody is left who would"
                    + " certainly stay below it. Send fewer texts at once, or raise"
                    + " inference.embedding_cost_max_dollars.")
        }
        return Failure(
            .unavailable,
            "Everyone who makes embeddings has failed too often or has had too many calls, and is"
                + " left alone for a moment.", retryAfter: round.rests.min())
    }

    private static func tokens(_ texts: some Sequence<String>) -> Int {
        TokenEstimate.tokens(bytes: texts.reduce(0) { $0 + $1.utf8.count })
    }

    private struct Round {
        /// The last, over all rounds.
        var failure: Failure?
        var rests: [Duration] = []
        var again: [Candidate] = []
        var waits: [Duration] = []
        /// Somebody was left out since the call may not cost so much.
        var isTooDear = false
    }

    private mutating func ask(
        _ candidates: [Candidate], _ texts: [String], _ tokens: (own: Int, all: Int),
        _ budget: inout AttemptBudget, _ round: inout Round
    ) async throws -> (Candidate, ProviderEmbeddings)? {
        round.again = []
        round.waits = []
        for candidate in candidates {
            try Task.checkCancellation()
            if let wait = around.weather.breakerWait(candidate.name) {
                round.rests.append(wait)
                continue
            }
            if let wait = candidate.provider.wait(model: candidate.name.model, tokens: tokens.own) {
                round.rests.append(wait)
                round.again.append(candidate)
                round.waits.append(wait)
                continue
            }
            guard try allowance.covers(input: tokens.all, at: candidate) else {
                round.isTooDear = true
                continue
            }
            guard budget.begin() else { return nil }
            do {
                let made = try await embed(texts, at: candidate)
                allowance.took(CandidateUsage(candidate.name.description, made.usage))
                return (candidate, made)
            } catch let error as CancellationError {
                throw error
            } catch {
                let failure = CandidateFailure(error)
                budget.failed(mayBeCharged: failure.mayBeCharged)
                if failure.mayBeCharged { allowance.tookPrompt(tokens: tokens.own, at: candidate) }
                round.failure = failure.failure
                logger.warning(
                    "a candidate made no embeddings",
                    metadata: [
                        "candidate": "\(candidate.name)", "class": "\(failure.kind)",
                        "failure": "\(failure.failure)",
                    ])
                guard failure.kind.fallsThrough else { throw failure.failure }
                guard failure.isSafeToRepeat, !candidate.provider.isLocal else { continue }
                round.again.append(candidate)
                round.waits.append(failure.failure.retryAfter ?? .zero)
            }
        }
        return nil
    }

    private func embed(_ texts: [String], at candidate: Candidate) async throws
        -> ProviderEmbeddings
    {
        let now = around.environment.now
        let span = ModelSpan(
            .embeddings, candidate, purpose: purpose, tracer: around.tracer,
            meters: around.meters,
            now: now)
        let place: Weather.Call
        do { place = try await around.weather.begin(candidate, for: route.name) } catch {
            span.failed(error)
            throw error
        }
        let openedAt = now()
        do {
            let made = try await ServiceContext.withValue(span.context) {
                try await candidate.provider.embed(
                    texts, model: candidate.name.model,
                    headers: TraceContext.headers(of: span.context))
            }
            place.took(made.usage, cost: around.cost(of: candidate.name, made.usage))
            place.answered(
                ArmFigures.Answer(total: max(0, (now() - openedAt).milliseconds)))
            span.used(made.usage, responseModel: made.responseModel)
            return made
        } catch {
            place.failed(CandidateFailure(error).kind)
            span.failed(error)
            throw error
        }
    }
}
