/// How fast this model is on this machine, as measured while it works.
struct Speed {
    /// A prompt is read beside answers in parts that take about this long, so that those go on.
    static let secondsBeside = 0.05
    /// And alone in parts that take no longer than this, so that others can join.
    static let secondsAlone = 1.0
    static let promptTokensLeast = 16

    /// Guesses until something was measured.
    private(set) var promptTokensPerSecond = 300.0
    /// How long answers are.
    private(set) var answerTokens = 200.0
    private var outputTokensPerSecond = 20.0
    private var stepSeconds = 0.05
    private static let weightOfNew = 0.2

    mutating func measured(promptTokens: Int, answers: Int, seconds: Double) {
        // A clock that was set back, or a test's that stands still.
        guard seconds > 0 else { return }
        if promptTokens == 0 {
            follow(&stepSeconds, seconds)
            follow(&outputTokensPerSecond, Double(answers) / seconds)
        } else if promptTokens >= Self.promptTokensLeast {
            // Few tokens take as long as one, and say nothing about many.
            let ofPrompts = max(seconds - (answers > 0 ? stepSeconds : 0), seconds / 10)
            follow(&promptTokensPerSecond, Double(promptTokens) / ofPrompts)
        }
    }

    mutating func answered(tokens: Int) { follow(&answerTokens, Double(tokens)) }

    /// How many tokens of prompts to read in one step with so many answers.
    func promptTokens(besides answers: Int) -> Int {
        let seconds = answers > 0 ? Self.secondsBeside : Self.secondsAlone
        let wanted = Int(min(promptTokensPerSecond * seconds, Double(Transformer.tokensMax)))
        // Whole blocks of the kernels.
        let blocks = max(Self.promptTokensLeast, wanted / 16 * 16)
        return min(blocks, Transformer.tokensMax - answers)
    }

    func seconds(promptTokens: Double, outputTokens: Double) -> Double {
        promptTokens / promptTokensPerSecond + outputTokens / outputTokensPerSecond
    }

    private func follow(_ value: inout Double, _ new: Double) {
        value += Self.weightOfNew * (new - value)
    }
}
