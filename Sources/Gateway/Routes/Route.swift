import Core
import HTTPTypes
import Hummingbird

/// One thing the server can be asked, with the words that describe it: what is registered and what
/// `/api/openapi.json` says come from the same value.
struct Route: Sendable {
    enum Access: Sendable {
        /// Health probes: nobody is asked who they are, nothing is counted.
        case unlimited
        /// Everyone; counted by address.
        case open
        /// Everyone; who they are is found out where they say so.
        case optional
        /// Users only.
        case user
    }

    enum Body: Sendable {
        case none
        case json(Schema)
        case upload
    }

    typealias Handler = @Sendable (Call) async throws -> Response

    let method: HTTPRequest.Method
    /// With parameters in braces, as OpenAPI writes them: `/api/chats/{id}`.
    let path: String
    let summary: String
    let access: Access
    let body: Body
    let query: [QueryParameter]
    let answers: [Answer]
    /// Whether requests get a span. Assets and probes would drown the ones that matter.
    let isTraced: Bool
    /// Whether a parameter of the path must stay out of logs and traces.
    let hasSecretPath: Bool
    let handler: Handler
    /// Set by the table, from the configuration.
    var bodyLimits = BodyLimits(bytesMax: 0, timeout: .zero)

    init(
        _ method: HTTPRequest.Method, _ path: String, _ summary: String, access: Access = .user,
        query: [QueryParameter] = [], body: Body = .none, answers: [Answer],
        isTraced: Bool = true, hasSecretPath: Bool = false, handler: @escaping Handler
    ) {
        self.method = method
        self.path = path
        self.summary = summary
        self.access = access
        self.body = body
        self.query = query
        self.answers = answers
        self.isTraced = isTraced
        self.hasSecretPath = hasSecretPath
        self.handler = handler
    }
}

/// A parameter after the `?`; all are optional.
struct QueryParameter: Sendable {
    let name: String
    let schema: Schema
    let summary: String
}

/// A way in which a request goes well. The ways it can fail are the same for all.
struct Answer: Sendable {
    let status: HTTPResponse.Status
    let summary: String
    let mediaType: String
    let schema: Schema?

    static func ok(_ schema: Schema, _ summary: String = "Done.") -> Answer {
        Answer(status: .ok, summary: summary, mediaType: "application/json", schema: schema)
    }

    static func created(_ schema: Schema) -> Answer {
        Answer(
            status: .created, summary: "Made.", mediaType: "application/json", schema: schema)
    }

    static func accepted(_ schema: Schema) -> Answer {
        Answer(
            status: .accepted, summary: "Taken; a job does the rest.",
            mediaType: "application/json", schema: schema)
    }

    static func events(_ summary: String, status: HTTPResponse.Status = .ok) -> Answer {
        Answer(
            status: status, summary: summary, mediaType: "text/event-stream", schema: .string)
    }

    static func text(_ mediaType: String, _ summary: String) -> Answer {
        Answer(status: .ok, summary: summary, mediaType: mediaType, schema: .string)
    }

    static let noContent = Answer(
        status: .noContent, summary: "Done.", mediaType: "", schema: nil)
}
