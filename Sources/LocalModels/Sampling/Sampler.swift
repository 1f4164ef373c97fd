import CKernels
import Core

/// Picks the next token. The filters look at the model's own probabilities, and temperature acts on
/// what they leave: a high temperature then makes a small model livelier without letting nonsense in.
///
/// A value, so that a seed gives the same answer each time.
struct Sampler {
    /// What SmolLM2's authors recommend, and safe for any small model.
    static let temperatureDefault = 0.2
    static let topPDefault = 0.9
    static let topKDefault = 40
    static let stopBytesMax = 1024

    private let sampling: kernel_sampling
    private var generator: UInt64

    /// Throws `invalid` for options that mean nothing.
    init(_ options: SamplingOptions, random: @Sendable () -> UInt64) throws {
        try Self.validate(options)
        sampling = kernel_sampling(
            temperature: Float(options.temperature ?? Self.temperatureDefault),
            top_p: Float(options.topP ?? Self.topPDefault),
            min_p: Float(options.minP ?? 0),
            top_k: options.topK ?? Self.topKDefault)
        generator = options.seed ?? random()
    }

    /// `candidates` is scratch with room for as many as there are logits.
    mutating func pick(
        from logits: UnsafeBufferPointer<Float>,
        _ candidates: UnsafeMutablePointer<kernel_candidate>
    ) -> Int32 {
        withUnsafePointer(to: sampling) {
            kernel_sample(logits.baseAddress, logits.count, $0, uniform(), candidates)
        }
    }

    static func validate(_ options: SamplingOptions) throws {
        if let temperature = options.temperature {
            guard temperature >= 0, temperature <= 100 else {
                throw Failure(.invalid, "The temperature is a number from 0 to 100.")
            }
        }
        if let topK = options.topK {
            guard topK >= 0 else { throw Failure(.invalid, "top_k is 0 (off) or more.") }
        }
        if let topP = options.topP {
            guard topP > 0, topP <= 1 else {
                throw Failure(.invalid, "top_p is a number above 0, up to 1 (off).")
            }
        }
        if let minP = options.minP {
            guard minP >= 0, minP <= 1 else {
                throw Failure(.invalid, "min_p is a number from 0 (off) to 1.")
            }
        }
        if let tokens = options.outputTokensMax {
            guard tokens > 0 else { throw Failure(.invalid, "An answer has at least one token.") }
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
