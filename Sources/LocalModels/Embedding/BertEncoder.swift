import Core

/// The weights of a BERT encoder, where they lie in the mapped file. `EncoderPass` computes with
/// them.
struct BertEncoder: Sendable {
    /// A product with a matrix of `outputs x inputs`, plus a bias.
    struct Linear {
        let weight: UnsafePointer<Float>
        let bias: UnsafePointer<Float>
        let inputs: Int
        let outputs: Int
    }

    struct Norm {
        let weight: UnsafePointer<Float>
        let shift: UnsafePointer<Float>
    }

    struct Layer {
        let query: Linear
        let key: Linear
        let value: Linear
        let attended: Linear
        let attendedNorm: Norm
        let widened: Linear
        let narrowed: Linear
        let norm: Norm
    }

    static let layersMax = 256
    static let widthMax = 1 << 14
    static let wordsMax = 1 << 22

    /// Numbers in the vector of one token, and of them in each head.
    let width: Int
    let heads: Int
    /// Numbers in the vector of one token between the two products at the end of a layer.
    let innerWidth: Int
    let positions: Int
    let vocabulary: Int
    /// Whose texts it tells apart: the first and the second of a pair.
    let kinds: Int
    let epsilon: Float
    // SAFETY: all of them point into `file`, which is read-only and lives as long as this value.
    nonisolated(unsafe) let layers: [Layer]
    nonisolated(unsafe) let words: UnsafePointer<Float>
    nonisolated(unsafe) let places: UnsafePointer<Float>
    nonisolated(unsafe) let types: UnsafePointer<Float>
    nonisolated(unsafe) let norm: Norm
    private let file: MappedModel

    var headWidth: Int { width / heads }

    /// Finds the weights; their shapes say how large the model is. None of them is touched.
    init(_ file: MappedModel, _ configuration: EncoderConfiguration) throws {
        let tensors = try Safetensors(file)
        // Some exports name everything after the model that it is part of.
        let prefix = tensors.tensors["bert.embeddings.word_embeddings.weight"] == nil ? "" : "bert."
        func matrix(_ name: String) throws -> (rows: Int, columns: Int) {
            guard let shape = tensors.tensors[prefix + name]?.shape, shape.count == 2 else {
                throw Failure(.unsupported, "\(file.name) is no BERT model: \(name) is missing.")
            }
            guard (1...Self.wordsMax).contains(shape[0]), (1...Self.widthMax).contains(shape[1])
            else {
                throw Failure(.unsupported, "\(file.name): \(name) has shape \(shape).")
            }
            return (shape[0], shape[1])
        }
        func floats(_ name: String, _ shape: Int...) throws -> UnsafePointer<Float> {
            try tensors.floats(prefix + name, shape)
        }
        func norm(_ name: String, _ width: Int) throws -> Norm {
            Norm(
                weight: try floats(name + ".weight", width),
                shift: try floats(name + ".bias", width))
        }
        func linear(_ name: String, _ inputs: Int, _ outputs: Int) throws -> Linear {
            Linear(
                weight: try floats(name + ".weight", outputs, inputs),
                bias: try floats(name + ".bias", outputs), inputs: inputs, outputs: outputs)
        }

        self.file = file
        epsilon = configuration.epsilon
        (vocabulary, width) = try matrix("embeddings.word_embeddings.weight")
        positions = try matrix("embeddings.position_embeddings.weight").rows
        innerWidth = try matrix("encoder.layer.0.intermediate.dense.weight").rows
        guard positions > 2, innerWidth <= 4 * Self.widthMax else {
            throw Failure(
                .unsupported, "\(file.name) reads \(positions) tokens of \(innerWidth) numbers.")
        }
        let heads = configuration.heads > 0 ? configuration.heads : 12
        guard width % heads == 0 else {
            throw Failure(.invalid, "\(file.name): \(heads) heads do not divide \(width) numbers.")
        }
        self.heads = heads
        words = try floats("embeddings.word_embeddings.weight", vocabulary, width)
        places = try floats("embeddings.position_embeddings.weight", positions, width)
        kinds = try matrix("embeddings.token_type_embeddings.weight").rows
        types = try floats("embeddings.token_type_embeddings.weight", kinds, width)
        self.norm = try norm("embeddings.LayerNorm", width)

        var layers: [Layer] = []
        while tensors.tensors["\(prefix)encoder.layer.\(layers.count).output.dense.weight"] != nil {
            guard layers.count < Self.layersMax else {
                throw Failure(.unsupported, "\(file.name) has more than \(Self.layersMax) layers.")
            }
            let name = "encoder.layer.\(layers.count)"
            layers.append(
                Layer(
                    query: try linear(name + ".attention.self.query", width, width),
                    key: try linear(name + ".attention.self.key", width, width),
                    value: try linear(name + ".attention.self.value", width, width),
                    attended: try linear(name + ".attention.output.dense", width, width),
                    attendedNorm: try norm(name + ".attention.output.LayerNorm", width),
                    widened: try linear(name + ".intermediate.dense", width, innerWidth),
                    narrowed: try linear(name + ".output.dense", innerWidth, width),
                    norm: try norm(name + ".output.LayerNorm", width)))
        }
        guard !layers.isEmpty else {
            throw Failure(.unsupported, "\(file.name) is no BERT model: it has no layers.")
        }
        self.layers = layers
    }
}
