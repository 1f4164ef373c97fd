import Core

/// An e-mail (RFC 5322 with MIME): its subject, who wrote it to whom and when, its text, and under
/// headings of their own the attachments that can be read.
struct MailReader {
    private static let partsMax = 1000
    private static let shownHeaders = ["from", "to", "cc", "date"]

    private let reader: DocumentReader
    private var builder: TextBuilder
    private var partCount = 0
    private var attachments: [(name: String, type: String, bytes: [UInt8])] = []

    static func read(_ bytes: [UInt8], _ reader: DocumentReader) throws -> ExtractedText {
        let part = MIMEPart(bytes[...])
        guard
            part.headers["from"] != nil || part.headers["subject"] != nil
                || part.headers["date"] != nil
        else {
            throw Failure(
                .unsupported,
                "This is not an e-mail: it has no sender, no subject and no date. Save it as .eml.")
        }
        var mail = MailReader(reader: reader, builder: TextBuilder(reader.budget))
        let subject = MIMEWords.decoded(part.headers["subject"] ?? "").trimmed()
        mail.builder.title = subject
        try mail.builder.heading(subject.isEmpty ? "No subject" : subject, level: 1)
        let lines = shownHeaders.compactMap { name in
            part.headers[name].map { "\(name.capitalizedFirst): \(MIMEWords.decoded($0))" }
        }
        try mail.builder.code(lines.joined(separator: "\n"))
        try mail.read(part, depth: 0)
        try mail.addAttachments()
        return mail.builder.finish()
    }

    private init(reader: DocumentReader, builder: TextBuilder) {
        self.reader = reader
        self.builder = builder
    }

    private mutating func read(_ part: MIMEPart, depth: Int) throws {
        try reader.budget.checkTime()
        partCount += 1
        guard partCount <= Self.partsMax, depth < 20 else {
            throw Failure(.invalid, "The e-mail has more parts than any e-mail needs.")
        }
        let type = part.contentType
        if type.value.hasPrefix("multipart/") {
            let parts = part.parts(limit: Self.partsMax)
            if type.value == "multipart/alternative" {
                let chosen = parts.first { $0.contentType.value == "text/plain" } ?? parts.last
                if let chosen { try read(chosen, depth: depth + 1) }
            } else {
                for part in parts { try read(part, depth: depth + 1) }
            }
            return
        }
        let name = part.fileName
        if name == nil, type.value == "text/plain" || type.value == "text/html" {
            try readBody(part, isHTML: type.value == "text/html")
        } else {
            let bytes = part.bytes
            try reader.budget.unpack(bytes.count)
            let fallback = type.value == "message/rfc822" ? "message.eml" : "attachment"
            attachments.append((name ?? fallback, type.value, bytes))
        }
    }

    private mutating func readBody(_ part: MIMEPart, isHTML: Bool) throws {
        let bytes = part.bytes
        try reader.budget.unpack(bytes.count)
        let text = Charset.text(of: bytes, charset: part.contentType.parameters["charset"] ?? "")
        let clean = TextHygiene.clean(text)
        let body =
            isHTML
            ? try HTMLReader.read(clean, reader.budget)
            : BlockReader(clean, dialect: .plain).read()
        try builder.append(body, under: 1)
    }

    private mutating func addAttachments() throws {
        for file in attachments where !file.bytes.isEmpty {
            do {
                let text = try reader.budget.nested {
                    try reader.text(of: file.bytes, name: file.name, mediaType: file.type)
                }
                try builder.heading(file.name, level: 2)
                try builder.append(text, under: 2)
            } catch let failure as Failure where failure.code == .unsupported {
                // Pictures and signatures: the e-mail is its text all the same.
                continue
            }
        }
    }
}

extension String {
    fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
