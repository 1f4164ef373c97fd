import Core
import Foundation
import TestSupport
import Testing

@testable import LocalModels

@Suite("GGUF files")
struct GGUFTests {
    @Test("Values of every kind are read")
    func values() throws {
        var writer = GGUFWriter()
        writer.metadata = [
            ("u8", .raw(type: 0, bytes: [200])), ("i8", .raw(type: 1, bytes: [0xFF])),
            ("u16", .raw(type: 2, bytes: [1, 2])), ("i16", .raw(type: 3, bytes: [0xFE, 0xFF])),
            ("u32", .integer(7)), ("i32", .raw(type: 5, bytes: [0xFD, 0xFF, 0xFF, 0xFF])),
            ("f32", .float(1.5)), ("bool", .boolean(true)), ("text", .text("é")),
            ("u64", .raw(type: 10, bytes: [9, 0, 0, 0, 0, 0, 0, 0])),
            ("i64", .raw(type: 11, bytes: Array(repeating: 0xFF, count: 8))),
            ("f64", .raw(type: 12, bytes: [0, 0, 0, 0, 0, 0, 0xF8, 0x3F])),
            ("texts", .texts(["a", "", "bc"])), ("numbers", .integers([-1, 5])),
        ]
        writer.tensors = [("t", [4, 2], 0, Array(repeating: 0, count: 32))]
        let file = MappedModel(name: "values.gguf", copying: writer.bytes())
        let gguf = try GGUF(file)
        let expected: [String: GGUF.Value] = [
            "u8": .integer(200), "i8": .integer(-1), "u16": .integer(513), "i16": .integer(-2),
            "u32": .integer(7), "i32": .integer(-3), "f32": .float(1.5), "bool": .boolean(true),
            "text": .string("é"), "u64": .integer(9), "i64": .integer(-1), "f64": .float(1.5),
        ]
        for (key, value) in expected { #expect(gguf.metadata[key] == value, "\(key)") }
        let texts = try #require(try gguf.strings("texts"))
        #expect(texts.map { String(decoding: file.bytes[$0], as: UTF8.self) } == ["a", "", "bc"])
        #expect(try gguf.integers("numbers") == [-1, 5])
        #expect(gguf.tensors["t"]?.columns == 4)
        #expect(gguf.tensors["t"]?.bytes.count == 32)
        #expect(try gguf.integerIfPresent("absent") == nil)
        #expect(throws: Failure.self) { try gguf.string("u8") }
    }

    struct Refusal: CustomStringConvertible, Sendable {
        let description: String
        let code: Failure.Code
        /// What the sentence must name.
        let says: String
        let change: @Sendable (inout GGUFWriter) -> Void
    }

    static let refusals = [
        Refusal(description: "version 1", code: .unsupported, says: "version 1") { $0.version = 1 },
        Refusal(description: "version 4", code: .unsupported, says: "version 4") { $0.version = 4 },
        Refusal(description: "another byte order", code: .unsupported, says: "big-endian") {
            $0.version = 3 << 24
        },
        Refusal(
            description: "another architecture", code: .unsupported,
            says: "is \"mamba\" (gemma3, llama, phi3, qwen2, qwen3 or smollm3 would do)"
        ) {
            set("general.architecture", .text("mamba"), &$0)
        },
        Refusal(description: "a hostile architecture", code: .unsupported, says: "\"a b\"") {
            set("general.architecture", .text("a\nb"), &$0)
        },
        Refusal(description: "another pre-tokenizer", code: .unsupported, says: "kimi-k2") {
            set("tokenizer.ggml.pre", .text("kimi-k2"), &$0)
        },
        Refusal(description: "another tokenizer", code: .unsupported, says: "\"t5\"") {
            set("tokenizer.ggml.model", .text("t5"), &$0)
        },
        Refusal(description: "a template of more than Jinja", code: .unsupported, says: "include") {
            set("tokenizer.chat_template", .text("{% include 'messages' %}"), &$0)
        },
        Refusal(description: "no chat template", code: .unsupported, says: "no chat template") {
            $0.metadata.removeAll { $0.0 == "tokenizer.chat_template" }
            // ChatML's tokens would be enough.
            let tokens = TinyModel.tokens.map { $0 == "<|im_start|>" ? "<|begin|>" : $0 }
            set("tokenizer.ggml.tokens", .texts(tokens), &$0)
        },
        Refusal(
            description: "a tensor type to come", code: .unsupported,
            says: "blk.0.attn_norm.weight has the type IQ2_XXS"
        ) {
            $0.tensors[1].type = 16
        },
        Refusal(description: "a tensor type of no one", code: .unsupported, says: "number 99") {
            $0.tensors[1].type = 99
        },
        Refusal(description: "experts", code: .unsupported, says: "expert_count") {
            set("llama.expert_count", .integer(8), &$0)
        },
        Refusal(
            description: "scaled positions", code: .unsupported,
            says: "by \"dynamic\" (none, linear, yarn or longrope would do)"
        ) {
            set("llama.rope.scaling.type", .text("dynamic"), &$0)
        },
        Refusal(description: "a file in parts", code: .unsupported, says: "one of 3 parts") {
            $0.metadata.append(("split.count", .integer(3)))
        },
        Refusal(description: "a window of llama", code: .unsupported, says: "sliding_window") {
            set("llama.attention.sliding_window", .integer(64), &$0)
        },
        Refusal(description: "softcapped logits", code: .unsupported, says: "softcapping") {
            set("llama.final_logit_softcapping", .float(30), &$0)
        },
        Refusal(
            description: "all that is missing", code: .unsupported,
            says:
                """
                x.gguf cannot be run: its architecture is \"jamba\" (gemma3, llama, phi3, qwen2, \
                qwen3 or smollm3 would do), its tensor blk.0.attn_norm.weight has the type \
                IQ1_S, and 1 more like it (a file with weights of F32, F16, Q4_0, Q4_1, Q5_0, \
                Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, BF16 would do) and it \
                has 8 experts (jamba.expert_count) (a model without would do).
                """
        ) {
            set("general.architecture", .text("jamba"), &$0)
            set("jamba.expert_count", .integer(8), &$0)
            $0.tensors[1].type = 19
            $0.tensors[2].dimensions = [64, 8, 8]
        },
        Refusal(description: "a tensor too many", code: .unsupported, says: "attn_output.bias") {
            $0.tensors.append(("blk.0.attn_output.bias", [64], 0, Array(repeating: 0, count: 256)))
        },
        Refusal(description: "a tensor too few", code: .invalid, says: "output_norm.weight") {
            $0.tensors.removeLast()
        },
        Refusal(description: "a tensor of the wrong shape", code: .invalid, says: "attn_q.weight") {
            $0.tensors[2].dimensions = [32, 128]
        },
        Refusal(description: "a tensor past the end", code: .invalid, says: "token_embd.weight") {
            $0.tensors[0].dimensions = [64, 1 << 20]
        },
        Refusal(description: "the same tensor twice", code: .invalid, says: "twice") {
            $0.tensors.append($0.tensors[1])
        },
        Refusal(description: "the same key twice", code: .invalid, says: "twice") {
            $0.metadata.append($0.metadata[0])
        },
        Refusal(description: "heads that do not divide", code: .invalid, says: "heads") {
            set("llama.attention.head_count_kv", .integer(3), &$0)
        },
        Refusal(description: "no layers", code: .invalid, says: "block_count") {
            set("llama.block_count", .integer(0), &$0)
        },
        Refusal(description: "too few token types", code: .invalid, says: "token types") {
            set("tokenizer.ggml.token_type", .integers([1]), &$0)
        },
        Refusal(description: "an end token of no one", code: .invalid, says: "eos_token_id") {
            set("tokenizer.ggml.eos_token_id", .integer(9999), &$0)
        },
        Refusal(description: "an alignment of three", code: .invalid, says: "alignment") {
            $0.metadata.append(("general.alignment", .integer(3)))
        },
        Refusal(description: "tensors that overlap", code: .invalid, says: "overlap") {
            $0.overlapping = "blk.0.attn_k.weight"
        },
        Refusal(description: "a key with a newline", code: .invalid, says: "printable ASCII") {
            $0.metadata.append(("a\nb", .integer(1)))
        },
        Refusal(description: "a name that is no text", code: .invalid, says: "printable ASCII") {
            $0.tensors[3].name = "blk.0.\u{0}é"
        },
        Refusal(description: "layers of two sizes", code: .unsupported, says: "differs") {
            set("llama.feed_forward_length", .integers([96, 64]), &$0)
        },
        Refusal(description: "a base below one", code: .invalid, says: "freq_base") {
            set("llama.rope.freq_base", .float(0.5), &$0)
        },
        Refusal(description: "a factor of nothing", code: .invalid, says: "rope_freqs") {
            $0.tensors.append(("rope_freqs.weight", [8], 0, Array(repeating: 0, count: 32)))
        },
        Refusal(description: "an endless list", code: .invalid, says: "bad") {
            $0.metadata.append(
                (
                    "bad",
                    .raw(type: 9, bytes: [8, 0, 0, 0] + Array(repeating: 0xFF, count: 8))
                ))
        },
        Refusal(description: "a list of lists", code: .invalid, says: "bad") {
            $0.metadata.append(("bad", .raw(type: 9, bytes: [9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])))
        },
    ]

    @Test("What cannot be run is refused by name", arguments: refusals)
    func refused(_ test: Refusal) throws {
        var writer = TinyModel.writer()
        test.change(&writer)
        let failure = #expect(throws: Failure.self) {
            try LocalChatModel(MappedModel(name: "x.gguf", copying: writer.bytes()), threads: 1)
        }
        #expect(failure?.code == test.code)
        #expect(failure?.message.contains(test.says) == true, "\(failure?.message ?? "")")
    }

    @Test("A file that is not there, empty, or something else is refused")
    func files() throws {
        let folder = try TemporaryFolder()
        func code(_ name: String, _ content: String?) -> Failure.Code? {
            let path = folder.path + "/" + name
            if let content { try? content.write(toFile: path, atomically: true, encoding: .utf8) }
            do {
                _ = try LocalChatModel(path: path, threads: 1)
                return nil
            } catch { return Failure(error).code }
        }
        #expect(code("absent.gguf", nil) == .notFound)
        #expect(code("empty.gguf", "") == .invalid)
        #expect(code("text.gguf", "Not a model, by any means.") == .invalid)
        #expect(code(".", nil) == .invalid)
    }

    @Test("A model file cut anywhere is refused with a sentence")
    func truncations() throws {
        let bytes = TinyModel.writer().bytes()
        // The last tensor's padding may go without loss.
        for length in 0..<bytes.count - 32 where length < 9000 || length % 97 == 0 {
            let failure = #expect(throws: Failure.self, "\(length)") {
                try LocalChatModel(
                    MappedModel(name: "cut.gguf", copying: Array(bytes[..<length])), threads: 1)
            }
            #expect(failure?.code == .invalid, "\(length): \(failure?.message ?? "")")
        }
    }

    /// Whatever loads must also run: weights, sizes and tables that make no sense included.
    @Test("A model file with any bytes changed is refused or runs")
    func flips() async throws {
        let bytes = TinyModel.writer().bytes()
        let headerBytes = 8500
        var random = Random(state: 2026)
        var loaded = 0
        for round in 0..<1500 {
            var changed = bytes
            let limit = round % 3 == 0 ? changed.count : headerBytes
            for _ in 0...random.below(3) {
                changed[random.below(limit)] =
                    random.below(2) == 0 ? UInt8.max : UInt8(random.below(256))
            }
            do {
                let model = try LocalChatModel(
                    MappedModel(name: "flip.gguf", copying: changed), threads: 1)
                loaded += 1
                if loaded % 8 == 0 {
                    let prompt = try model.prompt(for: [ChatMessage(.user, "hello 1")])
                    _ = try await model.generate(
                        from: prompt, sampling: SamplingOptions(outputTokensMax: 3)
                    ) { _ in }
                }
            } catch let failure as Failure {
                #expect(!failure.message.isEmpty)
                // Weights that are not numbers are found out by what they make.
                #expect(
                    [.invalid, .unsupported, .tooLarge, .unavailable].contains(failure.code)
                        || failure.message.contains("came to no number"))
            }
        }
        // Most of the changes hit names and weights, which may be anything.
        #expect(loaded > 100)
    }

    private static func set(_ key: String, _ value: GGUFWriter.Value, _ writer: inout GGUFWriter) {
        writer.metadata.removeAll { $0.0 == key }
        writer.metadata.append((key, value))
    }
}
