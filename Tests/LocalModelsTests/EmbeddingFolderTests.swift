import Core
import Foundation
import TestSupport
import Testing

@testable import LocalModels

@Suite("Folders of embedding models")
struct EmbeddingFolderTests {
    @Test("A model is named for its folder, and its shapes say how large it is")
    func shapes() throws {
        let folder = try EncoderFolder()
        let embedder = try LocalEmbedder(folder: folder.path + "/", threads: 0)
        #expect(embedder.name == folder.path.split(separator: "/").last.map(String.init))
        #expect(embedder.dimensions == 24)
        #expect(embedder.tokensMax == 16)
    }

    @Test("An export that names everything after its model is read all the same")
    func prefixed() throws {
        var model = SafetensorsSample.encoder(words: 10)
        for index in model.tensors.indices {
            model.tensors[index].name.insert(
                contentsOf: "bert.", at: model.tensors[index].name.startIndex)
        }
        _ = try EncoderFolder(model).embedder()
    }

    @Test(
        "A missing file is named, with the command that says what there is",
        arguments: ["model.safetensors", "vocab.txt"])
    func missing(file: String) throws {
        let folder = try EncoderFolder()
        try FileManager.default.removeItem(atPath: folder.path + "/" + file)
        expect(.notFound, file) { try folder.embedder() }
        expect(.notFound, "heptad models list") { try folder.embedder() }
    }

    @Test(
        "What the small files say is kept to, or refused",
        arguments: [
            ("config.json", "{", Failure.Code.invalid, "config.json"),
            ("config.json", "[]", .invalid, "config.json"),
            ("config.json", #"{"num_attention_heads": 1e99}"#, .invalid, "config.json"),
            ("config.json", #"{"num_attention_heads": -3}"#, .invalid, "config.json"),
            ("config.json", #"{"num_attention_heads": 7}"#, .invalid, "7 heads"),
            ("config.json", #"{"layer_norm_eps": 0}"#, .invalid, "config.json"),
            ("config.json", #"{"hidden_act": "relu"}"#, .unsupported, "relu"),
            ("config.json", #"{"model_type": "roberta"}"#, .unsupported, "roberta"),
            (
                "config.json", #"{"position_embedding_type": "relative_key"}"#, .unsupported,
                "relative_key"
            ),
            ("sentence_bert_config.json", #"{"max_seq_length": 2}"#, .invalid, "numbers"),
            ("1_Pooling/config.json", #"{"pooling_mode_cls_token": true}"#, .unsupported, "mean"),
        ])
    func configuration(file: String, text: String, code: Failure.Code, words: String) throws {
        let folder = try EncoderFolder(files: [file: text])
        expect(code, words) { try folder.embedder() }
    }

    @Test("The small files may make texts shorter and keep capitals")
    func shorter() throws {
        let folder = try EncoderFolder(files: [
            "sentence_bert_config.json": #"{"max_seq_length": 12}"#,
            "tokenizer_config.json": #"{"do_lower_case": false}"#,
        ])
        #expect(try folder.embedder().tokensMax == 12)
        #expect(try EncoderConfiguration(folder: folder.path).lowercases == false)
    }

    @Test("A vocabulary larger than the model's is refused")
    func vocabulary() throws {
        let folder = try EncoderFolder(.encoder(words: 9))
        expect(.invalid, "10 pieces") { try folder.embedder() }
    }

    @Test("A model without any one of its tensors is refused, and that one is named")
    func missingTensors() throws {
        let whole = SafetensorsSample.encoder(words: 10)
        for index in whole.tensors.indices {
            var model = whole
            let name = model.tensors.remove(at: index).name
            let error = #expect(throws: Failure.self, "\(name)") {
                try BertEncoder(
                    MappedModel(name: "sample", copying: model.file), EncoderConfiguration())
            }
            // Without the tensor that layers are counted by there is none.
            let words = name.hasSuffix("layer.0.output.dense.weight") ? "layers" : name
            #expect(error?.message.contains(words) == true)
        }
    }

    @Test("A model that could not read a single word is refused")
    func noPlaces() throws {
        var model = SafetensorsSample.encoder(words: 10)
        for index in model.tensors.indices where model.tensors[index].name.contains("position") {
            model.tensors[index].shape[0] = 2
            model.tensors[index].bytes.removeLast(14 * 24 * 4)
        }
        let folder = try EncoderFolder(model)
        expect(.unsupported, "2 tokens") { try folder.embedder() }
    }

    @Test("A tensor of another shape or type is refused")
    func otherTensors() throws {
        let whole = SafetensorsSample.encoder(words: 10)
        for index in whole.tensors.indices {
            var halved = whole
            halved.tensors[index].type = "F16"
            halved.tensors[index].bytes.removeLast(halved.tensors[index].bytes.count / 2)
            var turned = whole
            turned.tensors[index].shape.append(1)
            for model in [halved, turned] {
                #expect(throws: Failure.self) {
                    try BertEncoder(
                        MappedModel(name: "sample", copying: model.file), EncoderConfiguration())
                }
            }
        }
    }
}
