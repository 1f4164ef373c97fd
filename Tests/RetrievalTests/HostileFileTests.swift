import Core
import TestSupport
import Testing

@testable import Retrieval

@Suite struct HostileFileTests {
    private func read(_ bytes: [UInt8], as name: String, seconds: Double = 60) throws {
        let limits = ReadingBudget.Limits(
            unpackedBytesMax: 2_000_000, textMax: 4_000_000, seconds: seconds)
        _ = try Manuscript(
            bytes: bytes, name: name, mediaType: "", tokensMax: 220, limits: limits)
    }

    struct Bomb: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        let code: Failure.Code
        let says: String
        var testDescription: String { "\(name): \(says)" }
    }

    private static func word(_ xml: String) -> [UInt8] {
        ZipSample.archive([("word/document.xml", xml)])
    }

    private static func nested(_ levels: Int) -> [UInt8] {
        (0..<levels).reduce(ZipSample.archive([("a.txt", "x")])) { inner, _ in
            ZipSample.archive([.init(name: "a.zip", bytes: inner)])
        }
    }

    static let bombs: [Bomb] = [
        Bomb(
            name: "a.zip",
            bytes: ZipSample.archive([
                .init(name: "a.txt", bytes: Array("x".utf8), claims: 1_999_999, isDeflated: true)
            ]), code: .tooLarge, says: "more than 250 times its size"),
        Bomb(
            name: "a.zip",
            bytes: ZipSample.archive([
                .init(name: "a.txt", bytes: Array("x".utf8), claims: 900_000, isDeflated: true)
            ]), code: .invalid, says: "damaged"),
        Bomb(
            name: "a.zip",
            bytes: ZipSample.archive([
                .init(
                    name: "a.txt", bytes: Array(repeating: 65, count: 1000), claims: 10,
                    isDeflated: true)
            ]), code: .invalid, says: "damaged"),
        Bomb(
            name: "a.zip",
            bytes: ZipSample.archive(
                (0..<5).map {
                    .init(name: "\($0).txt", bytes: Array(repeating: 65, count: 500_000))
                }
            ), code: .tooLarge, says: "larger than 2 MB"),
        Bomb(
            name: "a.zip", bytes: ZipSample.archive([("../../etc/cron.d/x.txt", "x")]),
            code: .invalid, says: "names a file outside itself"),
        Bomb(
            name: "a.zip", bytes: ZipSample.archive([("/etc/x.txt", "x")]), code: .invalid,
            says: "names a file outside itself"),
        Bomb(
            name: "a.zip", bytes: ZipSample.archive([("a\\..\\..\\x.txt", "x")]), code: .invalid,
            says: "names a file outside itself"),
        Bomb(
            name: "a.zip", bytes: ZipSample.archive([("a.txt", "x"), ("a.txt", "y")]),
            code: .invalid, says: "twice"),
        Bomb(
            name: "a.zip",
            bytes: ZipSample.archive([.init(name: "a.txt", bytes: [65], flags: 1)]),
            code: .unsupported, says: "“a.txt”: The file is protected"),
        Bomb(
            name: "a.docx",
            bytes: ZipSample.archive([
                .init(name: "word/document.xml", bytes: [65], flags: 1)
            ]), code: .unsupported, says: "protected by a password"),
        Bomb(name: "a.zip", bytes: nested(8), code: .invalid, says: "levels deep"),
        Bomb(
            name: "a.docx", bytes: word(String(repeating: "<w:p>", count: 100_000)),
            code: .invalid, says: "nested too deeply"),
        Bomb(
            name: "a.docx",
            bytes: word(
                "<!DOCTYPE x [<!ENTITY a 'lol'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
                    + "<x><p><r><t>&b;</t></r></p></x>"), code: .invalid, says: ""),
        Bomb(
            name: "a.docx",
            bytes: word("<w:p " + (0..<10_000).map { "a\($0)='' " }.joined() + "/>"),
            code: .invalid, says: "attributes"),
        // What stands in a comment, a script or a value is no tag, and must not hide one.
        Bomb(
            name: "a.html", bytes: Array(("<!-- <a b=\" --><p" + attributes("") + ">x").utf8),
            code: .invalid, says: "attributes"),
        Bomb(
            name: "a.html",
            bytes: Array(
                ("<script>\"<a b=\"</script><p" + attributes("='>'") + ">x").utf8),
            code: .invalid, says: "attributes"),
        Bomb(
            name: "a.html", bytes: Array(("<!-- <a b=' --><p" + attributes("=\"<\"") + ">x").utf8),
            code: .invalid, says: "attributes"),
        Bomb(
            name: "a.json", bytes: Array(repeating: 0x5B, count: 100_000), code: .invalid,
            says: "nested too deeply"),
        // A long key before each of many values.
        Bomb(
            name: "a.json",
            bytes: Array(
                ("{\"\(String(repeating: "k", count: 100_000))\":["
                    + String(repeating: "1,", count: 100_000) + "1]}").utf8),
            code: .tooLarge, says: "more than 4000000 characters"),
        // One long string in every cell.
        Bomb(
            name: "a.xlsx",
            bytes: ZipSample.archive([
                (
                    "xl/workbook.xml",
                    "<workbook><sheets><sheet name='S' sheetId='1' r:id='r1'/></sheets></workbook>"
                ),
                (
                    "xl/_rels/workbook.xml.rels",
                    "<Relationships><Relationship Id='r1' Target='worksheets/sheet1.xml'/>"
                        + "</Relationships>"
                ),
                (
                    "xl/sharedStrings.xml",
                    "<sst><si><t>\(String(repeating: "word ", count: 100_000))</t></si></sst>"
                ),
                (
                    "xl/worksheets/sheet1.xml",
                    "<worksheet><sheetData>"
                        + String(
                            repeating: "<row>"
                                + String(repeating: "<c t='s'><v>0</v></c>", count: 50) + "</row>",
                            count: 20)
                        + "</sheetData></worksheet>"
                ),
            ]), code: .tooLarge, says: "more than 4000000 characters"),
        Bomb(
            name: "a.txt", bytes: Array(repeating: 65, count: 16_000_001), code: .tooLarge,
            says: "more than 4000000 characters"),
        Bomb(
            name: "a.html", bytes: Array(String(repeating: "<div>", count: 100_000).utf8),
            code: .invalid, says: "nests more than"),
        Bomb(
            name: "a.csv", bytes: Array(repeating: 65, count: 4_000_001), code: .tooLarge,
            says: "more than 4000000 characters"),
        Bomb(
            name: "a.eml",
            bytes: Array(
                ("Subject: x\nContent-Type: multipart/mixed; boundary=a\n\n"
                    + String(repeating: "--a\n\nx\n", count: 5000)).utf8),
            code: .invalid, says: "more parts"),
        Bomb(name: "a.eml", bytes: Array("hello".utf8), code: .unsupported, says: "not an e-mail"),
    ]

    @Test(
        "A file that was made to do harm is refused with a sentence, in good time", arguments: bombs
    )
    func bomb(_ bomb: Bomb) throws {
        let began = ContinuousClock.now
        let refused = #expect(throws: Failure.self) { try read(bomb.bytes, as: bomb.name) }
        #expect(refused?.code == bomb.code)
        #expect(bomb.says.isEmpty || refused?.message.contains(bomb.says) == true)
        #expect(ContinuousClock.now - began < .seconds(20))
    }

    private static func attributes(_ value: String) -> String {
        (0..<10_000).map { " a\($0)\(value)" }.joined()
    }

    @Test("Headings may be of any level, also in files that are packed")
    func levels() throws {
        let heading = "<text:h text:outline-level='9223372036854775807'>Deep</text:h>"
        let document = ZipSample.archive([
            ("mimetype", "application/vnd.oasis.opendocument.text"),
            (
                "content.xml",
                "<office:document-content><office:body><office:text>\(heading)"
                    + "<text:p>Words.</text:p></office:text></office:body></office:document-content>"
            ),
        ])
        let manuscript = try Manuscript(
            bytes: ZipSample.archive([.init(name: "a.odt", bytes: document)]), name: "a.zip",
            mediaType: "", tokensMax: 220)
        #expect(manuscript.text.contains("Deep") && manuscript.text.contains("Words."))
    }

    @Test("A hostile file leaves a failed document, and nothing to be found")
    func nothingIndexed() async throws {
        let desk = try Desk()
        let bytes = ZipSample.archive([
            .init(name: "a.txt", bytes: Array("Boats float.".utf8)),
            .init(name: "b.txt", bytes: Array("x".utf8), claims: 900_000, isDeflated: true),
        ])
        let ingestion = try await desk.library.ingest(
            Upload(name: "a.zip", mediaType: "", bytes: bytes, collectionID: nil), for: .alice)
        let failed = await failure {
            try await desk.jobs.run(ingestion.jobID, with: desk.library, for: .alice)
        }
        let document = try #require(try await desk.documents().first)
        #expect(failed?.message.hasPrefix("“b.txt”: ") == true)
        #expect(document.state == .failed && document.failure == failed?.message)
        #expect(try await desk.search("boats").isEmpty)
    }

    @Test("A file that takes too long to read is given up")
    func late() {
        let rows = Array(String(repeating: "a,b\n", count: 50_000).utf8)
        let refused = #expect(throws: Failure.self) { try read(rows, as: "a.csv", seconds: 0.001) }
        #expect(refused?.code == .timeout)
    }

    @Test("One line without an end is cut into passages", arguments: ["a.txt", "a.md", "a.swift"])
    func endless(name: String) throws {
        let bytes = Array(repeating: UInt8(ascii: "x"), count: 300_000)
        let manuscript = try Manuscript(bytes: bytes, name: name, mediaType: "", tokensMax: 220)
        #expect(manuscript.drafts.count > 200)
    }

    @Test("However a file is damaged, reading it ends", arguments: FileSamples.all.indices)
    func fuzz(place: Int) {
        let (name, valid) = FileSamples.all[place]
        let environment = Environment.manual(seed: UInt64(place) + 7)
        func below(_ limit: Int) -> Int { Int(environment.random() % UInt64(max(1, limit))) }
        var outcomes = (read: 0, refused: 0)
        for round in 0..<1500 {
            var bytes = valid
            switch round % 3 {
            case 0: bytes.removeLast(below(bytes.count))
            case 1:
                for _ in 0...below(6) { bytes[below(bytes.count)] = UInt8(below(256)) }
            default:
                let start = below(bytes.count)
                bytes.removeSubrange(start..<min(bytes.count, start + 1 + below(20)))
                if round % 2 == 0 { bytes.insert(contentsOf: valid.suffix(below(60)), at: start) }
            }
            do {
                let manuscript = try Manuscript(
                    bytes: bytes, name: name, mediaType: "", tokensMax: 40,
                    limits: .init(unpackedBytesMax: 1_000_000, seconds: 5))
                outcomes.read += 1
                let scalars = Array(manuscript.text.unicodeScalars)
                for draft in manuscript.drafts {
                    #expect(draft.text.unicodeScalars.elementsEqual(scalars[draft.range]))
                }
            } catch {
                outcomes.refused += 1
                #expect(error is Failure)
            }
        }
        #expect(outcomes.read > 0 && outcomes.refused > 0 || outcomes.read == 1500)
    }

    @Test("What an archive's content is damaged into, its reader ends with as well")
    func innerFuzz() throws {
        let environment = Environment.manual(seed: 3)
        func below(_ limit: Int) -> Int { Int(environment.random() % UInt64(max(1, limit))) }
        let files = [
            FileSamples.word, FileSamples.openDocument, FileSamples.slides, FileSamples.sheet,
            FileSamples.book,
        ]
        var readable = 0
        for bytes in files {
            let archive = try ZipArchive(bytes, budget: ReadingBudget())
            let parts = try archive.entries.map { ($0.name, try archive.contents(of: $0)) }
            for _ in 0..<500 {
                let hit = below(parts.count)
                let damaged = parts.enumerated().map { place, part in
                    var content = part.1
                    if place == hit, !content.isEmpty {
                        for _ in 0...below(3) {
                            content[below(content.count)] = UInt8(32 + below(96))
                        }
                    }
                    return ZipSample.File(name: part.0, bytes: content)
                }
                let read = try? Manuscript(
                    bytes: ZipSample.archive(damaged), name: "a.docx", mediaType: "", tokensMax: 40)
                if read != nil { readable += 1 }
            }
        }
        #expect(readable > 100)
    }
}
