import CKernels
import Core

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// How a model turns the pairs of its heads by position, and how its file stretches this to contexts
/// longer than those of its training: not at all, evenly ("linear"), by pair ("yarn", Peng et al.
/// 2023, arXiv 2309.00071), or by a factor for each pair that the file lists (Llama 3, and "longrope",
/// Ding et al. 2024, arXiv 2402.13753). The conventions are those of llama.cpp, which GGUF files are
/// written for.
struct RopeScaling {
    /// The angle of every pair from one position to the next.
    let frequencies: [Double]
    /// What cosines and sines are multiplied with.
    let magnitude: Double
    private let width: Int

    /// The keys of a file that scale positions, of which "none" needs no others.
    private static let kinds = ["none", "linear", "yarn", "longrope"]

    /// Adds what is asked for and not known.
    static func check(_ gguf: GGUF, _ architecture: String, _ shortcomings: inout Shortcomings) {
        guard let value = gguf.metadata["\(architecture).rope.scaling.type"] else { return }
        let kind: String =
            if case .string(let text) = value { text } else { "\(value)" }
        let isYarnOfGemma = kind == "yarn" && architecture == Architecture.gemma3.rawValue
        if !kinds.contains(kind) || isYarnOfGemma {
            shortcomings.add(
                "it scales positions by \"\(Shortcomings.printable(kind))\"",
                remedy: isYarnOfGemma ? "none or linear" : "none, linear, yarn or longrope")
        }
        if let value = gguf.metadata["\(architecture).rope.scaling.yarn_log_multiplier"],
            value != .float(0)
        {
            shortcomings.add(
                "it uses \(Shortcomings.printable(architecture)).rope.scaling.yarn_log_multiplier, "
                    + "which this engine does not know")
        }
    }

    /// `trainedTokens` is what the file says of the context, `contextTokens` what will be used.
    init(
        _ gguf: GGUF, _ architecture: Architecture, ropeWidth: Int, trainedTokens: Int,
        contextTokens: Int
    ) throws {
        let prefix = architecture.rawValue + ".rope."
        func number(_ key: String, default otherwise: Double, in range: ClosedRange<Double>) throws
            -> Double
        {
            let value = try gguf.floatIfPresent(prefix + key) ?? otherwise
            guard range.contains(value) else {
                throw GGUF.damaged(gguf.file.name, "\(prefix)\(key) is \(value)")
            }
            return value
        }
        width = ropeWidth
        let base = try Self.base(gguf, prefix + "freq_base", default: 10_000)
        let kind = try gguf.stringIfPresent(prefix + "scaling.type") ?? "linear"
        var stretch = try number("scaling.factor", default: 0, in: 0...1e6)
        if stretch == 0 { stretch = try number("scale_linear", default: 0, in: 0...1e6) }
        if stretch == 0 || kind == "none" { stretch = 1 }
        guard stretch >= 1e-3 else {
            throw GGUF.damaged(gguf.file.name, "\(prefix)scaling.factor is \(stretch)")
        }
        let originalKey = prefix + "scaling.original_context_length"
        let original = try gguf.integerIfPresent(originalKey) ?? trainedTokens
        guard (1...1 << 32).contains(original) else {
            throw GGUF.damaged(gguf.file.name, "\(originalKey) is \(original)")
        }
        var magnitude = try number("scaling.attn_factor", default: 1, in: 1e-3...1e3)

        let factors = try Self.factors(
            gguf, architecture, pairs: ropeWidth / 2, isLong: contextTokens > original)
        var frequencies = Self.frequencies(base: base, width: ropeWidth)
        if let factors { frequencies = zip(frequencies, factors).map { $0 / Double($1) } }
        let ramp: Ramp?
        if kind == "yarn" {
            let strength = try number("scaling.yarn_ext_factor", default: 1, in: 0...1)
            ramp = Ramp(
                strength: strength, base: base, width: ropeWidth, original: original,
                fast: try number("scaling.yarn_beta_fast", default: 32, in: 1e-3...1e6),
                slow: try number("scaling.yarn_beta_slow", default: 1, in: 1e-3...1e6))
            if strength > 0 {
                magnitude *= stretch > 1 ? 1 + 0.1 * log(stretch) : 1
            } else {
                magnitude *= try number("scaling.yarn_attn_factor", default: 1, in: 1e-3...1e3)
            }
        } else {
            ramp = nil
        }
        self.magnitude = magnitude
        self.frequencies = frequencies.enumerated().map { pair, frequency in
            let kept = ramp?.kept(pair) ?? 0
            return frequency * (kept + (1 - kept) / stretch)
        }
    }

    /// The same heads turned by another base, and not stretched.
    func frequencies(base: Double) -> [Double] { Self.frequencies(base: base, width: width) }

    private static func frequencies(base: Double, width: Int) -> [Double] {
        (0..<width / 2).map { power(base, -2 * Double($0) / Double(width)) }
    }

    static func base(_ gguf: GGUF, _ key: String, default otherwise: Double) throws -> Double {
        let base = try gguf.floatIfPresent(key) ?? otherwise
        guard base >= 1, base < 1e12 else {
            throw GGUF.damaged(gguf.file.name, "\(key) is \(base)")
        }
        return base
    }

    /// The tensors that hold factors. A file has the first, or the other two.
    static let factorTensors = [
        "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight",
    ]

    /// What each pair is slowed by, where the file says so.
    private static func factors(
        _ gguf: GGUF, _ architecture: Architecture, pairs: Int, isLong: Bool
    ) throws -> [Float]? {
        guard architecture.hasRopeFactors else { return nil }
        let names = [factorTensors[0], factorTensors[isLong ? 1 : 2]]
        guard let name = names.first(where: { gguf.tensors[$0] != nil }),
            let tensor = gguf.tensors[name], let matrix = Matrix(tensor, in: gguf.file)
        else { return nil }
        guard tensor.rows == 1, tensor.columns == pairs, tensor.type.block.count == 1 else {
            throw GGUF.damaged(
                gguf.file.name, "\(name) does not have a number for each of \(pairs) pairs")
        }
        var factors = [Float](repeating: 0, count: pairs)
        kernel_expand_row(Int32(tensor.type.rawValue), matrix.row(0), pairs, &factors)
        guard factors.allSatisfy({ $0 >= 1e-3 && $0 <= 1e6 }) else {
            throw GGUF.damaged(gguf.file.name, "\(name) has a factor that cannot be")
        }
        return factors
    }
}

/// Of yarn: pairs that turn often within the original context keep their frequency, those that turn
/// less than once are stretched, and between the two lies a ramp.
private struct Ramp {
    private let strength: Double
    private let first: Double
    private let last: Double

    init(strength: Double, base: Double, width: Int, original: Int, fast: Double, slow: Double) {
        /// The pair that turns so many times within the original context.
        func pair(turns: Double) -> Double {
            let pair =
                Double(width) * log(Double(original) / (turns * 2 * Double.pi)) / (2 * log(base))
            return pair.isFinite ? pair : 0
        }
        self.strength = strength
        first = max(0, pair(turns: fast).rounded(.down))
        last = min(Double(width - 1), pair(turns: slow).rounded(.up))
    }

    /// How much of its frequency a pair keeps.
    func kept(_ pair: Int) -> Double {
        let place = (Double(pair) - first) / max(0.001, last - first)
        return strength * (1 - min(1, max(0, place)))
    }
}
