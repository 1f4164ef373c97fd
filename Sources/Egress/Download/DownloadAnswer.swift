import Core

/// What a server's answer means for a file of which `offset` bytes are here.
struct DownloadAnswer: Equatable {
    enum Body: Equatable {
        /// From the first byte on.
        case whole
        /// From `offset` on.
        case rest
        /// None, because nothing follows `offset`.
        case nothing
    }

    let body: Body
    /// The size of the whole file, where the server says it.
    let bytes: Int?
    /// A strong entity tag or else a date, for `If-Range`.
    let validator: String?
    /// The sum that the first server names before it sends us to its storage.
    let sha256: String?

    /// Throws `notFound`, `forbidden`, `unavailable` or `upstream` for an answer without the file,
    /// and `invalid` for one that contradicts itself.
    init(_ response: HTTPResponse, host: String, offset: Int) throws {
        try self.init(
            status: response.status, headers: response.headers,
            first: response.redirects.first?.headers ?? response.headers, host: host,
            offset: offset)
    }

    init(
        status: Int, headers: [HTTPHeader], first: [HTTPHeader], host: String, offset: Int
    ) throws {
        if let coding = headers["content-encoding"], coding.lowercased() != "identity" {
            throw Failure(
                .invalid, "\(host) sends the file compressed, though it was not asked to.")
        }
        sha256 = first["x-linked-etag"].flatMap { SHA256.normalized(Self.opaque($0)) }
        validator = Self.validator(headers)
        let linked = try Self.count(first["x-linked-size"], "size", host)
        let length = try Self.count(headers["content-length"], "length", host)
        let total: Int?
        switch status {
        case 200:
            (body, total) = (.whole, length)
        case 206:
            guard let range = ContentRange(headers["content-range"]), range.first == offset else {
                throw Failure(.invalid, "\(host) sent another part of the file than was asked for.")
            }
            if let length, length != range.count {
                throw Failure(.invalid, "\(host) contradicts itself about the length.")
            }
            (body, total) = (offset == 0 ? .whole : .rest, range.total)
        case 416 where offset > 0:
            bytes = ContentRange.total(headers["content-range"]) ?? linked
            body = .nothing
            return
        default:
            throw Self.refusal(status, first + headers, host)
        }
        if let linked, let total, linked != total {
            throw Failure(
                .invalid,
                "\(host) says that the file has \(linked) bytes, but \(total) would come.")
        }
        bytes = total ?? linked
    }

    /// Why there is no file in the answer.
    private static func refusal(_ status: Int, _ headers: [HTTPHeader], _ host: String) -> Failure {
        let wait = headers["retry-after"].flatMap { Int($0) }.map {
            Duration.seconds(min(max($0, 1), 3600))
        }
        switch (status, headers["x-error-code"]) {
        case (_, "GatedRepo"):
            return Failure(
                .forbidden,
                "\(host) gives this model only to those who have accepted its terms. Accept them on"
                    + " its page, and set HF_TOKEN to a token of yours.")
        case (401, _), (403, _):
            return Failure(
                .forbidden,
                "\(host) does not give this file (\(status)): there is none of that name, or it"
                    + " wants a token in HF_TOKEN.")
        case (404, _), (410, _):
            return Failure(.notFound, "\(host) has no such file (\(status)). Check its name.")
        case (408, _), (429, _), (503, _):
            return Failure(
                .unavailable, "\(host) is busy (\(status)).", retryAfter: wait ?? .seconds(2))
        case (500..., _):
            return Failure(.upstream, "\(host) has a fault of its own (\(status)).")
        default:
            return Failure(
                .invalid, "\(host) answered with status \(status) in place of the file.")
        }
    }

    private static func count(_ text: String?, _ what: String, _ host: String) throws -> Int? {
        guard let text else { return nil }
        guard let count = Int(text), count >= 0 else {
            throw Failure(.invalid, "\(host) sent a \(what) that is not a number.")
        }
        return count
    }

    /// RFC 9110, section 13.1.5: a weak tag does not promise equal bytes.
    private static func validator(_ headers: [HTTPHeader]) -> String? {
        if let tag = headers["etag"], tag.hasPrefix("\""), tag.utf8.count <= 1024 { return tag }
        guard headers["etag"] == nil else { return nil }
        return headers["last-modified"].flatMap { $0.utf8.count <= 64 ? $0 : nil }
    }

    /// What stands between the quotes of an entity tag.
    private static func opaque(_ tag: String) -> String {
        String(tag.hasPrefix("W/") ? tag.dropFirst(2) : tag[...]).replacing("\"", with: "")
    }
}

/// `bytes 5-9/10` (RFC 9110, section 14.4).
private struct ContentRange {
    let first: Int
    let count: Int
    /// Nil where the server does not know it.
    let total: Int?

    init?(_ text: String?) {
        guard let text, text.hasPrefix("bytes ") else { return nil }
        let parts = text.dropFirst(6).split(separator: "/")
        guard parts.count == 2 else { return nil }
        let ends = parts[0].split(separator: "-")
        guard ends.count == 2, let first = Int(ends[0]), let last = Int(ends[1]), first >= 0,
            last >= first, last < .max
        else { return nil }
        total = Int(parts[1])
        guard total.map({ last < $0 }) ?? (parts[1] == "*") else { return nil }
        self.first = first
        count = last - first + 1
    }

    /// The total of `bytes */10`, which says that a range was past the end.
    static func total(_ text: String?) -> Int? {
        guard let text, text.hasPrefix("bytes */") else { return nil }
        return Int(text.dropFirst(8)).flatMap { $0 >= 0 ? $0 : nil }
    }
}
