/// Decides who runs and what the network reads next. A state machine without I/O: calls are
/// submitted and cancelled, `plan` says what to read, and what came of it is told back.
///
/// Calls join and leave between two reads (continuous batching, Orca, OSDI 2022), long prompts are
/// read in parts beside the tokens of those that answer (Sarathi-Serve, OSDI 2024), and principals
/// have their turn by the tokens that were read for each (virtual token counters, OSDI 2024).
struct Scheduler {
    struct Call {
        let ticket: Int
        let principal: String
        let prompt: [Int32]
        let outputTokensMax: Int

        /// The last token of an answer is never read.
        var tokensMax: Int { prompt.count + outputTokensMax - 1 }
    }

    enum Refusal: Error { case lineIsFull, shareIsFull }

    /// What more pages are for.
    enum Need { case call, cache }

    typealias Grow = (_ pages: Int, Need) -> Bool

    enum Cancelled { case waiting, running, unknown }

    /// What to do now, in this order.
    struct Plan {
        /// Calls that were cancelled; they are gone.
        var dropped: [Int] = []
        /// Calls that run from now on.
        var admitted: [Admission] = []
        /// Pages to copy, one after the other, before anything is read.
        var copies: [(from: Int32, to: Int32)] = []
        var parts: [Part] = []

        var tokenCount: Int { parts.reduce(0) { $0 + $1.step.tokens.count } }
    }

    struct Admission: Hashable {
        let ticket: Int
        let promptTokensReused: Int
    }

    /// What is read of one call.
    struct Part {
        let ticket: Int
        let step: Step
        /// Whether it reads the prompt.
        let isPrompt: Bool
        /// Whether the token after the last one is to be picked.
        let isAnswered: Bool
        /// How many tokens at the end are only guessed: what is picked says how many stay.
        var draftCount = 0

        var draft: ArraySlice<Int32> { step.tokens.suffix(draftCount) }
    }

    private struct Running {
        let call: Call
        var holding: PageLedger.Holding
        /// The token that was picked and not read yet, once the prompt was read.
        var picked: Int32?
        /// What may come after it.
        var draft = Speculator.Draft()
        var isCancelled = false

        /// How many tokens of the draft there is room for.
        var draftMax: Int { max(0, min(draft.tokens.count, call.tokensMax - holding.count - 1)) }

        var promptLeft: ArraySlice<Int32> { call.prompt.dropFirst(holding.count) }
    }

    /// Fewer tokens than this in common with a prompt that is being read are not waited for.
    private static let sharedTokensMin = 64
    /// A draft that promises less is left: it is a guess.
    private static let draftGainMin = 1.05

    private let limits: EngineLimits
    /// A step that drafts has no more rows.
    private let draftRowsMax: Int
    private var ledger: PageLedger
    private var waiting: [Call] = []
    private var running: [Running] = []
    /// Tokens that were read for each principal who has calls here, from where the others were when
    /// they came: who was away has no claim on the time since.
    private var served: [String: Int] = [:]
    private(set) var speed = Speed()

    init(_ limits: EngineLimits, ledger: PageLedger, draftRowsMax: Int = Speed.rowsMax) {
        self.limits = limits
        self.draftRowsMax = min(draftRowsMax, Speed.rowsMax)
        self.ledger = ledger
    }

    var waitingCount: Int { waiting.count }
    var runningCount: Int { running.count }
    var pagesOwnedCount: Int { ledger.ownedCount + ledger.promisedCount }
    var pagesCachedCount: Int { ledger.cachedCount }

    // MARK: Events

    /// Puts a call in line. Throws when the line is full, or the principal's share of it.
    mutating func submit(_ call: Call) throws(Refusal) {
        // Who comes into a free place waits for the next plan only.
        let free = limits.sequencesMax - running.count
        guard waiting.count < limits.waitingMax + free else { throw .lineIsFull }
        let own = waiting.count { $0.principal == call.principal }
        guard own < limits.waitingMaxPerPrincipal + free else { throw .shareIsFull }
        if served[call.principal] == nil { served[call.principal] = served.values.min() ?? 0 }
        waiting.append(call)
    }

    /// Takes a call out. One that runs is gone with the next plan.
    mutating func cancel(_ ticket: Int) -> Cancelled {
        if let place = waiting.firstIndex(where: { $0.ticket == ticket }) {
            let call = waiting.remove(at: place)
            forget(call.principal)
            return .waiting
        }
        guard let place = place(of: ticket) else { return .unknown }
        running[place].isCancelled = true
        return .running
    }

    /// Says what to read next. Nothing to read means that nobody is here.
    ///
    /// `grow` is asked for that many more pages, either because a call needs them or to keep what
    /// is cached, and says whether there is memory for them.
    mutating func plan(grow: Grow = { _, _ in false }) -> Plan {
        var plan = Plan()
        for entry in running where entry.isCancelled {
            plan.dropped.append(entry.call.ticket)
            end(entry.call.ticket)
        }
        while running.count < limits.sequencesMax,
            let next = line().first(where: { !isBeingRead(waiting[$0].prompt) })
        {
            guard let (entry, copy) = admit(waiting[next], grow) else { break }
            waiting.remove(at: next)
            plan.admitted.append(
                Admission(
                    ticket: entry.call.ticket, promptTokensReused: entry.holding.count))
            if let copy { plan.copies.append(copy) }
            running.append(entry)
        }
        plan.parts = parts()
        return plan
    }

    /// What `plan` wanted was read, in so many seconds, and so many tokens of the drafts of these
    /// calls were right. The others are as if they had not been read.
    mutating func wasRead(_ plan: Plan, accepted: [Int: Int] = [:], seconds: Double) {
        let answers = plan.parts.count { !$0.isPrompt }
        let drafted = plan.parts.reduce(0) { $0 + $1.draftCount }
        speed.measured(
            promptTokens: plan.parts.reduce(0) { $0 + ($1.isPrompt ? $1.step.tokens.count : 0) },
            answers: answers, rows: answers + drafted,
            tokens: answers + accepted.values.reduce(0, +), seconds: seconds)
        for part in plan.parts {
            guard let place = place(of: part.ticket) else { continue }
            let wrong = part.draftCount - (accepted[part.ticket] ?? 0)
            let kept = part.step.tokens.dropLast(wrong)
            ledger.append(kept, to: &running[place].holding)
            running[place].picked = nil
            running[place].draft = Speculator.Draft()
            served[running[place].call.principal, default: 0] += kept.count
        }
    }

    /// A token that is to be read next, and what may come after it.
    mutating func picked(
        _ token: Int32, draft: Speculator.Draft = Speculator.Draft(), for ticket: Int
    ) {
        guard let place = place(of: ticket) else { return }
        running[place].picked = token
        running[place].draft = draft
    }

    /// Lets a call go. What was read for it stays for others, unless it `isSpoilt`.
    mutating func end(_ ticket: Int, isSpoilt: Bool = false) {
        guard let place = place(of: ticket) else { return }
        let entry = running.remove(at: place)
        ledger.end(entry.holding, isSpoilt: isSpoilt)
        forget(entry.call.principal)
    }

    /// Gives up all that is kept for others. Returns the pages that nobody needs the memory of.
    mutating func clearCache(limit: Int) -> [Int32] { ledger.clear(limit: limit) }

    var pagesLimit: Int { ledger.limit }

    /// When a call that was refused may find room: the time that half of what is here will take.
    var secondsToRoom: Double {
        var prompts = running.reduce(0) { $0 + $1.promptLeft.count }
        prompts += waiting.reduce(0) { $0 + $1.prompt.count }
        let answers = (running.map(\.call) + waiting).reduce(0.0) {
            $0 + min(Double($1.outputTokensMax), speed.answerTokens)
        }
        return speed.seconds(promptTokens: Double(prompts), outputTokens: answers) / 2
    }

    /// A call has ended by itself after so many tokens.
    mutating func answered(tokens: Int) { speed.answered(tokens: tokens) }

    // MARK: Decisions

    /// Who waits, in the order of their turns: the principal with the fewest calls running, of those
    /// the one that was served least, and its call that came first. Whoever needs much room is not
    /// passed over for that, or would starve.
    private func line() -> [Int] {
        let rank = waiting.indices.map { place in
            let principal = waiting[place].principal
            return (
                running.count { $0.call.principal == principal }, served[principal] ?? 0, place
            )
        }
        return rank.sorted { $0 < $1 }.map(\.2)
    }

    /// Whether someone is about to read much of this prompt. Several answers to one question, or
    /// chats with one system prompt, then read it once, and none of them later than otherwise.
    private func isBeingRead(_ prompt: [Int32]) -> Bool {
        var read: Int?
        return running.contains { entry in
            guard entry.picked == nil else { return false }
            let common = zip(prompt, entry.call.prompt).prefix { $0 == $1 }.count
            guard common >= Self.sharedTokensMin else { return false }
            if read == nil { read = ledger.countRead(of: prompt) }
            return common - (read ?? 0) >= Self.sharedTokensMin
        }
    }

    private mutating func admit(_ call: Call, _ grow: Grow)
        -> (Running, copy: (from: Int32, to: Int32)?)?
    {
        let shortage = ledger.shortage(call.prompt, tokensMax: call.tokensMax)
        // More memory goes before giving up what others may come back for, and that before waiting.
        for (pages, need) in [(shortage.comfortable, Need.cache), (shortage.least, .call)] {
            let pages = min(pages, ledger.pagesMax - ledger.limit)
            if pages > 0, grow(pages, need) {
                ledger.raiseLimit(by: pages)
                break
            }
        }
        guard let beginning = ledger.begin(call.prompt, tokensMax: call.tokensMax) else {
            return nil
        }
        return (Running(call: call, holding: beginning.holding), beginning.copy)
    }

    /// One token of everybody who answers, and of the prompts as much as the time allows, the same
    /// for each: a short one then does not wait behind a long one.
    private mutating func parts() -> [Part] {
        var parts: [Part] = []
        var readers = running.indices.filter { running[$0].picked == nil }
        let answering = running.indices.filter { running[$0].picked != nil }
        // Beside a prompt no row is cheap.
        let drafted = readers.isEmpty ? draftLength(answering) : 0
        for place in answering {
            guard let token = running[place].picked else { continue }
            let draft = running[place].draft.tokens.prefix(min(drafted, running[place].draftMax))
            var part = part(place, [token] + draft, isPrompt: false, isAnswered: true)
            part.draftCount = draft.count
            parts.append(part)
        }
        var room = speed.promptTokens(besides: parts.count)
        readers.sort { running[$0].promptLeft.count < running[$1].promptLeft.count }
        for (number, place) in readers.enumerated() {
            let left = running[place].promptLeft
            let share = max(1, room / (readers.count - number))
            let tokens = left.prefix(min(share, room))
            if tokens.isEmpty { continue }
            room -= tokens.count
            parts.append(
                part(place, tokens, isPrompt: true, isAnswered: tokens.count == left.count))
        }
        return parts
    }

    /// How many tokens of each draft to read: what brings most to the answer that gains least, so
    /// that none gets slower. 0 where that is not worth it.
    private func draftLength(_ places: [Int]) -> Int {
        var best = (gain: Self.draftGainMin, length: 0)
        for length in 1...Speculator.draftMax {
            let counts = places.map { min(length, running[$0].draftMax) }
            let rows = counts.reduce(places.count, +)
            guard rows > places.count, rows <= draftRowsMax else { break }
            let least = zip(places, counts).map { running[$0].draft.tokensExpected($1) }.min() ?? 1
            let gain = least * speed.cost(rows: places.count) / speed.cost(rows: rows)
            if gain > best.gain { best = (gain, length) }
        }
        return best.length
    }

    private mutating func part(
        _ place: Int, _ tokens: ArraySlice<Int32>, isPrompt: Bool, isAnswered: Bool
    ) -> Part {
        ledger.extend(&running[place].holding, by: tokens.count)
        let holding = running[place].holding
        return Part(
            ticket: running[place].call.ticket,
            step: Step(tokens: tokens, position: holding.count, pages: holding.pages),
            isPrompt: isPrompt, isAnswered: isAnswered)
    }

    private func place(of ticket: Int) -> Int? {
        running.firstIndex { $0.call.ticket == ticket }
    }

    private mutating func forget(_ principal: String) {
        let isHere =
            waiting.contains { $0.principal == principal }
            || running.contains { $0.call.principal == principal }
        if !isHere { served[principal] = nil }
    }
}
