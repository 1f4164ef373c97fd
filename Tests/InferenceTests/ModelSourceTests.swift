import Core
import Testing

@testable import Inference

@Suite struct ModelSourceTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let text: String
        var name: String?
        var hub = ModelSource.hub
        let url: String
        let file: String
        var isHub = true
        var testDescription: String { text }
    }

    @Test(
        "What is typed leads to one address and one safe name",
        arguments: [
            Case(
                text: "hf:owner/repo/m.Q4_1.gguf",
                url: "https://huggingface.co/owner/repo/resolve/main/m.Q4_1.gguf",
                file: "m.Q4_1.gguf"),
            Case(
                text: "hf:owner/repo@v1.0/sub/m.GGUF",
                url: "https://huggingface.co/owner/repo/resolve/v1.0/sub/m.GGUF", file: "m.gguf"),
            Case(
                text: "hf:owner/repo/a b?c.gguf", name: "small",
                url: "https://huggingface.co/owner/repo/resolve/main/a%20b%3Fc.gguf",
                file: "small.gguf"),
            Case(
                text: "hf:o/r/m.gguf", hub: "http://127.0.0.1:9/",
                url: "http://127.0.0.1:9/o/r/resolve/main/m.gguf", file: "m.gguf"),
            Case(
                text: "https://huggingface.co/o/r/blob/main/m.gguf",
                url: "https://huggingface.co/o/r/resolve/main/m.gguf", file: "m.gguf"),
            Case(
                text: "https://example.com/x/m.gguf?download=true#top",
                url: "https://example.com/x/m.gguf?download=true#top", file: "m.gguf",
                isHub: false),
            Case(
                text: "https://huggingface.co.evil.example/m.gguf",
                url: "https://huggingface.co.evil.example/m.gguf", file: "m.gguf", isHub: false),
            Case(
                text: "https://example.com/d?id=7", name: "named.gguf",
                url: "https://example.com/d?id=7", file: "named.gguf", isHub: false),
        ])
    func sources(row: Case) throws {
        let source = try ModelSource(row.text, name: row.name, hub: row.hub)
        #expect(source.url == row.url)
        #expect(source.fileName == row.file)
        #expect(source.isHub == row.isHub)
    }

    @Test(
        "What leads nowhere, or to a name that is not safe, is refused",
        arguments: [
            ("m.gguf", Failure.Code.invalid), ("ftp://example.com/m.gguf", .invalid),
            ("https://", .invalid), ("hf:owner/m.gguf", .invalid), ("hf:", .invalid),
            ("hf:owner//m.gguf", .invalid), ("hf:owner/repo/../m.gguf", .invalid),
            ("hf:owner/repo@a@b/m.gguf", .invalid), ("hf:owner/repo@/m.gguf", .invalid),
            ("https://example.com/m.bin", .invalid), ("https://example.com/", .invalid),
            ("https://user:word@example.com/m.gguf", .invalid),
            ("http://example.com/m.gguf", .forbidden),
            ("http://127.0.0.1.example.com/m.gguf", .forbidden),
            ("https://example.com/.gguf", .invalid), ("https://example.com/..gguf", .invalid),
            ("https://example.com/.hidden.gguf", .invalid),
            ("https://example.com/a%2Fb.gguf", .invalid),
            ("https://example.com/a%00b.gguf", .invalid),
            ("https://example.com/a%1B[2Jb.gguf", .invalid),
            ("https://example.com/-rf.gguf", .invalid),
            ("https://example.com/\(String(repeating: "a", count: 300)).gguf", .invalid),
            ("hf:o/r/big-00001-of-00003.gguf", .unsupported),
        ])
    func refusals(text: String, code: Failure.Code) {
        let failure = #expect(throws: Failure.self) { try ModelSource(text) }
        #expect(failure?.code == code, "\(failure?.message ?? "")")
    }

    @Test("Plain http is taken from this machine, and where a sum says what must come")
    func plainHTTP() throws {
        #expect(!(try ModelSource("http://127.0.0.1:8000/m.gguf")).isHub)
        #expect(!(try ModelSource("http://[::1]:8000/m.gguf")).isHub)
        #expect(try ModelSource("http://example.com/m.gguf", isChecked: true).fileName == "m.gguf")
        // What anybody on the way reads is no place for a token.
        let mirror = try ModelSource(
            "hf:o/r/m.gguf", hub: "http://mirror.example.com", isChecked: true)
        #expect(!mirror.isHub)
    }
}
