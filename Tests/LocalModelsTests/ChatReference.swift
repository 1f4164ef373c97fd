import Foundation

@testable import LocalModels

/// The real model and what llama.cpp and an exact forward pass say about it. One model is shared by
/// all tests, since its vocabulary takes a moment to read in a debug build.
enum ChatReference {
    static let path = modelsFolder + "/SmolLM2-135M-Instruct.Q4_1.gguf"
    static let isThere = FileManager.default.fileExists(atPath: path)
    static let howToFetch = "The model is not there. Run `make models` to fetch it."

    static let model = Result { try LocalChatModel(path: path, threads: 0) }
    private static let preciseModel = Result {
        var options = LocalModelOptions()
        options.precision = .precise
        return try LocalChatModel(path: path, options: options)
    }

    static func model(_ precision: ChatPrecision) throws -> LocalChatModel {
        try (precision == .precise ? preciseModel : model).get()
    }

    struct File: Decodable {
        struct Tensor: Decodable {
            let name: String
            let type: String
            let shape: [Int]
            let bytes: Int
            let offset: Int
        }
        let tensors: [Tensor]
    }

    struct Tokenized: Decodable {
        struct Item: Decodable {
            let text: String
            let ids: [Int32]
        }
        let items: [Item]
    }

    struct Greedy: Decodable {
        struct Message: Decodable {
            let role: String
            let content: String
        }
        struct Item: Decodable {
            let messages: [Message]?
            let text: String
            let promptIds: [Int32]
            let outputIds: [Int32]
            let top2Gap: [Double]
            let f32OutputIds: [Int32]
        }
        let items: [Item]
    }

    struct Logits: Decodable {
        struct Item: Decodable {
            let text: String
            let promptIds: [Int32]
            let f32TopIds: [Int]
            let f32TopLogits: [Float]
        }
        let items: [Item]
    }

    struct Surprise: Decodable {
        let ids: [Int32]
        let f32MeanNll: Double
        let f32Nll: [Double]
    }

    static func read<T: Decodable>(_ type: T.Type, _ name: String) throws -> T {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(
            type, from: Data(contentsOf: folder.appending(path: name)))
    }

    private static let modelsFolder: String = {
        if let folder = ProcessInfo.processInfo.environment["HEPTAD_MODELS"] { return folder }
        var folder = URL(filePath: #filePath).deletingLastPathComponent()
        while folder.path != "/" {
            if FileManager.default.fileExists(atPath: folder.appending(path: "Package.swift").path)
            {
                return folder.appending(path: "models").path
            }
            folder.deleteLastPathComponent()
        }
        return "models"
    }()
}
