import Core

/// The sizes of a Llama model, as its file states them.
struct LlamaShape: Sendable, Equatable {
    let layers: Int
    let width: Int
    let feedForwardWidth: Int
    let heads: Int
    /// Heads of keys and values; each serves `heads / keyHeads` heads of queries.
    let keyHeads: Int
    let headWidth: Int
    /// How much of each head is turned by its position.
    let ropeWidth: Int
    let ropeBase: Double
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

        ropeBase = try gguf.floatIfPresent("llama.rope.freq_base") ?? 10_000
        let epsilon = try gguf.float("llama.attention.layer_norm_rms_epsilon")
        guard ropeBase > 0, ropeBase < 1e12, epsilon >= 0, epsilon < 1 else {
            throw GGUF.damaged(file, "its rope base is \(ropeBase) and its epsilon \(epsilon)")
        }
        self.epsilon = Float(epsilon)
    }
}
