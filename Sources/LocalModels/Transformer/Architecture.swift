/// The families of decoders that can be run, by GGUF's names, and what sets them apart.
enum Architecture: String, Sendable, CaseIterable {
    case gemma3
    /// Also Mistral's models, and SmolLM2's.
    case llama
    case phi3
    case qwen2
    case qwen3
    case smollm3

    /// How the converters of each family have ordered the rows of queries and keys.
    var ropePairing: ModelShape.RopePairing {
        switch self {
        case .llama, .smollm3: .adjacent
        case .gemma3, .phi3, .qwen2, .qwen3: .halves
        }
    }

    /// Whether the heads of queries and keys are normalised before they are turned.
    var hasHeadNorms: Bool { self == .gemma3 || self == .qwen3 }

    /// Whether what attention and feed-forward add to the stream is normalised once more.
    var hasPostNorms: Bool { self == .gemma3 }

    /// Whether its files may slow the turning of each pair by a factor of its own.
    var hasRopeFactors: Bool { self == .llama || self == .phi3 }

    /// "gemma3, llama, … or smollm3"
    static var list: String {
        let names = allCases.map(\.rawValue)
        return names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
    }
}
