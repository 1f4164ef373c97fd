import Core

/// How hard a question looks before anyone has answered it: an estimate between 0 and 1 from what
/// can be counted, and the same for the same request. Each sign adds its share; none decides alone.
struct Difficulty: Sendable {
    /// Each sign that was seen, with what it added.
    let signs: [(name: String, share: Double)]

    var score: Double { min(1, signs.reduce(0) { $0 + $1.share }) }

    init(_ request: ChatRequest) {
        let asked = request.messages.last { $0.role == .user }
        let text = asked.map(\.text) ?? ""
        let window = String(text.prefix(Self.charactersMax))
        var signs: [(String, Double)] = []
        func add(_ name: String, _ share: Double) { if share > 0 { signs.append((name, share)) } }
        add("length", 0.3 * Self.share(of: text.utf8.count, from: 300, to: 6000))
        if Self.hasCode(window) { add("code", 0.25) }
        let words = Self.reasoningWords(in: window)
        add("reasoning", min(0.35, 0.2 * Double(words)))
        if asked?.hasImages == true { add("attachments", 0.2) }
        if !request.tools.isEmpty, request.toolChoice != .none { add("tools", 0.2) }
        if request.responseFormat != .text { add("structure", 0.1) }
        let earlier = request.messages.reduce(0) { $0 + $1.text.utf8.count } - text.utf8.count
        add("history", 0.2 * Self.share(of: earlier, from: 4000, to: 40_000))
        self.signs = signs
    }

    var description: String {
        let score = Int((score * 100).rounded())
        let names = signs.map(\.name).joined(separator: "+")
        let hundredths = "\(score % 100)"
        return "difficulty \(score / 100).\(hundredths.count < 2 ? "0" : "")\(hundredths)"
            + (names.isEmpty ? "" : " \(names)")
    }

    // Signs further down a document that was pasted are the document's, not the question's.
    private static let charactersMax = 8000

    private static func share(of value: Int, from: Int, to: Int) -> Double {
        min(1, max(0, Double(value - from) / Double(to - from)))
    }

    private static func hasCode(_ text: String) -> Bool {
        if text.contains("```") { return true }
        let marks = ["{\n", "};", "()", "=>", "==", "#include", "def ", "func ", "SELECT ", "</"]
        return marks.count { text.contains($0) } >= 2
    }

    private static let words: Set<String> = [
        "prove", "proof", "derive", "why", "explain", "compare", "analyse", "analyze", "reason",
        "debug", "refactor", "optimise", "optimize", "design", "plan", "evaluate", "calculate",
        "compute", "solve", "algorithm", "theorem", "step-by-step", "trade-offs", "tradeoffs",
        "warum", "erkläre", "beweise", "vergleiche", "berechne", "begründe", "pourquoi",
        "explique", "démontre", "compara", "demuestra", "calcula",
    ]

    private static func reasoningWords(in text: String) -> Int {
        let found = text.lowercased().split { !$0.isLetter && $0 != "-" }
            .filter { words.contains(String($0)) }
        return Set(found).count
    }
}
