import Core
import Foundation
import TestSupport
import Testing

@testable import LocalModels

@Suite struct ModelSummaryTests {
    @Test("A file is described by what it says, also when it cannot be run")
    func described() throws {
        var writer = GGUFWriter()
        writer.metadata = [
            ("general.architecture", .text("mamba")), ("general.name", .text("Small\nOne")),
            ("general.license", .text("mit")), ("general.file_type", .integer(15)),
            ("general.base_model.0.name", .text("Ancestor")),
            ("general.base_model.1.repo_url", .text("https://example.com/other")),
            ("mamba.context_length", .integer(4096)),
            ("tokenizer.ggml.tokens", .texts(["a", "b", "c"])),
            (
                "tokenizer.chat_template",
                .text("{% if tools %}{{ messages[0].role == 'system' }}{% endif %}")
            ),
        ]
        writer.tensors = [
            ("token_embd.weight", [32, 2], 0, [UInt8](repeating: 0, count: 256)),
            ("output.weight", [32, 3], 8, [UInt8](repeating: 0, count: 102)),
        ]
        let folder = try TemporaryFolder()
        let path = folder.path + "/small.gguf"
        try Data(writer.bytes()).write(to: URL(fileURLWithPath: path))
        let summary = try ModelSummary(file: path)
        #expect(summary.name == "small" && summary.kind == .chat)
        #expect(summary.architecture == "mamba" && summary.licence == "mit")
        #expect(summary.baseModels == ["Ancestor", "https://example.com/other"])
        #expect(summary.parameters == 160 && summary.quantization == "Q4_K_M")
        #expect(
            summary.types == [
                .init(type: "F32", tensors: 1, parameters: 64, bytes: 256),
                .init(type: "Q8_0", tensors: 1, parameters: 96, bytes: 102),
            ])
        #expect(summary.embeddingBytesUnread == 256)
        #expect(summary.contextTokens == 4096 && summary.vocabulary == 3)
        #expect(summary.template?.mentions == ["system", "tools"])
        #expect(summary.memory.mapped == summary.bytes)
        #expect(summary.memory.keysAndValuesPer1000Tokens == nil)
        #expect(summary.refusal?.contains("mamba") == true, "\(summary.refusal ?? "")")
    }

    private static let refusals: [(content: String?, code: Failure.Code)] = [
        ("GGUF", .invalid), ("<html></html>", .invalid), ("", .invalid), (nil, .notFound),
    ]

    @Test("What is damaged or not there is refused", arguments: refusals)
    func refused(content: String?, code: Failure.Code) throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/m.gguf"
        if let content { try Data(content.utf8).write(to: URL(fileURLWithPath: path)) }
        let failure = #expect(throws: Failure.self) { try ModelSummary(file: path) }
        #expect(failure?.code == code)
    }
}
