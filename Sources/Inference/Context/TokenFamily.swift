import Core
import Synchronization

/// Models whose tokenizers are alike. The rates are fitted to the tokenizers that were published:
/// over prose, code, numbers and eight languages they are right within 25 per cent for any 1,500
/// letters, and mostly within 5.
enum TokenFamily: String, CaseIterable, Sendable {
    /// GPT-4o and later, and the o series.
    case openAI
    /// GPT-4 and 3.5, and Llama 3, which grew from their vocabulary.
    case llama
    case claude
    case qwen
    /// Mistral's, and Gemini's and Gemma's, which split digits as it does.
    case mistral
    /// The most of all of them.
    case other

    /// By the name of the model, whoever serves it.
    init(model: String) {
        if let known = Self.known.withLock({ $0[model] }) {
            self = known
            return
        }
        let name = model.lowercased()
        let found = Self.names.first { _, words in words.contains { name.contains($0) } }
        let family = found?.family ?? .other
        Self.known.withLock { known in
            if known.count < Self.knownMax { known[model] = family }
        }
        self = family
    }

    // Every call asks, of the few models that are configured.
    private static let known = Mutex<[String: TokenFamily]>([:])
    private static let knownMax = 1000

    // First match wins: `deepseek-r1-distill-llama` has Llama's vocabulary.
    private static let names: [(family: TokenFamily, words: [String])] = [
        (.llama, ["llama", "gpt-3", "gpt-35", "hermes"]),
        (.openAI, ["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss", "chatgpt"]),
        (.llama, ["gpt-4"]),
        (.openAI, ["o1", "o3", "o4-", "gpt-"]),
        (.claude, ["claude"]),
        (.qwen, ["qwen", "qwq", "deepseek", "glm", "kimi"]),
        (.mistral, ["mistral", "mixtral", "ministral", "codestral", "gemini", "gemma"]),
    ]

    /// From above by less than one for each kind that the text has.
    func tokens(_ shape: TextShape) -> Int {
        let rates = rates
        var tokens = Double(shape.words) * rates.word + Double(shape.longLetters) * rates.longLetter
        tokens += Double(shape.digits) * rates.digit + Double(shape.digitGroups) * rates.digitGroup
        tokens += Double(shape.signs) * rates.sign + Double(shape.breaks) * rates.lineBreak
        tokens += Double(shape.ideographs) * rates.ideograph
        tokens += Double(shape.accented) * rates.accented
        tokens += Double(shape.cyrillic) * rates.cyrillic
        tokens += Double(shape.foreign) * rates.foreign + Double(shape.rare) * rates.rare
        return Int(tokens.rounded(.up))
    }

    /// As large as a model sees it at most: what it takes by size we cannot tell without reading it.
    func tokens(_ image: ChatImage) -> Int {
        switch self {
        case .openAI, .llama, .other: image.detail == "low" ? 85 : 1105
        case .claude: 1600
        case .qwen: 1280
        case .mistral: 1290
        }
    }

    private struct Rates {
        let word, longLetter, digit, digitGroup, sign, lineBreak: Double
        let ideograph, accented, cyrillic, foreign, rare: Double
    }

    private var rates: Rates {
        switch self {
        case .openAI: Self.openAIRates
        case .llama: Self.llamaRates
        case .claude: Self.claudeRates
        case .qwen: Self.qwenRates
        case .mistral: Self.mistralRates
        case .other: Self.otherRates
        }
    }

    private static let openAIRates = Rates(
        word: 1.13, longLetter: 0.26, digit: 0, digitGroup: 1.48, sign: 0.49, lineBreak: 0.86,
        ideograph: 0.79, accented: 0.38, cyrillic: 0.3, foreign: 0.4, rare: 1.87)
    private static let llamaRates = Rates(
        word: 1.16, longLetter: 0.34, digit: 0, digitGroup: 1.48, sign: 0.47, lineBreak: 0.47,
        ideograph: 1.13, accented: 1.04, cyrillic: 0.48, foreign: 0.88, rare: 2.19)
    // Fitted to the last tokenizer that Anthropic published, and raised by 15 per cent: the models
    // since then take more.
    private static let claudeRates = Rates(
        word: 1.37, longLetter: 0.39, digit: 0, digitGroup: 1.46, sign: 0.7, lineBreak: 0.71,
        ideograph: 1.23, accented: 1.36, cyrillic: 0.66, foreign: 1.32, rare: 2.53)
    private static let qwenRates = Rates(
        word: 1.12, longLetter: 0.36, digit: 0.37, digitGroup: 2.03, sign: 0.42, lineBreak: 0.77,
        ideograph: 0.82, accented: 1.01, cyrillic: 0.38, foreign: 0.5, rare: 1.09)
    private static let mistralRates = Rates(
        word: 1.13, longLetter: 0.3, digit: 0.36, digitGroup: 2.05, sign: 0.45, lineBreak: 1.21,
        ideograph: 0.83, accented: 0.47, cyrillic: 0.35, foreign: 0.38, rare: 2.71)
    private static let otherRates = Rates(
        word: 1.37, longLetter: 0.39, digit: 0.37, digitGroup: 2.05, sign: 0.7, lineBreak: 1.21,
        ideograph: 1.23, accented: 1.36, cyrillic: 0.66, foreign: 1.32, rare: 2.71)
}
