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
    /// Of a step with a single row, once there was one.
    private var rowSeconds: Double?
    /// How much dearer more rows are than `rowCosts` says.
    private var rowFactor = 1.0
    private static let weightOfNew = 0.2
    /// What a step of so many rows takes, beside one of a single row: what is read of memory is the
    /// same. About that with AVX2; what this machine makes of it is followed.
    private static let rowCosts = [1, 1.15, 1.25, 1.4, 1.65, 1.9, 2.15, 2.4]
    /// Steps that are only of answers, drafts included, with more rows than this are not.
    static let rowsMax = rowCosts.count
    /// One odd measurement says little.
    private static let factors = 0.25...10.0

    /// A step that read tokens of prompts, or `rows` of answers and drafts that came to `tokens`.
    mutating func measured(
        promptTokens: Int, answers: Int, rows: Int, tokens: Int, seconds: Double
    ) {
        // A clock that was set back, or a test's that stands still.
        guard seconds > 0 else { return }
        if promptTokens == 0 {
            if rows == answers { follow(&stepSeconds, seconds) }
            follow(&outputTokensPerSecond, Double(tokens) / seconds)
            measured(rows: rows, seconds)
        } else if promptTokens >= Self.promptTokensLeast {
            // Few tokens take as long as one, and say nothing about many.
            let ofPrompts = max(seconds - (answers > 0 ? stepSeconds : 0), seconds / 10)
            follow(&promptTokensPerSecond, Double(promptTokens) / ofPrompts)
        }
    }

    private mutating func measured(rows: Int, _ seconds: Double) {
        guard rows > 1 else {
            if let known = rowSeconds {
                rowSeconds = known + Self.weightOfNew * (seconds - known)
            } else {
                rowSeconds = seconds
            }
            // What looked too dear is tried again some time.
            rowFactor += (1 - rowFactor) / 500
            return
        }
        guard let rowSeconds, rows <= Self.rowsMax else { return }
        let more = Self.rowCosts[rows - 1] - 1
        let factor = (seconds / rowSeconds - 1) / more
        let bounded = min(max(factor, Self.factors.lowerBound), Self.factors.upperBound)
        // The fewer rows, the more of it is chance.
        rowFactor += min(2 * more, 1) * Self.weightOfNew * (bounded - rowFactor)
    }

    /// What a step with so many rows of answers takes, up to `rowsMax`, beside one with a single row.
    func cost(rows: Int) -> Double {
        1 + rowFactor * (Self.rowCosts[max(1, min(rows, Self.rowsMax)) - 1] - 1)
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
