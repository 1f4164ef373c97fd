import CKernels
import Foundation
import Testing

@testable import LocalModels

/// Tiny models of every architecture, with weights by chance that are the same in every run. What
/// llama.cpp says about them is in Fixtures/model_families.json.
struct ModelFamily: CustomTestStringConvertible, Sendable {
    let name: String
    var architecture: String
    var type = TensorType.f32
    /// Nil for one that suits the type and the architecture.
    var width: Int?
    var layers = 2
    var heads = 4
    var keyHeads = 2
    var headWidth = 32
    var feedForwardWidth = 96
    var contextTokens = 256
    /// Beside the sizes, without the name of the architecture.
    var keys: [(String, GGUFWriter.Value)] = []
    var features: Set<Feature> = []
    /// Of `rope_freqs.weight`, or of the long and the short factors.
    var ropeFactors: [String] = []

    enum Feature: Sendable { case biases, headNorms, postNorms, fused, untied }

    var testDescription: String { name }
    static let vocabulary = TinyModel.tokens.count

    static let all: [ModelFamily] =
        [
            ModelFamily(name: "llama", architecture: "llama"),
            ModelFamily(
                name: "llama-biases-untied", architecture: "llama", features: [.biases, .untied]),
            ModelFamily(
                name: "llama-linear", architecture: "llama",
                keys: [
                    ("rope.scaling.type", .text("linear")), ("rope.scaling.factor", .float(4)),
                ]),
            ModelFamily(
                name: "llama-yarn", architecture: "llama",
                keys: [
                    ("rope.scaling.type", .text("yarn")), ("rope.scaling.factor", .float(4)),
                    ("rope.scaling.original_context_length", .integer(64)),
                ]),
            ModelFamily(name: "llama-factors", architecture: "llama", ropeFactors: ["rope_freqs"]),
            ModelFamily(name: "qwen2", architecture: "qwen2", features: [.biases]),
            ModelFamily(
                name: "qwen2-yarn", architecture: "qwen2",
                keys: [
                    ("rope.scaling.type", .text("yarn")), ("rope.scaling.factor", .float(8)),
                    ("rope.scaling.original_context_length", .integer(32)),
                    ("rope.scaling.attn_factor", .float(0.9)),
                ], features: [.biases, .untied]),
            ModelFamily(
                name: "qwen3", architecture: "qwen3", headWidth: 64, features: [.headNorms]),
            ModelFamily(
                name: "gemma3", architecture: "gemma3", layers: 7, keyHeads: 1, headWidth: 48,
                keys: [
                    ("attention.sliding_window", .integer(8)), ("rope.freq_base", .float(1e6)),
                    ("rope.scaling.type", .text("linear")), ("rope.scaling.factor", .float(8)),
                ], features: [.headNorms, .postNorms]),
            ModelFamily(name: "smollm3", architecture: "smollm3", layers: 5),
            ModelFamily(name: "phi3", architecture: "phi3", features: [.fused, .untied]),
            ModelFamily(
                name: "phi3-short", architecture: "phi3",
                keys: [
                    ("rope.scaling.original_context_length", .integer(512)),
                    ("rope.scaling.attn_factor", .float(1.2)),
                    ("rope.dimension_count", .integer(24)),
                ], features: [.fused, .untied],
                ropeFactors: ["rope_factors_long", "rope_factors_short"]),
            ModelFamily(
                name: "phi3-long", architecture: "phi3",
                keys: [
                    ("rope.scaling.original_context_length", .integer(128)),
                    ("rope.scaling.attn_factor", .float(1.2)),
                ], features: [.fused],
                ropeFactors: ["rope_factors_long", "rope_factors_short"]),
        ]
        + TensorType.allCases.filter { $0 != .f32 }.map { type in
            ModelFamily(
                name: "llama-" + type.name, architecture: "llama", type: type, headWidth: 64,
                feedForwardWidth: 256)
        }

    func writer() -> GGUFWriter {
        var writer = GGUFWriter()
        let width = width ?? defaultWidth
        func integer(_ key: String, _ value: Int) -> (String, GGUFWriter.Value) {
            ("\(architecture).\(key)", .integer(UInt32(value)))
        }
        writer.metadata = [
            ("general.architecture", .text(architecture)),
            integer("block_count", layers),
            integer("context_length", contextTokens),
            integer("embedding_length", width),
            integer("feed_forward_length", feedForwardWidth),
            integer("attention.head_count", heads),
            integer("attention.head_count_kv", keyHeads),
            integer("attention.key_length", headWidth),
            integer("attention.value_length", headWidth),
            ("\(architecture).attention.layer_norm_rms_epsilon", .float(1e-5)),
            ("tokenizer.ggml.model", .text("gpt2")),
            ("tokenizer.ggml.pre", .text("smollm")),
            ("tokenizer.ggml.tokens", .texts(TinyModel.tokens)),
            (
                "tokenizer.ggml.token_type",
                .integers(TinyModel.tokens.indices.map { (256...258).contains($0) ? 3 : 1 })
            ),
            ("tokenizer.ggml.merges", .texts(["h e", "l l", "he ll"])),
            ("tokenizer.ggml.eos_token_id", .integer(258)),
            ("tokenizer.chat_template", .text(TinyModel.template)),
        ]
        if !keys.contains(where: { $0.0 == "rope.dimension_count" }) {
            writer.metadata.append(integer("rope.dimension_count", headWidth))
        }
        writer.metadata += keys.map { ("\(architecture).\($0.0)", $0.1) }
        addTensors(to: &writer, width)
        return writer
    }

    private var defaultWidth: Int {
        // Rows are whole blocks.
        if type.block.count > 32 { return 256 }
        // llama.cpp wants heads that make up the width in some architectures.
        return ["phi3", "qwen2", "smollm3"].contains(architecture) ? heads * headWidth : 64
    }

    private func addTensors(to writer: inout GGUFWriter, _ width: Int) {
        var random = Random(state: 33)
        func add(_ name: String, _ dimensions: [Int], _ type: TensorType, _ values: [Float]) {
            writer.tensors.append(
                (name, dimensions, type.rawValue, TinyModel.encode(values, type)))
        }
        func matrix(_ name: String, _ columns: Int, _ rows: Int, scale: Float = 1.5) {
            let size = scale / Float(columns).squareRoot()
            add(
                name + ".weight", [columns, rows], type,
                (0..<columns * rows).map { _ in random.number() * size })
        }
        /// Numbers about `middle`.
        func vector(_ name: String, _ columns: Int, middle: Float, spread: Float) {
            add(
                name, [columns], .f32, (0..<columns).map { _ in middle + random.number() * spread })
        }
        func norm(_ name: String, _ columns: Int) {
            vector(name + ".weight", columns, middle: 1, spread: 0.5)
        }
        let (queries, keys) = (heads * headWidth, keyHeads * headWidth)
        matrix("token_embd", width, Self.vocabulary, scale: 4)
        for layer in 0..<layers {
            let name = "blk.\(layer)."
            norm(name + "attn_norm", width)
            if features.contains(.fused) {
                matrix(name + "attn_qkv", width, queries + 2 * keys, scale: 3)
                matrix(name + "ffn_up", width, 2 * feedForwardWidth)
            } else {
                // Steep enough that positions matter.
                matrix(name + "attn_q", width, queries, scale: 3)
                matrix(name + "attn_k", width, keys, scale: 3)
                matrix(name + "attn_v", width, keys)
                matrix(name + "ffn_gate", width, feedForwardWidth)
                matrix(name + "ffn_up", width, feedForwardWidth)
            }
            if features.contains(.biases) {
                vector(name + "attn_q.bias", queries, middle: 0, spread: 1)
                vector(name + "attn_k.bias", keys, middle: 0, spread: 1)
                vector(name + "attn_v.bias", keys, middle: 0, spread: 1)
            }
            if features.contains(.headNorms) {
                norm(name + "attn_q_norm", headWidth)
                norm(name + "attn_k_norm", headWidth)
            }
            if features.contains(.postNorms) {
                norm(name + "post_attention_norm", width)
                norm(name + "post_ffw_norm", width)
            }
            matrix(name + "attn_output", queries, width)
            norm(name + "ffn_norm", width)
            matrix(name + "ffn_down", feedForwardWidth, width)
        }
        norm("output_norm", width)
        if features.contains(.untied) { matrix("output", width, Self.vocabulary, scale: 4) }
        let pairs = self.keys.first { $0.0 == "rope.dimension_count" }.map { _ in 12 }
        for name in ropeFactors {
            vector(name + ".weight", pairs ?? headWidth / 2, middle: 3, spread: 2)
        }
    }

    /// The log-probabilities of every token after each length of the prompt, with the best kernels
    /// where no others are asked for.
    func logprobs(
        after lengths: [Int], threads: Int = 1, kernelSet: Int32? = nil
    ) async throws -> [[Double]] {
        let gguf = try GGUF(MappedModel(name: name, copying: writer().bytes()))
        let shape = try ModelShape(gguf, contextTokensMax: contextTokens)
        let weights = try ModelWeights(gguf, shape, vocabulary: Self.vocabulary)
        let pool = try WorkerPool(threads: threads)
        let (results, result) = AsyncStream.makeStream(of: [[Double]].self)
        try pool.submit {
            let answers = lengths.map { length -> [Double] in
                let set = kernelSet.flatMap { kernel_set_at($0) } ?? kernel_set_best()
                guard let kernels = set?.pointee, let pages = try? KeyValuePages(shape, count: 2)
                else { return [] }
                let transformer = Transformer(
                    shape, weights, pages: pages, pool: pool, kernels: kernels)
                let step = Step(tokens: Self.prompt[..<length], position: 0, pages: [0, 1])
                guard transformer.read([step], isCancelled: { false }) else { return [] }
                let logits = transformer.logits(rows: [length - 1]).map(Double.init)
                let largest = logits.max() ?? 0
                let sum = logits.reduce(0) { $0 + exp($1 - largest) }
                return logits.map { $0 - largest - log(sum) }
            }
            result.yield(answers)
            result.finish()
        }
        for await answers in results { return answers }
        throw CancellationError()
    }

    /// Tokens by chance.
    static let prompt: [Int32] = {
        var random = Random(state: 77)
        return (0..<48).map { _ in Int32(random.below(256)) }
    }()

    /// How much of the prompt is read before the next token is asked for.
    static let promptLengths = [1, 5, 17, 48]
}
