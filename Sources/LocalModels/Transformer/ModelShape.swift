import Core

/// The sizes of a model and what sets its architecture apart, as its file states them. All of them
/// are decoders: norm, attention over what came before, norm, gated feed-forward, added to a stream.
struct ModelShape: Sendable, Equatable {
    enum Activation: Sendable { case silu, gelu }

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

    /// Throws `unsupported` for what this engine cannot run, `invalid` for sizes that cannot be.
    init(_ gguf: GGUF) throws {
        let file = gguf.file.name
        let architecture = try gguf.string("general.architecture")
        guard architecture == "llama" else {
            throw Failure(
                .unsupported,
                "\(file) cannot be run: its architecture is \"\(architecture)\"; only \"llama\" can."
            )
        }
        for key in ["llama.expert_count", "llama.attention.sliding_window"] {
            guard try gguf.integerIfPresent(key) ?? 0 == 0 else {
                throw Failure(.unsupported, "\(file) cannot be run: it uses \(key).")
            }
        }
        let scaling = try gguf.stringIfPresent("llama.rope.scaling.type") ?? "none"
        guard scaling == "none" else {
            throw Failure(
                .unsupported, "\(file) cannot be run: it scales positions by \"\(scaling)\".")
        }

        func size(_ key: String, default otherwise: Int? = nil, max: Int) throws -> Int {
            let value = try gguf.integerIfPresent("llama.\(key)") ?? otherwise
            guard let value, (1...max).contains(value) else {
                throw GGUF.damaged(file, "llama.\(key) is \(value.map(String.init) ?? "missing")")
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

        let ropeBase = try gguf.floatIfPresent("llama.rope.freq_base") ?? 10_000
        let epsilon = try gguf.float("llama.attention.layer_norm_rms_epsilon")
        guard ropeBase > 0, ropeBase < 1e12, epsilon >= 0, epsilon < 1 else {
            throw GGUF.damaged(file, "its rope base is \(ropeBase) and its epsilon \(epsilon)")
        }
        self.epsilon = Float(epsilon)
        let ropeWidth = ropeWidth
        ropePairing = .adjacent
        ropeFrequencies = [
            (0..<ropeWidth / 2).map { power(ropeBase, -2 * Double($0) / Double(ropeWidth)) }
        ]
        ropeMagnitude = 1
        attention = Array(repeating: LayerAttention(), count: layers)
        attentionScale = 1 / Float(headWidth).squareRoot()
        activation = .silu
        embeddingScale = 1
    }
}
