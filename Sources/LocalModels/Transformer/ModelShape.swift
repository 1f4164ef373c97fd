import Core

/// The sizes of a model and what sets its architecture apart, as its file states them. All of them
/// are decoders: norm, attention over what came before, norm, gated feed-forward, added to a stream.
struct ModelShape: Sendable, Equatable {
    enum Activation: Sendable {
        case silu
        /// In the approximation with tanh.
        case gelu
    }

    /// Which numbers of a head are turned together.
    enum RopePairing: Sendable {
        /// 2i and 2i + 1, as files of the llama architecture have them.
        case adjacent
        /// i and i + ropeWidth / 2.
        case halves
    }

    /// How the attention of a layer knows positions.
    struct LayerAttention: Sendable, Equatable {
        /// Which of `ropeFrequencies` turns its heads; nil for none.
        var rope: Int? = 0
        /// How many of the last tokens it sees, its own included; nil for all.
        var window: Int?
    }

    let architecture: Architecture
    let layers: Int
    let width: Int
    let feedForwardWidth: Int
    let heads: Int
    /// Heads of keys and values; each serves `heads / keyHeads` heads of queries.
    let keyHeads: Int
    let headWidth: Int
    /// How much of each head is turned by its position.
    let ropeWidth: Int
    let ropePairing: RopePairing
    /// For each way of turning, the angle of every pair from one position to the next.
    let ropeFrequencies: [[Double]]
    /// Cosines and sines are this much longer, in some ways to scale positions.
    let ropeMagnitude: Double
    let attention: [LayerAttention]
    /// What a query times a key is multiplied with.
    let attentionScale: Float
    let activation: Activation
    /// What the vector of a token is multiplied with before the first layer.
    let embeddingScale: Float
    let epsilon: Float
    let contextTokens: Int

    var keyWidth: Int { keyHeads * headWidth }
    var queryWidth: Int { heads * headWidth }

    /// `contextTokensMax` is how long conversations will get at most: some models turn their heads
    /// otherwise when these stay short.
    ///
    /// Throws `unsupported` with all that this engine lacks for the file, and `invalid` for sizes
    /// that cannot be.
    init(_ gguf: GGUF, contextTokensMax: Int = .max) throws {
        let file = gguf.file.name
        architecture = try Self.supportedArchitecture(gguf)
        let prefix = architecture.rawValue
        func size(_ key: String, default otherwise: Int? = nil, max: Int) throws -> Int {
            let value = try gguf.integerOfAllLayers("\(prefix).\(key)") ?? otherwise
            guard let value, (1...max).contains(value) else {
                throw GGUF.damaged(
                    file, "\(prefix).\(key) is \(value.map(String.init) ?? "missing")")
            }
            return value
        }
        layers = try size("block_count", max: 1024)
        width = try size("embedding_length", max: 1 << 17)
        feedForwardWidth = try size("feed_forward_length", max: 1 << 19)
        heads = try size("attention.head_count", max: 1024)
        keyHeads = try size("attention.head_count_kv", default: heads, max: heads)
        headWidth = try size("attention.key_length", default: width / heads, max: 4096)
        ropeWidth = try size("rope.dimension_count", default: headWidth, max: headWidth)
        contextTokens = try size("context_length", max: 1 << 24)
        guard heads % keyHeads == 0, ropeWidth % 2 == 0,
            try size("attention.value_length", default: headWidth, max: 4096) == headWidth
        else { throw GGUF.damaged(file, "its attention heads do not fit together") }
        let epsilon = try gguf.float("\(prefix).attention.layer_norm_rms_epsilon")
        guard epsilon >= 0, epsilon < 1 else {
            throw GGUF.damaged(file, "its epsilon is \(epsilon)")
        }
        self.epsilon = Float(epsilon)

        let rope = try RopeScaling(
            gguf, architecture, ropeWidth: ropeWidth, trainedTokens: contextTokens,
            contextTokens: min(contextTokens, contextTokensMax))
        ropePairing = architecture.ropePairing
        ropeMagnitude = rope.magnitude
        (ropeFrequencies, attention) = try Self.attention(
            gguf, architecture, layers: layers, contextTokens: contextTokens, rope)
        activation = architecture == .gemma3 ? .gelu : .silu
        embeddingScale = architecture == .gemma3 ? Float(width).squareRoot() : 1
        // Gemma 3's largest model, told by its layers, has heads that are not a share of the width.
        let scaledWidth = architecture == .gemma3 && layers == 62 ? width / heads : headWidth
        attentionScale = 1 / Float(max(1, scaledWidth)).squareRoot()
    }

    /// Throws `unsupported` with all that keeps the file from being run.
    private static func supportedArchitecture(_ gguf: GGUF) throws -> Architecture {
        var shortcomings = Shortcomings(gguf.file.name)
        let name = try gguf.string("general.architecture")
        let shownName = Shortcomings.printable(name)
        let architecture = Architecture(rawValue: name)
        if architecture == nil {
            shortcomings.add(
                "its architecture is \"\(shownName)\"", remedy: Architecture.list)
        }
        if let first = gguf.unreadableTensors.first {
            let others = gguf.unreadableTensors.count - 1
            shortcomings.add(
                "its tensor \(first.name) \(first.reason)"
                    + (others > 0 ? ", and \(others) more like it" : ""),
                remedy: "a file with weights of "
                    + TensorType.allCases.map(\.name).joined(separator: ", "))
        }
        let parts = try gguf.integerIfPresent("split.count") ?? 1
        if parts > 1 {
            shortcomings.add(
                "it is one of \(parts) parts", remedy: "all parts merged into one file")
        }
        if let experts = try gguf.integerIfPresent("\(name).expert_count"), experts > 0 {
            shortcomings.add(
                "it has \(experts) experts (\(shownName).expert_count)",
                remedy: "a model without")
        }
        for key in meaningfulKeys {
            let isNeutral =
                switch gguf.metadata["\(name).\(key)"] {
                case nil, .integer(0), .float(0), .boolean(false): true
                default: false
                }
            if !isNeutral {
                shortcomings.add(
                    "it uses \(shownName).\(key), which this engine does not know")
            }
        }
        if try !gguf.boolean("\(name).attention.causal", default: true) {
            shortcomings.add("its attention is not causal", remedy: "a model that writes text")
        }
        RopeScaling.check(gguf, name, &shortcomings)
        try shortcomings.check()
        guard let architecture else {
            throw GGUF.damaged(gguf.file.name, "it does not say its architecture")
        }
        return architecture
    }

    /// Keys that change what a network computes, and of which every value but 0 would be wrong to
    /// leave out.
    private static let meaningfulKeys = [
        "attention.clamp_kqv", "attention.max_alibi_bias", "attention.scale",
        "attention.temperature_scale", "attn_logit_softcapping", "embedding_scale",
        "final_logit_softcapping", "logit_scale", "residual_scale", "use_parallel_residual",
    ]

    /// How each layer sees what came before it.
    private static func attention(
        _ gguf: GGUF, _ architecture: Architecture, layers: Int, contextTokens: Int,
        _ rope: RopeScaling
    ) throws -> ([[Double]], [LayerAttention]) {
        let key = "\(architecture.rawValue).attention.sliding_window"
        let stated = try gguf.integerIfPresent(key) ?? 0
        guard (0...1 << 32).contains(stated) else {
            throw GGUF.damaged(gguf.file.name, "\(key) is \(stated)")
        }
        let window = stated == 0 || stated >= contextTokens ? nil : stated
        switch architecture {
        case .gemma3:
            // Five layers of six see a window, and turn by a base of their own, never scaled.
            guard stated > 0 else { break }
            let local = try RopeScaling.base(
                gguf, "\(architecture.rawValue).rope.freq_base_swa", default: 10_000)
            let period = try slidingPeriod(gguf, architecture)
            return (
                [rope.frequencies, rope.frequencies(base: local)],
                (0..<layers).map { layer in
                    layer % period < period - 1
                        ? LayerAttention(rope: 1, window: window) : LayerAttention()
                }
            )
        case .smollm3:
            // Every fourth layer goes without positions.
            return (
                [rope.frequencies],
                (0..<layers).map { LayerAttention(rope: ($0 + 1) % 4 == 0 ? nil : 0) }
            )
        case .phi3:
            // As its makers have it; llama.cpp leaves the window out.
            return (
                [rope.frequencies],
                Array(repeating: LayerAttention(window: window), count: layers)
            )
        case .llama, .qwen2, .qwen3:
            if let window {
                throw Failure(
                    .unsupported,
                    "\(gguf.file.name) cannot be run: it uses \(key) of \(window) tokens, and this "
                        + "engine knows windows of gemma3 and phi3 only.")
            }
        }
        return ([rope.frequencies], Array(repeating: LayerAttention(), count: layers))
    }

    private static func slidingPeriod(_ gguf: GGUF, _ architecture: Architecture) throws -> Int {
        let key = "\(architecture.rawValue).attention.sliding_window_pattern"
        let period = try gguf.integerIfPresent(key) ?? 6
        guard (1...1024).contains(period) else {
            throw GGUF.damaged(gguf.file.name, "\(key) is \(period)")
        }
        return period
    }
}
