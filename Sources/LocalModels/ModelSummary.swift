import Core

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What a user wants to know of a model on disk, read from its tables without running it.
package struct ModelSummary: Hashable, Codable, Sendable {
    package enum Kind: String, Codable, Sendable { case chat, embedding, reranker }

    /// The tensors that are stored one way.
    package struct Share: Hashable, Codable, Sendable {
        /// Such as `Q4_1`.
        package var type: String
        package var tensors: Int
        package var parameters: Int
        package var bytes: Int
    }

    package struct Template: Hashable, Codable, Sendable {
        package var bytes: Int
        /// What the template speaks of, of `system`, `tools` and `thinking`.
        package var mentions: [String]
    }

    /// What the model will take, in bytes.
    package struct Memory: Hashable, Codable, Sendable {
        /// The file, whose pages the system may take back and share.
        package var mapped: Int
        /// Keys and values of 1,000 tokens of a conversation; nil where the shape is not known.
        package var keysAndValuesPer1000Tokens: Int?
    }

    package var name: String
    package var kind: Kind
    /// Of the file, or of all files of a folder.
    package var bytes: Int
    package var architecture: String?
    /// What its maker calls it.
    package var title: String?
    package var licence: String?
    package var baseModels: [String] = []
    package var parameters: Int?
    /// What its maker calls the mixture of types, such as `Q4_K_M`; else the type with most bytes.
    package var quantization: String?
    /// By bytes, most first.
    package var types: [Share] = []
    /// Of an embedding that is not the output too, which a token reads one row of.
    package var embeddingBytesUnread: Int?
    /// What the file allows; the configuration may allow less.
    package var contextTokens: Int?
    package var vocabulary: Int?
    package var dimensions: Int?
    package var template: Template?
    package var memory: Memory
    /// Why this engine cannot run it; nil when it can.
    package var refusal: String?

    static let textMax = 200
    static let baseModelsMax = 8

    /// A GGUF file. Throws `notFound` when there is none and `invalid` when it is damaged; what this
    /// engine cannot run is in `refusal`.
    package init(file path: String) throws {
        let file = try MappedModel(path: path)
        self.init(named: file, kind: .chat)
        do {
            try describe(GGUF(file))
            // The one judge of what runs is what runs it.
            _ = try LocalChatModel(path: path, threads: 1)
        } catch let failure as Failure where failure.code != .invalid {
            refusal = failure.message
        }
    }

    /// A folder with a sentence-embedding model or a reranker. Throws like the other.
    package init(folder path: String) throws {
        let file = try MappedModel(path: path + "/model.safetensors")
        self.init(
            named: file, kind: LocalReranker.isReranker(folder: path) ? .reranker : .embedding)
        let folder = path.hasSuffix("/") ? String(path.dropLast()) : path
        name = folder.split(separator: "/").last.map(String.init) ?? folder
        do {
            describe(try Safetensors(file))
            if kind == .reranker {
                contextTokens = try LocalReranker(folder: folder, threads: 1).tokensMax
            } else {
                let model = try LocalEmbedder(folder: folder, threads: 1)
                (dimensions, contextTokens) = (model.dimensions, model.tokensMax)
            }
        } catch let failure as Failure where failure.code != .invalid {
            refusal = failure.message
        }
        architecture = "bert"
    }

    private init(named file: MappedModel, kind: Kind) {
        name = file.name.hasSuffix(".gguf") ? String(file.name.dropLast(5)) : file.name
        self.kind = kind
        bytes = file.bytes.count
        memory = Memory(mapped: file.bytes.count)
    }

    private mutating func describe(_ gguf: GGUF) throws {
        func text(_ key: String) -> String? {
            guard case .string(let text)? = gguf.metadata[key], !text.isEmpty else { return nil }
            return String(text.prefix(Self.textMax))
        }
        architecture = text("general.architecture")
        title = text("general.name")
        licence = text("general.license") ?? text("general.license.name")
        baseModels = (0..<Self.baseModelsMax).compactMap { number in
            text("general.base_model.\(number).repo_url")
                ?? text("general.base_model.\(number).name")
        }
        describe(
            gguf.tensors.values.map { tensor in
                (
                    Self.typeNames[tensor.type.rawValue] ?? "type \(tensor.type.rawValue)",
                    tensor.columns * tensor.rows, tensor.bytes.count
                )
            })
        if gguf.tensors["output.weight"] != nil {
            embeddingBytesUnread = gguf.tensors["token_embd.weight"]?.bytes.count
        }
        if let code = try? gguf.integerIfPresent("general.file_type"),
            let mixture = Self.mixtureNames[code]
        {
            quantization = mixture
        }
        if let architecture {
            contextTokens = try? gguf.integerIfPresent("\(architecture).context_length")
        }
        if case .array(let tokens)? = gguf.metadata["tokenizer.ggml.tokens"] {
            vocabulary = tokens.count
        }
        if case .string(let source)? = gguf.metadata["tokenizer.chat_template"] {
            template = Template(source)
        }
        if let shape = try? ModelShape(gguf) {
            memory.keysAndValuesPer1000Tokens =
                KeyValuePages.bytesPerPage(shape) * 1000 / KeyValuePages.positions
        }
    }

    private mutating func describe(_ tensors: Safetensors) {
        describe(
            tensors.tensors.values.map { tensor in
                // The file's reader has held the product against the tensor's bytes.
                (tensor.type, tensor.shape.reduce(1, &*), tensor.bytes.count)
            })
    }

    private mutating func describe(_ tensors: [(type: String, parameters: Int, bytes: Int)]) {
        var shares: [String: Share] = [:]
        for tensor in tensors {
            var share =
                shares[tensor.type]
                ?? Share(type: tensor.type, tensors: 0, parameters: 0, bytes: 0)
            share.tensors += 1
            share.parameters += tensor.parameters
            share.bytes += tensor.bytes
            shares[tensor.type] = share
        }
        types = shares.values.sorted { ($0.bytes, $1.type) > ($1.bytes, $0.type) }
        parameters = types.reduce(0) { $0 + $1.parameters }
        quantization = types.first?.type
    }

    /// GGML's tensor types by number (`ggml.h`).
    private static let typeNames: [UInt32: String] = [
        0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1",
        10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 20: "IQ4_NL",
        23: "IQ4_XS", 30: "BF16", 39: "MXFP4",
    ]

    /// `general.file_type` by number (llama.cpp's `llama_ftype`).
    private static let mixtureNames: [Int: String] = [
        0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
        11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
        17: "Q5_K_M", 18: "Q6_K", 25: "IQ4_NL", 30: "IQ4_XS", 32: "BF16", 38: "MXFP4",
    ]
}

extension ModelSummary.Template {
    init(_ source: String) {
        bytes = source.utf8.count
        let marks = [
            ("system", ["system"]), ("tools", ["tools"]),
            ("thinking", ["enable_thinking", "<think>"]),
        ]
        mentions = marks.filter { $0.1.contains { source.contains($0) } }.map(\.0)
    }
}
