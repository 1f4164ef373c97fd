package import Core

/// One file, fetched into a part file from where an earlier run ended, and checked. Bytes are
/// written on the task that runs it: for commands, not for a server's requests.
package struct FileDownload: Sendable {
    package enum Event: Sendable {
        /// The whole size is nil where the server does not say it.
        case progress(bytes: Int, of: Int?)
        /// What is here belongs to another file by now, or the server cannot go on from a part.
        case beginningAgain
        case retrying(Failure, after: Duration)
    }

    /// More of one file has never been needed; past it somebody errs or plays.
    package static let bytesMax = 200 << 30
    /// What must stay free on the disk: below it, databases beside the models begin to fail.
    package static let spareBytes = 256 << 20
    /// Tries in a row that bring less than `progressBytes`.
    static let failuresMax = 5
    static let progressBytes = 1 << 20
    /// Tries in all, and how often the file may change under us.
    static let attemptsMax = 1000
    static let restartsMax = 3
    private static let redirectsMax = 5
    private static let days = Duration.seconds(7 * 86_400)

    package var url: String
    /// Sent to the first host only.
    package var headers: [HTTPHeader]
    /// What the whole file must have; nil takes the sum that the server names, where it does.
    package var sha256: String?
    /// What the file begins with. Anything else ends the download at once.
    package var magic: [UInt8]
    package var bytesMax = Self.bytesMax
    package var spareBytes = Self.spareBytes
    /// How many bytes are free where the part is.
    package var freeBytes: @Sendable (_ path: String) -> Int?
    package var pause: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }

    package init(
        url: String, headers: [HTTPHeader] = [], sha256: String? = nil, magic: [UInt8] = [],
        freeBytes: @escaping @Sendable (String) -> Int?
    ) {
        self.url = url
        self.headers = headers
        self.sha256 = sha256
        self.magic = magic
        self.freeBytes = freeBytes
    }

    /// Fills the part, whose bytes are then those the server has, with the sum that was asked for.
    ///
    /// What breaks is tried again, from where it broke, as long as it gets on. Throws `invalid` for a
    /// wrong sum or beginning (and then takes the part away), `unavailable` where the disk has no
    /// room, `notFound` and `forbidden` as the server answers, and `CancellationError`. Except for
    /// the first the part stays, so that the next run goes on.
    package func run(
        into part: PartFile, with client: HTTPClient, _ report: (Event) -> Void
    ) async throws {
        var failures = 0
        var restarts = 0
        for _ in 0..<Self.attemptsMax {
            let before = part.count
            do {
                return try await attempt(part, client, report)
            } catch is Changed {
                restarts += 1
                guard restarts <= Self.restartsMax else {
                    throw Failure(.upstream, "The file changes again and again; try later.")
                }
                report(.beginningAgain)
                try part.restart(PartFile.Note(url: url))
            } catch let failure as Failure where Self.mayPass(failure) {
                failures = part.count - before >= Self.progressBytes ? 1 : failures + 1
                guard failures < Self.failuresMax else { throw failure }
                let wait = max(failure.retryAfter ?? .zero, .seconds(1 << (failures - 1)))
                report(.retrying(failure, after: wait))
                try await pause(wait)
            }
        }
        throw Failure(.upstream, "The connection broke too often; try again later.")
    }

    /// What a second try may do away with.
    private static func mayPass(_ failure: Failure) -> Bool {
        switch failure.code {
        case .timeout: true
        case .upstream, .unavailable: failure.retryAfter != nil || failure.code == .upstream
        default: false
        }
    }

    /// The part belongs to another version of the file.
    private struct Changed: Error {}

    private func attempt(
        _ part: PartFile, _ client: HTTPClient, _ report: (Event) -> Void
    ) async throws {
        let offset = resumable(part)
        let response = try await client.open(request(part, from: offset, client.limits))
        defer { response.body.close() }
        let host = try response.redirects.last?.target ?? HTTPRequest.target(of: url)
        let answer = try DownloadAnswer(response, host: host, offset: offset)
        try check(answer, host)
        if answer.body == .whole {
            if offset > 0 { report(.beginningAgain) }
            try part.restart(
                PartFile.Note(
                    url: url, validator: answer.validator, sha256: answer.sha256,
                    bytes: answer.bytes))
        } else if !continues(part, answer) {
            throw Changed()
        }
        try checkRoom(part, answer.bytes)
        if answer.body != .nothing {
            try await receive(response, part, answer.bytes, host, report)
        }
        try verify(part, against: sha256 ?? answer.sha256 ?? part.note?.sha256, host)
    }

    /// How many bytes of the part can stay. Without a validator or a sum nothing would notice that
    /// the file is another one by now.
    private func resumable(_ part: PartFile) -> Int {
        guard let note = part.note, note.url == url, part.count > 0 else { return 0 }
        let isChecked = note.validator != nil || note.sha256 != nil || sha256 != nil
        return isChecked ? part.count : 0
    }

    private func request(_ part: PartFile, from offset: Int, _ limits: HTTPLimits) -> HTTPRequest {
        var request = HTTPRequest("GET", url, headers: headers, redirectsMax: Self.redirectsMax)
        if offset > 0 {
            request.headers.append(HTTPHeader("Range", "bytes=\(offset)-"))
            if let validator = part.note?.validator {
                request.headers.append(HTTPHeader("If-Range", validator))
            }
        }
        var limits = limits
        limits.total = Self.days
        limits.responseBytesMax = bytesMax
        request.limits = limits
        return request
    }

    private func check(_ answer: DownloadAnswer, _ host: String) throws {
        if let bytes = answer.bytes {
            guard bytes > 0 else { throw Failure(.invalid, "The file at \(host) is empty.") }
            guard bytes <= bytesMax else {
                throw Failure(
                    .tooLarge, "The file has \(bytes) bytes; \(bytesMax) are the most.")
            }
        }
        if let sha256, let named = answer.sha256, sha256 != named {
            throw Failure(
                .invalid, "\(host) says the file's SHA-256 is \(named), not \(sha256).")
        }
    }

    private func continues(_ part: PartFile, _ answer: DownloadAnswer) -> Bool {
        guard let note = part.note else { return false }
        func differ<T: Equatable>(_ one: T?, _ other: T?) -> Bool {
            one != nil && other != nil && one != other
        }
        if answer.body == .nothing, answer.bytes != part.count { return false }
        return !differ(note.bytes, answer.bytes) && !differ(note.sha256, answer.sha256)
            && !differ(note.validator, answer.validator)
    }

    private func checkRoom(_ part: PartFile, _ bytes: Int?) throws {
        guard let free = freeBytes(part.path) else { return }
        let needed = max(0, (bytes ?? part.count) - part.count)
        guard needed <= free - spareBytes else {
            throw Failure(
                .unavailable,
                "The disk has \(ByteCount(free)) free; \(ByteCount(needed)) are still to come, and"
                    + " \(ByteCount(spareBytes)) must stay free. Make room first.")
        }
    }

    private func receive(
        _ response: HTTPResponse, _ part: PartFile, _ bytes: Int?, _ host: String,
        _ report: (Event) -> Void
    ) async throws {
        report(.progress(bytes: part.count, of: bytes))
        var unchecked = 0
        try await response.body.read { piece in
            // libcurl holds an answer to its own length; this is for sizes that came another way.
            guard part.count + piece.count <= bytes ?? bytesMax else {
                part.discard()
                throw Failure(
                    .invalid, "\(host) sends more than the \(bytes ?? bytesMax) bytes it announced."
                )
            }
            let isBeginning = part.count < magic.count
            try part.append(piece)
            if isBeginning { try checkBeginning(part, response, host) }
            unchecked += piece.count
            if bytes == nil, unchecked >= Self.spareBytes / 4 {
                unchecked = 0
                try checkRoom(part, nil)
            }
            report(.progress(bytes: part.count, of: bytes))
        }
        try Task.checkCancellation()
        if let bytes, part.count < bytes {
            throw Failure(.upstream, "\(host) ended at \(part.count) of \(bytes) bytes.")
        }
    }

    private func checkBeginning(_ part: PartFile, _ response: HTTPResponse, _ host: String) throws {
        let beginning = try part.beginning(magic.count)
        guard beginning != Array(magic.prefix(beginning.count)) else { return }
        part.discard()
        let isPage = response.headers["content-type"]?.lowercased().hasPrefix("text/html") == true
        throw Failure(
            .invalid,
            isPage
                ? "\(host) answered with a web page in place of the file. Name the address of the"
                    + " file itself."
                : "What \(host) sends is not a file of the kind it should be: it begins otherwise.")
    }

    private func verify(_ part: PartFile, against sum: String?, _ host: String) throws {
        if part.count < magic.count {
            part.discard()
            throw Failure(.invalid, "What \(host) sent is too short to be such a file.")
        }
        guard let sum else { return }
        let found = try part.sha256()
        guard found != sum else { return }
        part.discard()
        throw Failure(
            .invalid,
            "The file that came has the SHA-256 \(found), not \(sum). It was thrown away.")
    }
}

/// A size as people read it, with decimal units as disks and hubs have them: `1.5 GB`.
package struct ByteCount: CustomStringConvertible, Sendable, Hashable {
    package let bytes: Int

    package init(_ bytes: Int) { self.bytes = bytes }

    package var description: String {
        let units = ["B", "kB", "MB", "GB", "TB"]
        var value = Double(bytes)
        var unit = 0
        while value.magnitude >= 999.5, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        guard unit > 0 else { return "\(bytes) B" }
        let tenths = (value * 10).rounded() / 10
        return value < 99.95 ? "\(tenths) \(units[unit])" : "\(Int(value.rounded())) \(units[unit])"
    }
}
