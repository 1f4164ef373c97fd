import Core

/// An uploaded file after reading: its text, and the passages it is cut into.
struct Manuscript: Sendable {
    let text: String
    var drafts: [PassageStore.Draft]
    /// Nil for a text too short to resemble another by more than chance.
    let likeness: Likeness?

    /// Reads a file; takes seconds for a large one. Throws `unsupported` for what is not text and
    /// `invalid` for a file without any words, and what else a `DocumentReader` throws.
    init(
        bytes: [UInt8], name: String, mediaType: String, tokensMax: Int,
        limits: ReadingBudget.Limits = .init()
    ) throws {
        let extracted = try DocumentReader(ReadingBudget(limits)).text(
            of: bytes, name: name, mediaType: mediaType)
        self.init(
            extracted, title: extracted.title ?? Self.title(from: name), tokensMax: tokensMax)
        guard !drafts.isEmpty else {
            throw Failure(.invalid, "“\(name)” has no text that could be searched.")
        }
    }

    /// A plain text whose title is known; without passages where there are no words in it.
    init(title: String, text: String, tokensMax: Int) {
        let extracted = BlockReader(TextHygiene.clean(text), dialect: .plain).read()
        self.init(extracted, title: TextHygiene.cleanLine(title), tokensMax: tokensMax)
    }

    private init(_ extracted: ExtractedText, title: String, tokensMax: Int) {
        text = extracted.string
        likeness = Likeness(of: extracted.scalars)
        drafts = Chunker(tokensMax: tokensMax).chunks(of: extracted).map { chunk in
            PassageStore.Draft(
                headings: chunk.headings, context: Self.context(title, chunk.headings),
                text: extracted.string(chunk.range), range: chunk.range, vector: nil)
        }
    }

    /// The line that says where a passage stands: deterministic, and short enough to leave the
    /// embedder room for the passage.
    static func context(_ title: String, _ headings: [String]) -> String {
        let path = headings.first == title ? headings : [title] + headings
        var tokens = 0
        var kept: [String] = []
        // From the nearest heading up: it says the most.
        for heading in path.reversed() where !heading.isEmpty {
            tokens += TokenEstimate.count(heading.unicodeScalars) + 1
            guard tokens <= contextTokensMax || kept.isEmpty else { break }
            kept.insert(heading, at: 0)
        }
        return kept.joined(separator: " > ")
    }

    private static let contextTokensMax = 30

    /// `annual-report_2025.md` is `annual report 2025`.
    private static func title(from name: String) -> String {
        let file = name.split(separator: "/").last ?? ""
        let stem = file.lastIndex(of: ".").map { file[..<$0] } ?? file
        return stem.split { "_- ".contains($0) }.joined(separator: " ")
    }
}
