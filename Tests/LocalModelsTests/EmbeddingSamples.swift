import CKernels
import Foundation
import TestSupport

@testable import LocalModels

/// The real embedding model, where it is there, and small ones that tests write themselves.
enum EmbeddingSamples {
    static let skipped = "There is no all-MiniLM-L6-v2; `make models` fetches it."

    /// In the folder that HEPTAD_MODELS names, or else in `models` beside Package.swift.
    static let minilm: String? = {
        let models =
            ProcessInfo.processInfo.environment["HEPTAD_MODELS"] ?? package + "/models"
        let folder = models + "/all-MiniLM-L6-v2"
        return FileManager.default.fileExists(atPath: folder + "/model.safetensors") ? folder : nil
    }()

    /// The sets that this processor can run, by name.
    // SAFETY: tables of functions that never change.
    nonisolated(unsafe) static let kernels: [String: EncoderKernels] = {
        var sets: [String: EncoderKernels] = [:]
        for index in 0..<8 {
            guard let set = encoder_kernels_at(Int32(index)) else { break }
            sets[String(cString: set.pointee.name)] = set
        }
        return sets
    }()

    /// The best set, made to choose formats as on a processor that is fastest with bytes.
    // SAFETY: it never changes, and is there as long as the process.
    nonisolated(unsafe) static let choosingBytes: EncoderKernels = {
        let set = UnsafeMutablePointer<encoder_kernels>.allocate(capacity: 1)
        set.initialize(to: encoder_kernels_best().pointee)
        set.pointee.bytes_are_fast = true
        return UnsafePointer(set)
    }()

    static func fixture<File: Decodable>(_ name: String) throws -> File {
        let path = package + "/Tests/Fixtures/" + name
        return try JSONDecoder().decode(File.self, from: Data(contentsOf: URL(filePath: path)))
    }

    private static let package = {
        var folder = URL(filePath: #filePath)
        while folder.path.count > 1,
            !FileManager.default.fileExists(atPath: folder.appending(path: "Package.swift").path)
        {
            folder.deleteLastPathComponent()
        }
        return folder.path
    }()
}

/// `items` of the reference files.
struct ReferenceTexts: Decodable {
    struct Item: Decodable {
        let text: String
        let ids: [Int32]
        let embedding: [Float]?
    }

    let items: [Item]
}

/// A safetensors file in the making.
struct SafetensorsSample {
    var tensors: [(name: String, type: String, shape: [Int], bytes: [UInt8])] = []

    mutating func add(_ name: String, _ shape: Int..., value: (Int) -> Float) {
        let count = shape.reduce(1, *)
        let bytes = (0..<count).flatMap { index in
            withUnsafeBytes(of: value(index).bitPattern.littleEndian, Array.init)
        }
        tensors.append((name, "F32", shape, bytes))
    }

    var file: [UInt8] {
        var offset = 0
        let entries = tensors.map { tensor in
            defer { offset += tensor.bytes.count }
            return
                #""\#(tensor.name)":{"dtype":"\#(tensor.type)","shape":\#(tensor.shape),"data_offsets":[\#(offset),\#(offset + tensor.bytes.count)]}"#
        }
        return Self.file(
            header: #"{"__metadata__":{"format":"pt"},"# + entries.joined(separator: ",") + "}",
            data: tensors.flatMap(\.bytes))
    }

    /// The header is padded to a multiple of eight bytes, as the format's own writer does.
    static func file(header: String, data: [UInt8]) -> [UInt8] {
        var header = Array(header.utf8)
        while header.count % 8 != 0 { header.append(UInt8(ascii: " ")) }
        return withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init) + header + data
    }

    /// A BERT encoder of one layer, 24 numbers for a token in 12 heads, 16 positions and as many
    /// words as `words`. Its weights are small and never the same.
    static func encoder(words: Int, value: @escaping (Int) -> Float = { sin(Float($0)) / 4 })
        -> SafetensorsSample
    {
        var sample = SafetensorsSample()
        let (width, inner) = (24, 48)
        func linear(_ name: String, _ inputs: Int, _ outputs: Int) {
            sample.add(name + ".weight", outputs, inputs, value: value)
            sample.add(name + ".bias", outputs, value: value)
        }
        func norm(_ name: String) {
            sample.add(name + ".weight", width) { _ in 1 }
            sample.add(name + ".bias", width) { _ in 0 }
        }
        sample.add("embeddings.word_embeddings.weight", words, width, value: value)
        sample.add("embeddings.position_embeddings.weight", 16, width, value: value)
        sample.add("embeddings.token_type_embeddings.weight", 2, width, value: value)
        norm("embeddings.LayerNorm")
        let layer = "encoder.layer.0."
        for part in ["query", "key", "value"] {
            linear(layer + "attention.self." + part, width, width)
        }
        linear(layer + "attention.output.dense", width, width)
        norm(layer + "attention.output.LayerNorm")
        linear(layer + "intermediate.dense", width, inner)
        linear(layer + "output.dense", inner, width)
        norm(layer + "output.LayerNorm")
        return sample
    }
}

/// A folder with a small model in it.
struct EncoderFolder {
    static let vocabulary = [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "##b", "c", "hello", ".",
    ]

    let folder: TemporaryFolder
    var path: String { folder.path }

    init(
        _ model: SafetensorsSample = .encoder(words: vocabulary.count),
        vocabulary: [String] = Self.vocabulary, files: [String: String] = [:]
    ) throws {
        folder = try TemporaryFolder()
        try write("model.safetensors", Data(model.file))
        try write("vocab.txt", Data((vocabulary.joined(separator: "\n") + "\n").utf8))
        for (name, text) in files { try write(name, Data(text.utf8)) }
    }

    /// The folder may go once the model is mapped.
    func embedder(
        threads: Int = 1, precision: EmbeddingPrecision = .auto,
        kernels: EncoderKernels = encoder_kernels_best(), callsMax: Int = LocalEmbedder.callsMax
    ) throws -> LocalEmbedder {
        try withExtendedLifetime(folder) {
            try LocalEmbedder(
                folder: path, threads: threads, precision: precision, kernels: kernels,
                callsMax: callsMax)
        }
    }

    func write(_ name: String, _ content: Data) throws {
        let file = URL(filePath: path).appending(path: name)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try content.write(to: file)
    }
}
