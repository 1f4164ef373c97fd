import Core
import TestSupport
import Testing

@testable import Retrieval

@Suite struct FormatTests {
    private func read(_ bytes: [UInt8], as name: String) throws -> ExtractedText {
        try DocumentReader(ReadingBudget()).text(of: bytes, name: name, mediaType: "")
    }

    @Test("A Word file becomes its headings, paragraphs, lists and tables, whatever it is called")
    func word() throws {
        for name in ["a.docx", "a.odt", "a.txt", "noname"] {
            let text = try read(FileSamples.word, as: name)
            #expect(text.title == "The Plan")
            #expect(
                text.outline == [
                    "heading(level: 1): The Plan", "heading(level: 1): Boats & oars",
                    "paragraph: They float.", "list: - Row\n  - Sail",
                    "table: Dish | Price\nCod | 9",
                ])
        }
    }

    @Test("An OpenDocument text becomes its blocks, without its comments")
    func openDocument() throws {
        #expect(
            try read(FileSamples.openDocument, as: "a.odt").outline == [
                "heading(level: 2): Boats", "paragraph: They float.", "list: - Row", "table: Cod",
            ])
    }

    @Test("Slides come in their order, with titles and notes, without those that are hidden")
    func slides() throws {
        #expect(
            try read(FileSamples.slides, as: "a.pptx").outline == [
                "heading(level: 1): Slide 1: Boats", "list: - They float.",
                "paragraph: Say it slowly.",
            ])
    }

    @Test("Rows of a sheet name their columns; days are days, and hidden sheets are left out")
    func sheet() throws {
        #expect(
            try read(FileSamples.sheet, as: "a.xlsx").outline == [
                "heading(level: 1): Menu",
                "table: Dish | Price |  | Since\nDish: Cod | Price: 9 | Since: 2024-05-17",
            ])
    }

    @Test(
        "A day of a spreadsheet is that day",
        arguments: [
            (61.0, "1900-03-01"), (25_569, "1970-01-01"), (45_351.5, "2024-02-29"),
            (36_586, "2000-03-01"), (2_958_465, "9999-12-31"),
        ])
    func day(serial: Double, expected: String) { #expect(SheetReader.day(serial) == expected) }

    @Test("Chapters of a book come in the order of its spine")
    func book() throws {
        let text = try read(FileSamples.book, as: "a.epub")
        #expect(text.title == "Of Boats")
        #expect(
            text.outline == [
                "heading(level: 1): One", "paragraph: They float.", "heading(level: 1): Two",
                "paragraph: They sink.",
            ])
    }

    @Test("Files of an archive stand under their paths; what cannot be read is left out")
    func archive() throws {
        #expect(
            try read(FileSamples.archive, as: "a.zip").outline == [
                "heading(level: 1): a.docx", "heading(level: 2): The Plan",
                "heading(level: 2): Boats & oars", "paragraph: They float.",
                "list: - Row\n  - Sail", "table: Dish | Price\nCod | 9",
                "heading(level: 1): b/notes.md", "heading(level: 2): # Oars", "paragraph: Of ash.",
            ])
    }

    @Test("An e-mail is its head, its text and its attachments")
    func mail() throws {
        let text = try read(Array(FileSamples.mail.utf8), as: "a.eml")
        #expect(text.title == "Boats é now")
        #expect(
            text.outline == [
                "heading(level: 1): Boats é now",
                "code: From: Jørn <j@example.com>\nTo: b@example.com\nDate: Mon, 1 Jan 2024 10:00:00 +0000",
                "paragraph: They float, café.", "heading(level: 2): menu.csv",
                "table: Dish | Price\nDish: Cod | Price: 9",
            ])
    }

    @Test(
        "Bytes of a character set become text",
        arguments: [
            ("windows-1252", [0x93, 0x61, 0x94], "“a”"), ("ISO-8859-1", [0xE9], "é"),
            ("koi8-r", [0xC1], "а"), ("shift_jis", [0x93, 0xFA], "日"),
            ("utf-8", [0xC3, 0xA9], "é"), ("utf-8", [0x61, 0xFF], "a\u{FFFD}"),
            ("gb2312//IGNORE", [0x61], "a"), ("iso-2022-jp", [0x1B, 0xFF, 0xFF], nil),
        ] as [(String, [UInt8], String?)])
    func charset(name: String, bytes: [UInt8], expected: String?) {
        let text = Charset.text(of: bytes, charset: name)
        if let expected { #expect(text == expected) }
    }

    @Test("CSV keeps its header with each row, and what is quoted in one cell")
    func csv() throws {
        #expect(
            try extracted(FileSamples.csv, .csv).outline == [
                "table: Dish | Price\nDish: Cod; \"fried\" with chips | Price: 9\nDish: Peas"
            ])
        #expect(try extracted("1,2\n3,4", .csv).outline == ["table: 1 | 2\n3 | 4"])
    }

    @Test("JSON becomes sections and lines with the path of each value")
    func json() throws {
        #expect(
            try extracted(FileSamples.json, .json).outline == [
                "code: name: Ship\nbuilt: 1901", "heading(level: 1): crew",
                "code: name: Ann\nrank.grade: 2", "code: name: Bo", "heading(level: 1): home",
                "code: port: Bergen",
            ])
        #expect(
            try extracted("{\"a\":1}\n\n{\"b\":[true]}", .jsonLines).outline == [
                "code: a: 1", "code: b[0]: true",
            ])
        let failed = #expect(throws: Failure.self) { try extracted("{\"a\":1}\n{x}", .jsonLines) }
        #expect(failed?.message.hasPrefix("Line 2: The JSON") == true)
    }

    @Test("Code is cut between definitions")
    func code() throws {
        #expect(
            try extracted(FileSamples.code, .code).outline == [
                "code: import Boats",
                "code: /// Floats.\nfunc float() {\n    up()\n\n    more()\n}",
                "code: let oars = 2",
            ])
    }

    @Test("Each format is found by what it says, end to end")
    func endToEnd() async throws {
        let desk = try Desk()
        for (name, bytes) in FileSamples.all {
            let ingestion = try await desk.library.ingest(
                Upload(name: name, mediaType: "", bytes: bytes, collectionID: nil), for: .alice)
            try await desk.jobs.run(ingestion.jobID, with: desk.library, for: .alice)
        }
        let documents = try await desk.documents()
        #expect(documents.count == FileSamples.all.count)
        #expect(documents.allSatisfy { $0.state == .ready && $0.passageCount > 0 })
        let hit = try await desk.search("slowly").first
        #expect(hit?.passage.documentName == "a.pptx")
        #expect(hit?.passage.headings == ["Slide 1: Boats"])
    }
}
