/// A piece of an e-mail: headers, and what they say of the bytes below them.
struct MIMEPart {
    /// By name in lower case; of several with one name the first.
    let headers: [String: String]
    private let body: ArraySlice<UInt8>

    private static let headerLinesMax = 2000

    /// Never fails: what is no header is the beginning of the body.
    init(_ bytes: ArraySlice<UInt8>) {
        var headers: [String: String] = [:]
        var last: String?
        var rest = bytes
        for _ in 0..<Self.headerLinesMax {
            let end = rest.firstIndex(of: 0x0A) ?? rest.endIndex
            var line = rest[..<end]
            if line.last == 0x0D { line.removeLast() }
            if line.isEmpty {
                rest = rest[min(end + 1, rest.endIndex)...]
                break
            }
            let text = String(decoding: line, as: UTF8.self)
            if let first = line.first, first == 0x20 || first == 0x09 {
                if let last { headers[last]? += " " + text.trimmed() }
            } else if let colon = text.firstIndex(of: ":") {
                let name = text[..<colon].lowercased()
                last = headers[name] == nil ? name : nil
                if last != nil {
                    headers[name] = String(text[text.index(after: colon)...]).trimmed()
                }
            } else {
                break
            }
            rest = rest[min(end + 1, rest.endIndex)...]
        }
        self.headers = headers
        body = rest
    }

    var contentType: (value: String, parameters: [String: String]) {
        let type = Self.parsed(headers["content-type"] ?? "")
        return type.value.isEmpty ? ("text/plain", type.parameters) : type
    }

    /// What the part wants to be saved as; nil for one that is shown.
    var fileName: String? {
        let disposition = Self.parsed(headers["content-disposition"] ?? "")
        let name = disposition.parameters["filename"] ?? contentType.parameters["name"]
        if let name, !name.isEmpty { return String(MIMEWords.decoded(name).prefix(200)) }
        return disposition.value == "attachment" ? "attachment" : nil
    }

    /// The body, decoded as its transfer encoding says.
    var bytes: [UInt8] {
        switch headers["content-transfer-encoding"]?.lowercased() ?? "" {
        case "base64": MIMEWords.base64(body)
        case "quoted-printable": MIMEWords.quotedPrintable(body)
        default: Array(body)
        }
    }

    /// What stands between the boundaries.
    func parts(limit: Int) -> [MIMEPart] {
        guard let boundary = contentType.parameters["boundary"], !boundary.isEmpty else {
            return []
        }
        let mark = Array("--\(boundary)".utf8)
        var parts: [MIMEPart] = []
        var start: Int?
        var place = body.startIndex
        while place < body.endIndex, parts.count < limit {
            let end = body[place...].firstIndex(of: 0x0A) ?? body.endIndex
            let line = body[place..<end]
            if line.starts(with: mark) {
                if let start { parts.append(MIMEPart(body[start..<max(start, place)])) }
                start = min(end + 1, body.endIndex)
                if line.dropFirst(mark.count).starts(with: "--".utf8) { return parts }
            }
            place = end + 1
        }
        // Cut off in the middle: what is there counts.
        if let start, parts.count < limit { parts.append(MIMEPart(body[start...])) }
        return parts
    }

    /// `text/plain; charset="utf-8"` in its pieces, names and value in lower case.
    static func parsed(_ header: String) -> (value: String, parameters: [String: String]) {
        var pieces: [String] = [""]
        var isQuoted = false
        for character in header {
            if character == "\"" { isQuoted.toggle() }
            if character == ";", !isQuoted {
                pieces.append("")
            } else {
                pieces[pieces.count - 1].append(character)
            }
        }
        var parameters: [String: String] = [:]
        for piece in pieces.dropFirst() {
            guard let equals = piece.firstIndex(of: "=") else { continue }
            let name = piece[..<equals].lowercased().trimmed()
            let value = String(piece[piece.index(after: equals)...]).trimmed("\"")
            // RFC 2231: `filename*=utf-8''na%C3%AFve.txt`.
            if name.hasSuffix("*") {
                parameters[String(name.dropLast())] = MIMEWords.extended(value)
            } else if parameters[name] == nil {
                parameters[name] = value
            }
        }
        return (pieces[0].lowercased().trimmed(), parameters)
    }
}
