import Core
import TestSupport
import Testing

@testable import Retrieval

@Suite struct ReadingTests {
    @Test("HTML becomes the text that is seen, with its structure")
    func page() throws {
        let text = try extracted(Samples.page, .html)

        #expect(text.title == "Fish & Chips")
        #expect(
            text.blocks.map { "\($0.kind): \(text.string($0.range))" } == [
                "paragraph: Home",
                "heading(level: 1): The Menu",
                "paragraph: Cod costs nine pounds.",
                "heading(level: 2): Sides",
                "paragraph: Choose one of these:",
                "list: - Peas\n- Mash\nwith gravy\n1. First\n2. Second",
                "table: Dish | Price\nCod | 9",
                "code: keep   this\n  spacing",
                "paragraph: Last words",
            ])
        #expect(!text.string.lowercased().contains("hidden"))
        #expect(!text.string.contains("secret") && !text.string.contains("color"))
    }

    struct Refusal: Sendable {
        let name: String
        var type = ""
        let bytes: [UInt8]
        let code: Failure.Code
        let says: String
    }

    static let refusals: [Refusal] = [
        .init(name: "a.doc", type: "text/plain", bytes: [65], code: .unsupported, says: "“.doc”"),
        .init(name: "a.rar", bytes: [65], code: .unsupported, says: "Upload PDF, Word"),
        .init(name: "a.pdf", bytes: [65], code: .unsupported, says: "is not a PDF file"),
        .init(name: "a.docx", bytes: [65], code: .unsupported, says: "is not a Word file"),
        .init(name: "a.docx", bytes: Array("PK\u{3}\u{4}".utf8), code: .invalid, says: "damaged"),
        .init(
            name: "a.docx", bytes: [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1],
            code: .unsupported, says: "old Office format, or protected by a password"),
        .init(name: "a.txt", bytes: Array("{\\rtf1".utf8), code: .unsupported, says: "Rich Text"),
        .init(name: "a.md", bytes: [0xFF, 0xD8, 0xFF, 0xE0], code: .unsupported, says: "picture"),
        .init(name: "a.txt", bytes: [0x1F, 0x8B, 8], code: .unsupported, says: "Pack it as a ZIP"),
        .init(name: "a", type: "image/png", bytes: [65], code: .unsupported, says: "this type"),
        .init(name: "a.txt", bytes: [], code: .invalid, says: "“a.txt” is empty"),
        .init(name: " \u{202E}", bytes: [65], code: .invalid, says: "needs a name"),
        .init(
            name: "a.txt", bytes: Array(repeating: 65, count: 1001), code: .tooLarge,
            says: "larger than 1000 bytes"),
        .init(
            name: "a.txt", bytes: [0x89, 0x50, 0, 0, 0, 13, 1, 2, 3], code: .unsupported,
            says: "does not hold text"),
        .init(name: "a.txt", bytes: [72, 0xE9, 72], code: .unsupported, says: "not UTF-8 text"),
        .init(name: "a.txt", bytes: [72, 0xE2, 0x82], code: .unsupported, says: "not UTF-8 text"),
        .init(name: "a.txt", bytes: [0xFF, 0xFE, 65], code: .unsupported, says: "hold text"),
        .init(
            name: "a.txt", bytes: [0xFE, 0xFF, 0xD8, 0], code: .unsupported, says: "hold text"),
    ]

    @Test(
        "What cannot be read is refused with a sentence, and nothing is kept", arguments: refusals)
    func refusal(_ example: Refusal) async throws {
        let desk = try Desk { $0.documentBytesMax = 1000 }
        let refused = await failure {
            _ = try await desk.library.ingest(
                Upload(
                    name: example.name, mediaType: example.type, bytes: example.bytes,
                    collectionID: nil), for: .alice)
        }

        #expect(refused?.code == example.code)
        #expect(refused?.message.contains(example.says) == true)
        #expect(try await desk.documents().isEmpty && desk.jobs.jobs.isEmpty)
    }

    @Test(
        "The name's extension or the media type says what a file is",
        arguments: [
            ("a.md", "", DocumentFormat.markdown), ("A.HTM", "text/plain", .html),
            ("notes.v2", "text/plain; charset=utf-8", .plain), ("README", "", .plain),
            ("page", "text/html", .html), ("a.txt", "application/octet-stream", .plain),
            ("a.PDF", "", .pdf), ("main.swift", "", .code), ("a.yml", "text/plain", .code),
            ("rows.tsv", "", .csv), ("x", "application/json", .json), ("folder/b.eml", "", .mail),
        ])
    func format(name: String, type: String, expected: DocumentFormat) throws {
        #expect(try DocumentFormat(name: name, mediaType: type) == expected)
    }

    @Test(
        "UTF-8 with a mark and UTF-16 of both kinds are text",
        arguments: [
            [0xEF, 0xBB, 0xBF, 0xC3, 0xA9], [0xFF, 0xFE, 0xE9, 0], [0xFE, 0xFF, 0, 0xE9],
        ] as [[UInt8]])
    func encodings(bytes: [UInt8]) throws {
        #expect(try TextDecoding.text(of: bytes, name: "a.txt") == "é")
    }

    @Test("Characters nobody sees are gone, and line ends are one")
    func hygiene() {
        let text =
            "a\u{0}b\u{200B}c\u{202E}d\u{E000}e\u{FEFF}f\u{E0041}g\u{AD}h\u{FE0F}\r\ni\rj\u{2028}k"
        #expect(String(TextHygiene.clean(text)) == "abcdefgh\ni\nj\nk")
        #expect(String(TextHygiene.clean("a\u{2800}\u{FFFC}\u{13437}\u{1D159}\u{2063}b")) == "ab")
        #expect(String(TextHygiene.clean("\u{6DD}١")) == "\u{6DD}١")
        #expect(String(TextHygiene.clean("naïve 日本 𝒳 🚀\t|")) == "naïve 日本 𝒳 🚀\t|")
    }

    @Test(
        "What a page hides is not read",
        arguments: [
            "hidden", "style='display: none !important'", "style='opacity: 0.01'",
            "style='font-size:1px'", "style='position:absolute; left:-9999px'",
            "style='text-indent: -10000px'", "style='width:1px; height:1px; overflow:hidden'",
            "style='position:absolute; clip: rect(0 0 0 0)'", "style='color: rgba(0,0,0,0)'",
            "style='color:#fff;background:white'", "style='visibility:hidden'",
        ])
    func hidden(attribute: String) throws {
        let text = try extracted("<p>Seen <span \(attribute)>not seen</span></p>", .html)
        #expect(text.string == "Seen")
    }

    @Test(
        "What a page shows is read",
        arguments: [
            "style='color:white'", "style='font-size:0.9em'", "style='opacity:0.6'",
            "style='position:absolute;left:0'", "style='width:100%;overflow:hidden'", "lang=en",
        ])
    func shown(attribute: String) throws {
        let text = try extracted("<p>Seen <span \(attribute)>too</span></p>", .html)
        #expect(text.string == "Seen too")
    }

    @Test("A page that nests without end is refused, and so is a tag that never ends")
    func bombs() {
        let deep = String(repeating: "<div>", count: 200_000) + "x"
        let wide = "<p " + String(repeating: "a=1 ", count: 10_000) + ">x"
        for bomb in [deep, wide] {
            #expect(throws: Failure.self) {
                try extracted(bomb, .html)
            }
        }
    }

    @Test("Whatever comes in, reading ends, and offsets give the passages back")
    func fuzz() throws {
        let environment = Environment.manual(seed: 42)
        let pieces = [
            "<div hidden>", "</div>", "<p>", "<li>", "<table><tr><td>", "<!--", "-->", "<pre>",
            "&#0;", "&amp", "<a href='", "```", "\n\n", "# ", "- ", "1. ", "|", "---", "Title",
            " a word.", "\u{202E}", "\u{0}", "日本語。", "e\u{301}", "👩‍👩‍👧", "\t", "    ", "?", ":",
            "\u{D7FF}", "<b", "title: x", "=====", "│─┐", String(repeating: "z", count: 400),
        ]
        var passageCount = 0
        for _ in 0..<300 {
            let count = Int(environment.random() % 40)
            var bytes = (0..<count).flatMap { _ in
                Array(pieces[Int(environment.random() % UInt64(pieces.count))].utf8)
            }
            // Every third is cut or hit somewhere, mostly in the middle of a character.
            if environment.random() % 3 == 0, !bytes.isEmpty {
                bytes[Int(environment.random() % UInt64(bytes.count))] = UInt8(
                    truncatingIfNeeded: environment.random())
                bytes.removeLast(min(bytes.count, Int(environment.random() % 4)))
            }
            for format in ["txt", "md", "html"] {
                let manuscript = try? Manuscript(
                    bytes: bytes, name: "f.\(format)", mediaType: "", tokensMax: 40)
                guard let manuscript else { continue }
                let scalars = Array(manuscript.text.unicodeScalars)
                for draft in manuscript.drafts {
                    passageCount += 1
                    #expect(Array(draft.text.unicodeScalars) == Array(scalars[draft.range]))
                }
            }
        }
        #expect(passageCount > 1000)
    }
}
