import Core

/// How turns and jobs are done. Every key has a default that suits one small machine.
package struct OrchestrationConfiguration: Codable, Sendable, Equatable {
    /// The public name of the model that answers when a turn names none; empty means the first
    /// configured model.
    package var model = ""
    /// Longest question, in characters.
    package var questionCharactersMax = 8000
    /// Turns one user may have running at once, each in a chat of its own.
    package var turnsPerUserMax = 3
    /// Turns that may run at once for all users together.
    package var turnsMax = 32
    /// Longest a turn may take before it is stopped and keeps what it has.
    package var turnSecondsMax = 300
    /// How long turns and jobs may go on after the server was asked to stop.
    package var shutdownGraceSeconds = 5
    /// After this many days an ended turn's log keeps only its last event. The answer itself stays.
    package var turnEventsKeptDays = 30
    /// What turns on local models are made of. Small models do best with little.
    package var local = TurnShape.small
    /// What turns on hosted models are made of.
    package var hosted = TurnShape.large
    /// Documents that are read in full for one question such as `Summarise …` or `List all …`.
    package var wholeDocumentsMax = 8
    /// Parts that they are read in where they do not fit into one prompt, each a call of the model;
    /// zero never reads any in full.
    package var wholePartsMax = 24
    /// Tokens that those calls may read and write together.
    package var wholeTokensMax = 300_000
    /// Jobs that may run at once.
    package var jobsMax = 2
    /// Jobs one user may have waiting; the next is refused.
    package var jobsWaitingPerUserMax = 200
    /// How often a job may be found unfinished after a crash before it is given up.
    package var jobCrashesMax = 3
    /// Days a job that has ended can still be looked up.
    package var jobsKeptDays = 30

    package init() {}

    /// Throws `invalid` with a sentence that names the first key out of its range.
    package func validate() throws {
        try Self.check("questionCharactersMax", questionCharactersMax, in: 1...200_000)
        try Self.check("turnsPerUserMax", turnsPerUserMax, in: 1...1000)
        try Self.check("turnsMax", turnsMax, in: 1...1000)
        try Self.check("turnSecondsMax", turnSecondsMax, in: 1...86_400)
        try Self.check("shutdownGraceSeconds", shutdownGraceSeconds, in: 0...3600)
        try Self.check("turnEventsKeptDays", turnEventsKeptDays, in: 1...36_500)
        try Self.check("wholeDocumentsMax", wholeDocumentsMax, in: 1...100)
        try Self.check("wholePartsMax", wholePartsMax, in: 0...500)
        try Self.check("wholeTokensMax", wholeTokensMax, in: 1000...100_000_000)
        try Self.check("jobsMax", jobsMax, in: 1...64)
        try Self.check("jobsWaitingPerUserMax", jobsWaitingPerUserMax, in: 1...100_000)
        try Self.check("jobCrashesMax", jobCrashesMax, in: 1...100)
        try Self.check("jobsKeptDays", jobsKeptDays, in: 1...36_500)
        try local.validate(under: "local")
        try hosted.validate(under: "hosted")
    }

    static func check(_ key: String, _ value: Int, in range: ClosedRange<Int>) throws {
        guard range.contains(value) else {
            throw Failure(
                .invalid,
                "orchestration.\(key.snakeCased) is \(value); it must be between"
                    + " \(range.lowerBound) and \(range.upperBound).")
        }
    }
}

/// How much of everything goes into the prompt of a turn, and what is done with its answer.
package struct TurnShape: Codable, Sendable, Equatable {
    /// Passages looked up for a question and offered to the model.
    package var passagesMax = 4
    /// Tokens that all passages may have together.
    package var passageTokensMax = 800
    /// Tokens of a document that is read in full that one prompt is given; a longer one is read in
    /// parts of so many.
    package var wholeTokensMax = 800
    /// Earlier messages shown to the model.
    package var historyMessagesMax = 6
    /// Tokens that earlier messages may have together.
    package var historyTokensMax = 400
    /// Longest answer in tokens, where the turn does not say.
    package var outputTokensMax = 320
    /// Passages less similar to the question than this, and found by meaning only, are left out.
    package var similarityMin = 0.25
    /// Temperature for a turn with passages, where the turn does not say. Zero is greedy.
    package var passagesTemperature = 0.0
    /// Whether an answer that no passage supports gives way: to the best passage where that answers,
    /// else to saying that there is no answer.
    package var quotesPassages = true
    /// Whether an answer ends where the model begins to repeat itself.
    package var endsLoops = true

    package init() {}

    /// For models of some hundred million parameters: a second of prompt on two cores, and no more
    /// than they can keep apart.
    package static let small = TurnShape()

    package static let large: TurnShape = {
        var shape = TurnShape()
        shape.passagesMax = 8
        shape.passageTokensMax = 4000
        shape.wholeTokensMax = 12_000
        shape.historyMessagesMax = 40
        shape.historyTokensMax = 8000
        shape.outputTokensMax = 2048
        shape.quotesPassages = false
        shape.endsLoops = false
        return shape
    }()

    /// The most passages that one answer may be given.
    package static let passagesLimit = 32

    /// The same with room for so many passages; nil leaves it as it is.
    func giving(passages count: Int?) -> TurnShape {
        guard let count, count != passagesMax else { return self }
        var shape = self
        shape.passagesMax = min(max(1, count), Self.passagesLimit)
        // Each may be as long as before.
        if passagesMax > 0, shape.passagesMax > passagesMax {
            shape.passageTokensMax = passageTokensMax * shape.passagesMax / passagesMax
        }
        return shape
    }

    func validate(under key: String) throws {
        typealias Base = OrchestrationConfiguration
        try Base.check("\(key).passagesMax", passagesMax, in: 0...Self.passagesLimit)
        try Base.check("\(key).passageTokensMax", passageTokensMax, in: 0...1_000_000)
        try Base.check("\(key).wholeTokensMax", wholeTokensMax, in: 64...1_000_000)
        try Base.check("\(key).historyMessagesMax", historyMessagesMax, in: 0...200)
        try Base.check("\(key).historyTokensMax", historyTokensMax, in: 0...1_000_000)
        try Base.check("\(key).outputTokensMax", outputTokensMax, in: 1...1_000_000)
        guard (-1.0...1.0).contains(similarityMin) else {
            throw Failure(
                .invalid, "orchestration.\(key).similarity_min must be between -1 and 1.")
        }
        guard (0.0...2.0).contains(passagesTemperature) else {
            throw Failure(
                .invalid, "orchestration.\(key).passages_temperature must be between 0 and 2.")
        }
    }
}

extension String {
    /// `turnsMax` as the configuration file spells it: `turns_max`.
    fileprivate var snakeCased: String {
        reduce(into: "") { text, character in
            text += character.isUppercase ? "_" + character.lowercased() : String(character)
        }
    }
}
