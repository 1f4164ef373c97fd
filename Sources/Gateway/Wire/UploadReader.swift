import Core
import HTTPTypes
import Hummingbird
import NIOCore

/// Reads the files of an upload into memory, as many requests at a time as memory allows.
struct UploadReader: Sendable {
    /// Requests whose files are in memory at once; each has at most `uploadBytesMax`.
    static let requestsMax = 8
    static let nameCharactersMax = 255
    private static let sourceBytesMax = 4096

    private let places = StreamSlots(limit: requestsMax)
    /// All uploads share the places, whoever sends them.
    private let everyone: Identifier

    init(environment: Core.Environment) { everyone = environment.identifier() }

    /// Throws `invalid` for a form that is malformed or has no file, `tooLarge` past the limit.
    func read(_ call: Call) async throws -> [Upload] {
        let place = try place()
        defer { place.release() }
        let contentType = call.request.headers[.contentType] ?? ""
        if Self.isForm(contentType) { return try await readForm(call, contentType).uploads }
        return [try await readRaw(call, contentType)]
    }

    /// The one file of a form, and the form's other fields.
    func readFile(_ call: Call) async throws -> (Upload, [String: String]) {
        let place = try place()
        defer { place.release() }
        let contentType = call.request.headers[.contentType] ?? ""
        guard Self.isForm(contentType) else {
            throw Failure(.unsupported, "The body has to be multipart/form-data with a `file`.")
        }
        let (uploads, fields) = try await readForm(call, contentType)
        guard uploads.count == 1 else {
            throw JSONFields.refusal("file", "has to be one file; send others by themselves.")
        }
        return (uploads[0], fields)
    }

    private static func isForm(_ contentType: String) -> Bool {
        contentType.lowercased().hasPrefix("multipart/form-data")
    }

    private func place() throws -> StreamSlots.Slot {
        do {
            return try places.take(for: everyone)
        } catch {
            throw Failure(
                .unavailable, "Too many uploads are running; try again in a moment.",
                retryAfter: .seconds(3))
        }
    }

    private func readRaw(_ call: Call, _ contentType: String) async throws -> Upload {
        let query = try call.query
        guard let name = query["name"], !name.isEmpty else {
            throw Refusal.invalid(
                "The upload has no name: add ?name=FILE, or send multipart/form-data.")
        }
        let collection = try Self.collection(query["collectionID"])
        let body = try await call.request.collect(call.limits, over: call.context.connection)
        guard body.readableBytes <= call.limits.bytesMax else { throw call.limits.refusal }
        // curl says this of every body it is not told about.
        let isGuess = contentType.hasPrefix("application/x-www-form-urlencoded")
        return Upload(
            name: try Self.fileName(name), mediaType: isGuess ? "" : contentType,
            bytes: Array(body.readableBytesView), collectionID: collection,
            source: try Self.source(query["source"]))
    }

    private func readForm(
        _ call: Call, _ contentType: String
    ) async throws -> (uploads: [Upload], fields: [String: String]) {
        let form = UploadForm(
            parser: try Multipart(contentType: contentType), limits: call.limits,
            collection: try Self.collection(try call.query["collectionID"]))
        let read = try await call.request.readBody(
            call.limits, over: call.context.connection, into: form
        ) { form, piece in
            try form.feed(piece.readableBytesView)
        }
        return try read.finish()
    }

    private static func source(_ text: String?) throws -> String? {
        guard let text, !text.isEmpty else { return nil }
        guard text.utf8.count <= sourceBytesMax else {
            throw Refusal.invalid("`source` is longer than \(sourceBytesMax) bytes.")
        }
        return text
    }

    static func collection(_ text: String?) throws -> Identifier? {
        guard let text, !text.isEmpty else { return nil }
        guard let id = Identifier(text) else {
            throw Failure(.notFound, "There is no such collection.")
        }
        return id
    }

    /// The last component: some senders give a whole path.
    static func fileName(_ name: String) throws -> String {
        let last = name.split { $0 == "/" || $0 == "\\" }.last.map(String.init) ?? ""
        let isPrintable = last.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 }
        guard !last.isEmpty, last != ".", last != "..", isPrintable,
            last.count <= nameCharactersMax
        else {
            throw Refusal.invalid(
                "A file's name has 1 to \(nameCharactersMax) characters, and none that are "
                    + "invisible.")
        }
        return last
    }
}

/// What a form has said so far.
private struct UploadForm: Sendable {
    static let fieldBytesMax = 1024

    private var parser: Multipart
    private let limits: BodyLimits
    private var collection: Identifier?
    private var part: Multipart.Part?
    private var bytes: [UInt8] = []
    private var uploads: [Upload] = []
    private var fields: [String: String] = [:]

    init(parser: Multipart, limits: BodyLimits, collection: Identifier?) {
        self.parser = parser
        self.limits = limits
        self.collection = collection
    }

    mutating func feed(_ piece: ByteBufferView) throws {
        var events: [Multipart.Event] = []
        try parser.feed(piece) { events.append($0) }
        for event in events { try take(event) }
    }

    func finish() throws -> (uploads: [Upload], fields: [String: String]) {
        try parser.finish()
        guard !uploads.isEmpty else {
            throw Refusal.invalid("The form has no file: add a part called `file`.")
        }
        return (uploads, fields)
    }

    private mutating func take(_ event: Multipart.Event) throws {
        switch event {
        case .began(let part):
            self.part = part
            bytes = []
        case .bytes(let more):
            bytes += more
            guard bytes.count <= limits.bytesMax else { throw limits.refusal }
            guard part?.fileName != nil || bytes.count <= Self.fieldBytesMax else {
                throw Failure(
                    .tooLarge, "A field of the form has more than \(Self.fieldBytesMax) bytes.")
            }
        case .ended:
            guard let part else { return }
            if let name = part.fileName {
                // A browser sends an empty part for a file input that was left empty.
                guard !name.isEmpty || !bytes.isEmpty else { return }
                uploads.append(
                    Upload(
                        name: try UploadReader.fileName(name), mediaType: part.mediaType,
                        bytes: bytes, collectionID: collection))
            } else {
                let text = String(decoding: bytes, as: UTF8.self)
                fields[part.name] = text
                if part.name == "collectionID" { collection = try UploadReader.collection(text) }
            }
            bytes = []
        }
    }
}
