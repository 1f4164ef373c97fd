import CKernels
import Core

/// Picks the next token. Bias and penalties change the model's logits, a constraint leaves out what
/// may not come, the filters look at the probabilities then, and temperature acts on what they
/// leave: a high temperature makes a small model livelier without letting nonsense in.
///
/// A value, so that a seed gives the same answer each time. Belongs to one answer.
struct Sampler: Sendable {
    /// What SmolLM2's authors recommend, and safe for any small model.
    static let temperatureDefault = 0.2
    static let topPDefault = 0.9
    static let topKDefault = 40
    static let stopBytesMax = 1024

    struct Pick: Hashable {
        let token: Int32
        /// Of the token, as the model has it: before bias, penalties, constraint and temperature.
        /// Nil when it was not asked for.
        var logprob: Double?
        /// The likeliest tokens in its place, best first.
        var top: [Alternative] = []
    }

    struct Alternative: Hashable {
        let token: Int32
        let logprob: Double
    }

    private let sampling: kernel_sampling
    private let outputTokensMax: Int
    private let topLogprobs: Int?
    private let bias: [(token: Int, amount: Float)]
    private let presencePenalty: Float
    private let frequencyPenalty: Float
    private let repetitionPenalty: Float
    private var constraint: OutputConstraint?
    private var generator: UInt64
    private var outputTokens = 0
    /// How often the answer has each token; kept only where a penalty looks at it.
    private var counts: [Int32: Int] = [:]
    private var promptTokens: Set<Int32> = []

    /// Throws `invalid` for options that mean nothing.
    ///
    /// - Parameters:
    ///   - prompt: what the repetition penalty looks at beside the answer.
    ///   - outputTokensMax: how many tokens there is room for, so that a constrained answer can end.
    init(
        _ options: SamplingOptions, prompt: [Int32] = [], outputTokensMax: Int = .max,
        constraint: OutputConstraint? = nil, random: @Sendable () -> UInt64
    ) throws {
        try Self.validate(options)
        sampling = kernel_sampling(
            temperature: Float(options.temperature ?? Self.temperatureDefault),
            top_p: Float(options.topP ?? Self.topPDefault),
            min_p: Float(options.minP ?? 0),
            top_k: options.topK ?? Self.topKDefault)
        self.outputTokensMax = outputTokensMax
        self.constraint = constraint
        topLogprobs = options.topLogprobs
        bias = options.logitBias.sorted { $0.key < $1.key }.map { ($0.key, Float($0.value)) }
        presencePenalty = Float(options.presencePenalty ?? 0)
        frequencyPenalty = Float(options.frequencyPenalty ?? 0)
        repetitionPenalty = Float(options.repetitionPenalty ?? 1)
        if repetitionPenalty != 1 { promptTokens = Set(prompt) }
        generator = options.seed ?? random()
    }

    /// Whether the answer is whole as it is, by its constraint.
    var isFinished: Bool { constraint?.isFinished ?? false }

    /// Whether a constrained answer may end as it is.
    var isComplete: Bool { constraint?.isComplete ?? false }

    /// What a token stands for in a constrained answer; nil where there is no constraint.
    func bytes(of token: Int32) -> [UInt8]? { constraint?.bytes(of: token) }

    /// The next token; nil when no logit of one that may come is a number. Changes `logits`.
    /// `candidates` is scratch with room for as many as there are logits.
    mutating func pick(
        from logits: UnsafeMutableBufferPointer<Float>,
        _ candidates: UnsafeMutablePointer<kernel_candidate>
    ) -> Pick? {
        guard !logits.isEmpty else { return nil }
        var pick: Pick?
        if let topLogprobs {
            // The logits are the model's own only until something is picked.
            let total = kernel_log_total(logits.baseAddress, logits.count)
            let own = Array(logits)
            let keep = min(topLogprobs, logits.count)
            let size =
                keep > 0
                ? kernel_largest(logits.baseAddress, logits.count, keep, candidates) : 0
            let top = (0..<size).map {
                Alternative(
                    token: candidates[$0].token,
                    logprob: Self.finite(Double(candidates[$0].logit) - total))
            }
            pick = choose(from: logits, candidates).map {
                Pick(
                    token: $0, logprob: Self.finite(Double(own[Int($0)]) - total), top: top)
            }
        } else {
            pick = choose(from: logits, candidates).map { Pick(token: $0) }
        }
        guard let pick else { return nil }
        outputTokens += 1
        constraint?.accept(pick.token)
        if presencePenalty != 0 || frequencyPenalty != 0 || repetitionPenalty != 1 {
            counts[pick.token, default: 0] += 1
        }
        return pick
    }

    private mutating func choose(
        from logits: UnsafeMutableBufferPointer<Float>,
        _ candidates: UnsafeMutablePointer<kernel_candidate>
    ) -> Int32? {
        adjust(logits)
        guard let first = draw(from: logits, candidates) else { return nil }
        guard constraint != nil else { return first }
        let tokensLeft = outputTokensMax - outputTokens
        // A token that may come is as good as one picked among those that may, and most may: the
        // mask is only made when it is needed.
        switch constraint?.verdict(on: first, tokensLeft: tokensLeft) {
        case .allowed?: return first
        case .noRoom?: return constraint?.closingToken()
        case .forbidden?, nil: break
        }
        if let mask = constraint?.mask() { kernel_mask(logits.baseAddress, logits.count, mask) }
        guard let second = draw(from: logits, candidates),
            constraint?.verdict(on: second, tokensLeft: tokensLeft) == .allowed
        else { return constraint?.closingToken() }
        return second
    }

    private mutating func draw(
        from logits: UnsafeMutableBufferPointer<Float>,
        _ candidates: UnsafeMutablePointer<kernel_candidate>
    ) -> Int32? {
        let token = withUnsafePointer(to: sampling) {
            kernel_sample(logits.baseAddress, logits.count, $0, uniform(), candidates)
        }
        return logits[Int(token)] > -.infinity ? token : nil
    }

    private func adjust(_ logits: UnsafeMutableBufferPointer<Float>) {
        if repetitionPenalty != 1 {
            for token in promptTokens.union(counts.keys) where logits.indices ~= Int(token) {
                let logit = logits[Int(token)]
                logits[Int(token)] =
                    logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty
            }
        }
        if presencePenalty != 0 || frequencyPenalty != 0 {
            for (token, count) in counts where logits.indices ~= Int(token) {
                logits[Int(token)] -= presencePenalty + frequencyPenalty * Float(count)
            }
        }
        for (token, amount) in bias where logits.indices ~= token {
            // OpenAI's ends of the scale are as good as a ban and a must.
            logits[token] = amount <= -100 ? -.infinity : logits[token] + amount
        }
    }

    /// What JSON can say: the logarithm of no chance at all is a number there.
    private static func finite(_ logprob: Double) -> Double {
        logprob.isFinite ? min(logprob, 0) : -9999
    }

    static func validate(_ options: SamplingOptions, vocabulary: Int = .max) throws {
        func check(_ value: Double?, _ range: ClosedRange<Double>, _ sentence: String) throws {
            guard let value else { return }
            guard range.contains(value) else { throw Failure(.invalid, sentence) }
        }
        try check(options.temperature, 0...100, "The temperature is a number from 0 to 100.")
        try check(options.minP, 0...1, "min_p is a number from 0 (off) to 1.")
        try check(options.presencePenalty, -2...2, "The presence penalty is from -2 to 2.")
        try check(options.frequencyPenalty, -2...2, "The frequency penalty is from -2 to 2.")
        try check(
            options.repetitionPenalty, 0.01...10, "The repetition penalty is from 0.01 to 10.")
        if let topK = options.topK {
            guard topK >= 0 else { throw Failure(.invalid, "top_k is 0 (off) or more.") }
        }
        if let topP = options.topP {
            guard topP > 0, topP <= 1 else {
                throw Failure(.invalid, "top_p is a number above 0, up to 1 (off).")
            }
        }
        if let tokens = options.outputTokensMax {
            guard tokens > 0 else { throw Failure(.invalid, "An answer has at least one token.") }
        }
        guard options.logitBias.count <= SamplingOptions.logitBiasMax,
            options.logitBias.values.allSatisfy({ (-100.0...100).contains($0) })
        else {
            throw Failure(
                .invalid,
                "A bias is from -100 to 100, for at most \(SamplingOptions.logitBiasMax) tokens.")
        }
        if let token = options.logitBias.keys.first(where: { !(0..<vocabulary).contains($0) }) {
            throw Failure(
                .invalid, "logit_bias names the token \(token); the model has \(vocabulary).")
        }
        guard (0...SamplingOptions.topLogprobsMax).contains(options.topLogprobs ?? 0) else {
            throw Failure(
                .invalid,
                "At most \(SamplingOptions.topLogprobsMax) alternatives of a token are told.")
        }
        guard options.stop.count <= SamplingOptions.stopMax,
            options.stop.allSatisfy({ $0.utf8.count <= stopBytesMax })
        else {
            throw Failure(
                .invalid,
                "There are at most \(SamplingOptions.stopMax) stop strings, each of at most "
                    + "\(stopBytesMax) bytes.")
        }
    }

    /// SplitMix64, as 53 bits of a number in 0..<1.
    private mutating func uniform() -> Double {
        generator &+= 0x9E37_79B9_7F4A_7C15
        var value = generator
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return Double((value ^ value >> 31) >> 11) * 0x1p-53
    }
}
