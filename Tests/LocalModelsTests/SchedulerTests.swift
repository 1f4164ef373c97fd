import Testing

@testable import LocalModels

@Suite("Who runs next")
struct SchedulerTests {
    private func scheduler(
        sequencesMax: Int = 2, waitingMax: Int = 4, pages: Int = 1000
    ) -> Scheduler {
        Scheduler(
            EngineLimits(sequencesMax: sequencesMax, waitingMax: waitingMax),
            ledger: PageLedger(pagesMax: pages, limit: pages))
    }

    private func call(
        _ ticket: Int, _ principal: String = "a", prompt: Int = 3, output: Int = 10
    ) -> Scheduler.Call {
        Scheduler.Call(
            ticket: ticket, principal: principal,
            // No two prompts have anything in common.
            prompt: (0..<prompt).map { Int32(ticket * 100_000 + $0) }, outputTokensMax: output)
    }

    /// One step, in which everybody who is asked for a token gets one.
    @discardableResult
    private func step(_ scheduler: inout Scheduler, seconds: Double = 0) -> Scheduler.Plan {
        let plan = scheduler.plan()
        scheduler.wasRead(plan, seconds: seconds)
        for part in plan.parts where part.isAnswered { scheduler.picked(1, for: part.ticket) }
        return plan
    }

    @Test("Calls join and leave between two tokens")
    func joining() throws {
        var scheduler = scheduler()
        try scheduler.submit(call(1))
        var plan = step(&scheduler)
        #expect(plan.admitted == [Scheduler.Admission(ticket: 1, promptTokensReused: 0)])
        #expect(plan.parts.map(\.step.tokens.count) == [3])
        #expect(plan.parts.map(\.isPrompt) == [true] && plan.parts[0].isAnswered)

        try scheduler.submit(call(2))
        plan = step(&scheduler)
        #expect(plan.parts.map(\.ticket) == [1, 2])
        #expect(plan.parts.map(\.step.tokens.count) == [1, 3])
        #expect(plan.parts.map(\.step.position) == [3, 0])

        try scheduler.submit(call(3))
        plan = step(&scheduler)
        #expect(plan.parts.map(\.ticket) == [1, 2])
        #expect(scheduler.waitingCount == 1)

        scheduler.end(1)
        plan = step(&scheduler)
        #expect(plan.parts.map(\.ticket) == [2, 3])
        scheduler.end(2)
        scheduler.end(3)
        #expect(step(&scheduler).parts.isEmpty)
        #expect(scheduler.pagesOwnedCount == 0)
    }

    @Test("A prompt alone is read in the largest parts, and beside answers in smaller ones")
    func chunks() throws {
        var scheduler = scheduler()
        let most = Transformer.tokensMax
        try scheduler.submit(call(1, prompt: 2 * most + 88))
        #expect(step(&scheduler).tokenCount == most)
        #expect(step(&scheduler).tokenCount == most)
        let last = step(&scheduler)
        #expect(last.tokenCount == 88)
        #expect(last.parts[0].isAnswered)

        try scheduler.submit(call(2, prompt: 600))
        let mixed = step(&scheduler)
        #expect(mixed.parts.map(\.ticket) == [1, 2])
        #expect(mixed.parts[0].step.tokens.count == 1)
        #expect((16...64).contains(mixed.parts[1].step.tokens.count))
        #expect(!mixed.parts[1].isAnswered)
    }

    @Test("The parts follow the speed that was measured")
    func speed() throws {
        var scheduler = scheduler()
        try scheduler.submit(call(1, prompt: 5000))
        // 256 tokens in 8 s are 32 a second; nobody shall wait longer than a second to join.
        var plan = step(&scheduler, seconds: 8)
        for _ in 0..<15 { plan = step(&scheduler, seconds: Double(plan.tokenCount) / 32) }
        #expect((16...48).contains(plan.tokenCount))
    }

    @Test("A short prompt is not behind a long one")
    func shortPrompt() throws {
        var scheduler = scheduler(sequencesMax: 3)
        try scheduler.submit(call(1, prompt: 5000))
        try scheduler.submit(call(2, prompt: 20))
        let plan = step(&scheduler)
        #expect(plan.parts.first { $0.ticket == 2 }?.isAnswered == true)
        #expect(
            plan.parts.first { $0.ticket == 1 }?.step.tokens.count == Transformer.tokensMax - 20)
        #expect(plan.tokenCount == Transformer.tokensMax)
    }

    @Test("Everybody together never reads more than the network takes")
    func tokensMax() throws {
        var scheduler = scheduler(sequencesMax: 32, waitingMax: 64)
        for ticket in 1...32 { try scheduler.submit(call(ticket, "\(ticket)", prompt: 100)) }
        for _ in 0..<40 {
            let plan = step(&scheduler)
            #expect(plan.tokenCount <= Transformer.tokensMax)
            #expect(plan.parts.allSatisfy { !$0.step.tokens.isEmpty })
            #expect(plan.parts.count { $0.isAnswered } <= Transformer.logitRowsMax)
        }
        #expect(scheduler.runningCount == 32)
    }

    @Test("The next is of whom has the least running, and of those of whom was served least")
    func fairness() throws {
        var scheduler = scheduler(sequencesMax: 1, waitingMax: 20)
        for (ticket, principal) in ["greedy", "greedy", "modest", "modest"].enumerated() {
            try scheduler.submit(call(ticket, principal, prompt: principal == "greedy" ? 50 : 5))
        }
        var order: [Int] = []
        for _ in 0..<4 {
            order += step(&scheduler).admitted.map(\.ticket)
            order.last.map { scheduler.end($0) }
        }
        // The first because it came first, and then whoever had least read for them.
        #expect(order == [0, 2, 3, 1])
    }

    @Test("Who has a call running comes after who has none, whatever was served")
    func fairnessOfPlaces() throws {
        var scheduler = scheduler(sequencesMax: 2, waitingMax: 20)
        try scheduler.submit(call(1, "a", prompt: 5))
        try scheduler.submit(call(2, "b", prompt: 500))
        for _ in 0..<3 { step(&scheduler) }
        try scheduler.submit(call(3, "a"))
        try scheduler.submit(call(4, "b"))
        scheduler.end(2)
        #expect(step(&scheduler).admitted.map(\.ticket) == [4])
        scheduler.end(1)
        #expect(step(&scheduler).admitted.map(\.ticket) == [3])
    }

    @Test("Being away earns nothing")
    func absence() throws {
        var scheduler = scheduler(sequencesMax: 1, waitingMax: 20)
        try scheduler.submit(call(1, "a", prompt: 200))
        step(&scheduler)
        try scheduler.submit(call(2, "a"))
        // Comes with what the others were served until now, so that the line is in order of arrival.
        try scheduler.submit(call(3, "b"))
        scheduler.end(1)
        #expect(step(&scheduler).admitted.map(\.ticket) == [2])
    }

    @Test("Who fills the line does not starve the others")
    func starvation() throws {
        var scheduler = scheduler(sequencesMax: 2, waitingMax: 10)
        var ticket = 0
        var waitedSteps: [Int] = []
        var ownTicket: (number: Int, since: Int)?
        for number in 0..<400 {
            while true {
                ticket += 1
                do { try scheduler.submit(call(ticket, "greedy", output: 5)) } catch { break }
            }
            if ownTicket == nil {
                ticket += 1
                try scheduler.submit(call(ticket, "modest", output: 5))
                ownTicket = (ticket, number)
            }
            let plan = step(&scheduler)
            if let own = ownTicket, plan.admitted.contains(where: { $0.ticket == own.number }) {
                waitedSteps.append(number - own.since)
                ownTicket = nil
            }
            // One ends with each step.
            if let part = plan.parts.first { scheduler.end(part.ticket) }
        }
        #expect(waitedSteps.count > 100)
        #expect((waitedSteps.max() ?? 0) <= 2)
    }

    @Test("The line has a limit, and each principal a share of it")
    func limits() throws {
        var scheduler = scheduler(sequencesMax: 1, waitingMax: 4)
        try scheduler.submit(call(1))
        step(&scheduler)
        try scheduler.submit(call(2))
        try scheduler.submit(call(3))
        #expect(throws: Scheduler.Refusal.shareIsFull) { try scheduler.submit(call(4)) }
        try scheduler.submit(call(5, "b"))
        try scheduler.submit(call(6, "c"))
        #expect(throws: Scheduler.Refusal.lineIsFull) { try scheduler.submit(call(7, "d")) }
        #expect(scheduler.secondsToRoom > 0)
        #expect(scheduler.cancel(6) == .waiting)
        try scheduler.submit(call(7, "d"))
    }

    enum Moment: CaseIterable { case waiting, reading, answering, afterwards }

    @Test(
        "A call can be cancelled at any moment, and its pages are free", arguments: Moment.allCases)
    func cancelling(moment: Moment) throws {
        var scheduler = scheduler(sequencesMax: 1)
        try scheduler.submit(call(1, prompt: 300))
        if moment == .waiting {
            #expect(scheduler.cancel(1) == .waiting)
            #expect(scheduler.plan().parts.isEmpty)
        } else {
            step(&scheduler)
            if moment != .reading {
                step(&scheduler)
                step(&scheduler)
            }
            if moment == .afterwards {
                scheduler.end(1)
                #expect(scheduler.cancel(1) == .unknown)
            } else {
                try scheduler.submit(call(2))
                #expect(scheduler.cancel(1) == .running)
                let plan = step(&scheduler)
                #expect(plan.dropped == [1])
                #expect(plan.parts.map(\.ticket) == [2])
                scheduler.end(2)
            }
        }
        #expect(scheduler.pagesOwnedCount == 0)
        #expect(scheduler.runningCount == 0 && scheduler.waitingCount == 0)
    }

    @Test("A call that ends while it is read is not missed by the others")
    func cancelledBetween() throws {
        var scheduler = scheduler()
        try scheduler.submit(call(1))
        try scheduler.submit(call(2))
        let plan = scheduler.plan()
        #expect(scheduler.cancel(1) == .running)
        scheduler.wasRead(plan, seconds: 0)
        for part in plan.parts { scheduler.picked(1, for: part.ticket) }
        let next = scheduler.plan()
        #expect(next.dropped == [1])
        #expect(next.parts.map(\.ticket) == [2])
    }

    @Test("Who needs more pages than there are waits, and is not passed over for ever")
    func pages() throws {
        var scheduler = scheduler(sequencesMax: 4, waitingMax: 10, pages: 10)
        try scheduler.submit(call(1, "a", prompt: 32 * 6, output: 5))
        try scheduler.submit(call(2, "b", prompt: 32 * 6, output: 5))
        try scheduler.submit(call(3, "c", prompt: 32, output: 5))
        #expect(step(&scheduler).admitted.map(\.ticket) == [1])
        #expect(step(&scheduler).admitted.isEmpty)
        scheduler.end(1)
        #expect(step(&scheduler).admitted.map(\.ticket) == [2, 3])
    }

    @Test("More memory goes before what others may come back for, and that before waiting")
    func growing() throws {
        // What one step reads, in pages of 32 tokens.
        let prompt = Transformer.tokensMax
        #expect(prompt == 4 * 32)
        var scheduler = Scheduler(
            EngineLimits(sequencesMax: 4, waitingMax: 10),
            ledger: PageLedger(pagesMax: 100, limit: 5))
        try scheduler.submit(call(1, prompt: prompt, output: 1))
        step(&scheduler)
        scheduler.end(1)
        var asked: [Int] = []
        func grow(_ pages: Int, _ need: Scheduler.Need) -> Bool {
            asked.append(pages)
            return need == .call
        }
        try scheduler.submit(call(2, prompt: prompt, output: 1))
        #expect(scheduler.plan(grow: grow).admitted.map(\.ticket) == [2])
        // Four are cached, five there may be: the cache had to go.
        #expect(asked == [3])
        try scheduler.submit(call(3, prompt: prompt, output: 1))
        #expect(scheduler.plan(grow: grow).admitted.map(\.ticket) == [3])
        #expect(asked == [3, 4, 3])
        #expect(scheduler.pagesLimit == 8)
    }

    @Test("The previous turn and a shared beginning are not read again")
    func reuse() throws {
        var scheduler = scheduler()
        let system = (0..<64).map { Int32($0) }
        func chat(_ ticket: Int, _ rest: [Int32]) -> Scheduler.Call {
            Scheduler.Call(
                ticket: ticket, principal: "a", prompt: system + rest, outputTokensMax: 50)
        }
        try scheduler.submit(chat(1, [100, 101]))
        // Two tokens of the answer are read, a third is only picked.
        for _ in 0..<3 { step(&scheduler) }
        scheduler.end(1)
        try scheduler.submit(chat(2, [100, 101, 1, 1, 1, 102]))
        #expect(step(&scheduler).admitted.map(\.promptTokensReused) == [68])
        try scheduler.submit(chat(3, [200]))
        let plan = step(&scheduler)
        #expect(plan.admitted.map(\.promptTokensReused) == [64])
        #expect(plan.parts.first { $0.ticket == 3 }?.step.position == 64)
    }

    @Test("A prompt that another is reading is waited for, while others go on")
    func twins() throws {
        var scheduler = scheduler(sequencesMax: 4, waitingMax: 10)
        func twin(_ ticket: Int) -> Scheduler.Call {
            Scheduler.Call(
                ticket: ticket, principal: "a", prompt: (0..<600).map { Int32($0) },
                outputTokensMax: 500)
        }
        for ticket in 1...3 { try scheduler.submit(twin(ticket)) }
        try scheduler.submit(call(4, output: 500))
        var plan = step(&scheduler)
        #expect(plan.admitted.map(\.ticket) == [1, 4])
        for _ in 0..<20 {
            guard let part = plan.parts.first(where: { $0.ticket == 1 }),
                part.step.position + part.step.tokens.count < 240
            else { break }
            plan = step(&scheduler)
        }
        // Whoever reads it goes away, and the next one goes on from there.
        #expect(scheduler.cancel(1) == .running)
        plan = step(&scheduler)
        #expect(plan.admitted.map(\.ticket) == [2])
        #expect(plan.admitted[0].promptTokensReused > 200)
        for _ in 0..<100 where plan.admitted.map(\.ticket) != [3] { plan = step(&scheduler) }
        #expect((537...599).contains(plan.admitted.first?.promptTokensReused ?? 0))
    }

    private static let draft = Speculator.Draft(tokens: [7, 8, 9, 10, 11, 12, 13], chance: 0.95)

    @Test("A draft is read with the token before it, and what of it was wrong is taken back")
    func drafting() throws {
        var scheduler = scheduler()
        try scheduler.submit(call(1, output: 40))
        var plan = scheduler.plan()
        scheduler.wasRead(plan, seconds: 0)
        scheduler.picked(6, draft: Self.draft, for: 1)
        plan = scheduler.plan()
        #expect(Array(plan.parts[0].step.tokens.prefix(3)) == [6, 7, 8])
        let count = plan.parts[0].draftCount
        #expect(count > 2 && plan.tokenCount == count + 1)
        scheduler.wasRead(plan, accepted: [1: 2], seconds: 0)
        scheduler.picked(5, for: 1)
        plan = scheduler.plan()
        // The prompt's three, and what stayed.
        #expect(plan.parts[0].step.position == 6)
        #expect(Array(plan.parts[0].step.tokens) == [5])
    }

    @Test("No more is drafted than the answer has room for", arguments: [2, 3, 5])
    func draftRoom(output: Int) throws {
        var scheduler = scheduler()
        try scheduler.submit(call(1, output: output))
        scheduler.wasRead(scheduler.plan(), seconds: 0)
        scheduler.picked(6, draft: Self.draft, for: 1)
        // One was picked, and one follows the last that is read.
        #expect(scheduler.plan().parts[0].draftCount == output - 2)
    }

    @Test("Nothing is drafted beside a prompt, or where another answer would only get slower")
    func draftManners() throws {
        var scheduler = scheduler(sequencesMax: 3)
        try scheduler.submit(call(1, output: 40))
        try scheduler.submit(call(2, output: 40))
        scheduler.wasRead(scheduler.plan(), seconds: 0)
        for ticket in [1, 2] { scheduler.picked(6, draft: Self.draft, for: ticket) }
        var plan = scheduler.plan()
        #expect(plan.parts.allSatisfy { $0.draftCount > 0 })
        #expect(plan.tokenCount <= Speed.rowsMax)

        scheduler.wasRead(plan, accepted: [1: 1, 2: 1], seconds: 0)
        scheduler.picked(6, draft: Self.draft, for: 1)
        scheduler.picked(6, for: 2)
        plan = scheduler.plan()
        #expect(plan.parts.map(\.draftCount) == [0, 0])

        scheduler.wasRead(plan, seconds: 0)
        for ticket in [1, 2] { scheduler.picked(6, draft: Self.draft, for: ticket) }
        try scheduler.submit(call(3, prompt: 50))
        #expect(scheduler.plan().parts.map(\.draftCount) == [0, 0, 0])
    }

    @Test(
        "Where each row takes as long as the first, little is drafted, and less of what is unsure")
    func dearRows() throws {
        var scheduler = scheduler(pages: 10_000)
        try scheduler.submit(call(1, output: 4000))
        scheduler.wasRead(scheduler.plan(), seconds: 1)
        var counts: [Int] = []
        for round in 0..<300 {
            var draft = Self.draft
            draft.chance = 0.6
            scheduler.picked(6, draft: round % 3 == 0 ? Speculator.Draft() : draft, for: 1)
            let plan = scheduler.plan()
            counts.append(plan.parts[0].draftCount)
            scheduler.wasRead(plan, seconds: 0.01 * Double(plan.tokenCount))
        }
        #expect(counts.prefix(10).contains { $0 > 0 })
        #expect(counts.suffix(200).count { $0 > 0 } < 10)
    }
}
