import Core

/// The files in a ZIP archive as one document: a heading with the path of each, then what it says.
/// What cannot be read, pictures for one, is left out; what is damaged fails the whole.
enum ArchiveReader {
    static func read(
        _ archive: ZipArchive, name: String, _ reader: DocumentReader
    ) throws -> ExtractedText {
        var builder = TextBuilder(reader.budget)
        var count = 0
        for entry in archive.entries.sorted(by: { $0.name < $1.name }) where !isNoise(entry.name) {
            let isKnown = (try? DocumentFormat(name: entry.name, mediaType: "")) != nil
            guard isKnown else { continue }
            let bytes = try naming(entry) { try archive.contents(of: entry) }
            guard !bytes.isEmpty,
                let text = try naming(entry, { try text(of: bytes, entry.name, reader) })
            else { continue }
            try builder.heading(entry.name, level: 1)
            try builder.append(text, under: 1)
            count += 1
        }
        guard count > 0 else {
            throw Failure(.unsupported, "“\(name)” holds no file that can be read.")
        }
        return builder.finish()
    }

    /// Nil for a file that cannot be read, though its name says so.
    private static func text(
        of bytes: [UInt8], _ name: String, _ reader: DocumentReader
    ) throws -> ExtractedText? {
        do {
            return try reader.budget.nested {
                try reader.text(of: bytes, name: name, mediaType: "")
            }
        } catch let failure as Failure where failure.code == .unsupported {
            return nil
        }
    }

    private static func naming<Result>(
        _ entry: ZipArchive.Entry, _ work: () throws -> Result
    ) throws -> Result {
        do {
            return try work()
        } catch {
            let failure = Failure(error)
            throw Failure(failure.code, "“\(entry.name)”: \(failure.message)", cause: error)
        }
    }

    /// What systems put into archives for themselves.
    private static func isNoise(_ name: String) -> Bool {
        name.split(separator: "/").contains { $0.hasPrefix(".") || $0 == "__MACOSX" }
    }
}
