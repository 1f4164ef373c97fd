import Core
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// A request that has reached its route, with what handlers ask of it.
struct Call: Sendable {
    let request: Request
    let context: GatewayContext
    let parameters: [String: String]
    let limits: BodyLimits

    /// Routes for users are reached by users only; the middleware has seen to it.
    var principal: Principal {
        get throws {
            guard let principal = context.principal else {
                throw Failure(.unauthenticated, "Log in, or send an API key.")
            }
            return principal
        }
    }

    /// The identifier in the path. What is none names nothing, so it is not found.
    func id(_ name: String = "id") throws -> Identifier {
        guard let id = parameters[name].flatMap({ Identifier($0) }) else { throw Self.notFound }
        return id
    }

    func text(_ name: String) -> String { parameters[name] ?? "" }

    func json<Body: Decodable>(_ type: Body.Type) async throws -> Body {
        try JSON.decode(type, from: try await body())
    }

    /// The object that is the body of a JSON request, its members in their order.
    func fields() async throws -> JSONFields {
        try JSONFields(try JSON.value(of: try await body()))
    }

    /// The body of a JSON request.
    func body() async throws -> ByteBuffer {
        if let contentType = request.headers.text(.contentType),
            contentType != "application/json"
        {
            let mediaType = contentType.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
            guard mediaType == "application/json" || mediaType.hasSuffix("+json") else {
                throw Failure(
                    .unsupported, "The body has to be JSON, with that as its Content-Type.")
            }
        }
        return try await request.collect(limits, over: context.connection)
    }

    var query: QueryParameters { get throws { try QueryParameters(request.uri.query) } }

    /// `before` and `limit` of a list.
    var page: (before: Timestamp?, limit: Int) {
        get throws {
            let query = try query
            let before = try query["before"].flatMap { text in
                text.isEmpty ? nil : try Self.timestamp(text)
            }
            guard let text = query["limit"] else { return (before, Self.pageDefault) }
            guard let limit = Int(text), (1...Self.pageMax).contains(limit) else {
                throw Refusal.invalid("`limit` has to be 1 to \(Self.pageMax).")
            }
            return (before, limit)
        }
    }

    var wantsEvents: Bool {
        request.headers[.accept]?.lowercased().contains("text/event-stream") == true
    }

    static let notFound = Failure(.notFound, "There is nothing here by that name.")

    private static let pageDefault = 50
    private static let pageMax = 200

    private static func timestamp(_ text: String) throws -> Timestamp {
        guard
            let time = try? JSONDecoder().decode(Timestamp.self, from: try JSON.encode(text))
        else {
            throw Refusal.invalid("`before` has to be a time such as 2026-11-21T09:30:00.000Z.")
        }
        return time
    }
}
