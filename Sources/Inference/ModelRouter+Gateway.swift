package import Core
import Foundation
import Logging
package import OrderedJSON

extension ModelRouter: ModelGateway {
    package func overview(for principal: Principal) async throws -> JSONValue {
        try requireAdministrator(principal)
        let problems = routes.inventory.problems + [sealedKeys?.problem].compactMap { $0 }
        return try Self.json(
            ModelsOverview(
                since: startedAt, problems: problems,
                providers: providers.sorted { $0.key < $1.key }.map(state),
                routes: (routes.ordered + [routes.embedding].compactMap { $0 }).map(state)))
    }

    package func setKey(
        _ key: String, replacing id: Identifier?, of provider: String, for principal: Principal
    ) async throws -> JSONValue {
        let (store, keys) = try keys(of: provider, for: principal)
        let note = try store.set(key, replacing: id, of: provider, by: principal)
        store.hand(to: keys, of: provider)
        log(
            id == nil ? "a provider's key was set" : "a provider's key was replaced", note,
            principal)
        return try Self.json(ProviderKeyState(note))
    }

    package func removeKey(
        _ id: Identifier, of provider: String, for principal: Principal
    ) async throws {
        let (store, keys) = try keys(of: provider, for: principal)
        let note = try store.remove(id, of: provider)
        store.hand(to: keys, of: provider)
        log("a provider's key was removed", note, principal)
    }

    // MARK: Keys

    private func requireAdministrator(_ principal: Principal) throws {
        guard principal.isAdministrator else {
            throw Failure(.forbidden, "The model gateway is for administrators.")
        }
    }

    private func keys(of provider: String, for principal: Principal) throws
        -> (SealedKeys, ProviderKeys)
    {
        try requireAdministrator(principal)
        guard let found = providers[provider] else {
            throw Failure(.notFound, "There is no such provider.")
        }
        guard let keys = found.keys, let sealedKeys else {
            throw Failure(.invalid, "The provider \(provider) takes no keys.")
        }
        return (sealedKeys, keys)
    }

    /// Who did what, without the key.
    private func log(_ message: String, _ note: SealedKeys.Note, _ principal: Principal) {
        Logger(label: "heptad.inference").notice(
            "\(message)",
            metadata: [
                "provider": "\(note.provider)", "key": "\(note.id)", "user": "\(principal.name)",
                "user_id": "\(principal.userID)",
            ])
    }

    private static func json(_ value: some Encodable) throws -> JSONValue {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try JSONValue(parsing: try encoder.encode(value))
    }

    // MARK: States

    private func state(_ name: String, _ provider: any Provider) -> ProviderState {
        let candidates = Set(
            (routes.ordered + [routes.embedding].compactMap { $0 })
                .flatMap { $0.candidates + [$0.lastResort].compactMap { $0 } }
                .map(\.name).filter { $0.provider == name })
        let models = candidates.sorted { $0.model < $1.model }.map { state($0, provider) }
        let gate = provider.isLocal ? nil : around.weather.gate(of: name)
        let load = gate?.load
        return ProviderState(
            name: name, kind: configuration.providers[name]?.kind ?? name,
            isLocal: provider.isLocal,
            running: load?.running ?? models.reduce(0) { $0 + $1.running },
            runningMax: gate?.runningMax, waiting: load?.waiting ?? 0,
            waitingMax: gate?.waitingMax, keys: keyStates(name, provider), models: models)
    }

    /// Those that are set on the page, used or not, then the configuration's.
    private func keyStates(_ name: String, _ provider: any Provider) -> [ProviderKeyState] {
        guard let standings = provider.keys?.standings() else { return [] }
        func rests(_ rests: [ProviderKeys.Rest]) -> [ProviderKeyState.Rest] {
            rests.map {
                ProviderKeyState.Rest(model: $0.model, until: $0.until, reason: $0.reason.rawValue)
            }
        }
        let notes = sealedKeys?.notes(of: name) ?? []
        let own = notes.map { note in
            let used = standings.first { $0.id == note.id }
            return ProviderKeyState(
                note, isUsed: used != nil, rests: rests(used?.rests ?? []))
        }
        let configured = configuration.providers[name]?.keys ?? []
        return own
            + configured.enumerated().map { place, key in
                let used = notes.isEmpty && place < standings.count ? standings[place] : nil
                return ProviderKeyState(
                    hint: SealedKeys.hint(of: key), isUsed: used != nil,
                    rests: rests(used?.rests ?? []))
            }
    }

    private func state(_ candidate: CandidateName, _ provider: any Provider) -> ModelState {
        let (breaker, running) = around.weather.health(of: candidate)
        let (firstToken, total) = around.weather.latencies(of: candidate)
        let now = around.environment.now()
        func room(_ rest: RateRoom.Rest?) -> ModelState.Room? {
            rest.flatMap { rest in
                rest.resetAt > now
                    ? ModelState.Room(remaining: rest.remaining, resetAt: rest.resetAt) : nil
            }
        }
        let left = provider.keys?.room(model: candidate.model)
        return ModelState(
            name: candidate.model,
            breaker: provider.isLocal
                ? nil : ModelState.Breaker(breaker ?? CircuitBreaker(), at: now),
            running: running, requests: room(left?.requests), tokens: room(left?.tokens),
            firstTokenMilliseconds: firstToken, totalMilliseconds: total)
    }

    private func state(_ route: Route) -> RouteState {
        let weights = route.candidates.reduce(0) { $0 + $1.weight }
        func arm(_ candidate: Candidate, isLastResort: Bool) -> ArmState {
            let figures = around.weather.armFigures(candidate.name, for: route.name)
            let isWeighted = route.rules.policy == .weighted && !isLastResort && weights > 0
            return ArmState(
                candidate: candidate.name.description,
                share: isWeighted ? 100 * candidate.weight / weights : nil,
                isLastResort: isLastResort, calls: figures.answers + figures.failures,
                answers: figures.answers, failures: figures.failures,
                rejections: figures.rejections, refusals: figures.refusals,
                running: figures.running, inputTokens: figures.inputTokens,
                outputTokens: figures.outputTokens, cost: figures.cost,
                firstTokenMilliseconds: Percentiles(figures.firstTokens.values),
                totalMilliseconds: Percentiles(figures.totals.values))
        }
        return RouteState(
            name: route.name, kind: route.isEmbedding ? "embeddings" : "chat",
            policy: route.rules.policy.rawValue, costMax: route.rules.costMax,
            arms: route.candidates.map { arm($0, isLastResort: false) }
                + [route.lastResort].compactMap { $0 }.map { arm($0, isLastResort: true) })
    }
}

extension ModelState.Breaker {
    fileprivate init(_ breaker: CircuitBreaker, at now: Timestamp) {
        let (name, until): (String, Timestamp?) =
            switch breaker.state {
            case .closed: ("closed", nil)
            case .open(let until): ("open", until)
            case .halfOpen(let until): ("half_open", until)
            }
        let window = breaker.window(at: now)
        self.init(
            state: name, since: breaker.changedAt, nextProbeAt: until, calls: window.calls,
            failures: window.failures)
    }
}
