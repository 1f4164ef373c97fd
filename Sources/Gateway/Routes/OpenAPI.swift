import Core
import HTTPTypes
import Hummingbird
import OrderedJSON

/// The API's description, made from the routes themselves.
struct OpenAPI: Sendable {
    let routes: [Route]
    let publicURL: String

    static let path = "/api/openapi.json"

    var document: JSONValue {
        [
            "openapi": "3.1.0",
            "info": [
                "title": "Heptad",
                "version": "1",
                "description":
                    "Changes made with the session cookie need its X-CSRF-Token; API keys do not.",
            ],
            "servers": [["url": .string(publicURL.isEmpty ? "/" : publicURL)]],
            "paths": paths,
            "components": [
                "schemas": JSONValue(Schema.components.mapValues(\.json)),
                "securitySchemes": [
                    "session": [
                        "type": "apiKey", "in": "cookie", "name": .string(Authenticate.cookie),
                    ],
                    "key": ["type": "http", "scheme": "bearer"],
                    "header": ["type": "apiKey", "in": "header", "name": "x-api-key"],
                ],
            ],
        ]
    }

    /// Where OpenAPI lists a route: the parameter of the web client's files has a star.
    static func path(of route: Route) -> String { route.path.filter { $0 != "*" } }

    private var paths: JSONValue {
        var paths: [String: [String: JSONValue]] = [:]
        for route in routes {
            paths[Self.path(of: route), default: [:]][route.method.rawValue.lowercased()] =
                operation(route)
        }
        return JSONValue(paths.mapValues { JSONValue($0) })
    }

    private func operation(_ route: Route) -> JSONValue {
        var operation: [String: JSONValue] = [
            "summary": .string(route.summary),
            "operationId": .string(operationID(route)),
            "tags": [.string(tag(route))],
            "responses": responses(route),
        ]
        let parameters = parameters(route)
        if !parameters.isEmpty { operation["parameters"] = .array(parameters) }
        switch route.access {
        case .user: operation["security"] = [["session": []], ["key": []], ["header": []]]
        case .optional: operation["security"] = [[:], ["session": []], ["key": []], ["header": []]]
        case .open, .unlimited: operation["security"] = []
        }
        switch route.body {
        case .none: break
        case .json(let schema):
            operation["requestBody"] = [
                "required": true, "content": ["application/json": ["schema": schema.json]],
            ]
        case .upload:
            operation["requestBody"] = [
                "required": true,
                "content": [
                    "multipart/form-data": [
                        "schema": [
                            "type": "object",
                            "properties": [
                                "collectionID": Schema.identifier.json,
                                "file": ["type": "array", "items": ["type": "string"]],
                            ],
                            "required": ["file"],
                        ]
                    ],
                    "application/octet-stream": [:],
                ],
            ]
        }
        return JSONValue(operation)
    }

    private func parameters(_ route: Route) -> [JSONValue] {
        let inPath = route.path.split(separator: "/").filter { $0.hasPrefix("{") }.map { part in
            let name = part.filter { !"{}*".contains($0) }
            let schema = name == "id" ? Schema.identifier : .string
            return JSONValue([
                "name": .string(name), "in": "path", "required": true, "schema": schema.json,
            ])
        }
        return inPath
            + route.query.map { parameter in
                [
                    "name": .string(parameter.name), "in": "query",
                    "description": .string(parameter.summary), "schema": parameter.schema.json,
                ]
            }
    }

    private func responses(_ route: Route) -> JSONValue {
        var responses: [String: [String: JSONValue]] = [:]
        for answer in route.answers {
            let status = "\(answer.status.code)"
            var response = responses[status] ?? ["description": .string(answer.summary)]
            if let schema = answer.schema {
                let earlier = (response["content"]?.members ?? []).filter {
                    $0.key != answer.mediaType
                }
                response["content"] = .object(
                    earlier + [JSONValue.Member(answer.mediaType, ["schema": schema.json])])
            }
            responses[status] = response
        }
        let surface = Surface(path: route.path)
        responses["default"] = [
            "description": "It was refused, or went wrong.",
            "content": [surface.errorMediaType: ["schema": surface.errorSchema.json]],
        ]
        return JSONValue(responses.mapValues { JSONValue($0) })
    }

    /// `getApiChatsId`: unique, since method and path are.
    private func operationID(_ route: Route) -> String {
        let words = route.path.split { !$0.isLetter && !$0.isNumber }.map {
            $0.prefix(1).uppercased() + $0.dropFirst()
        }
        return route.method.rawValue.lowercased() + words.joined()
    }

    private func tag(_ route: Route) -> String {
        let parts = route.path.split(separator: "/")
        return switch Surface(path: route.path) {
        case .openAI: "openai"
        case .anthropic: "anthropic"
        case .native: parts.first == "api" && parts.count > 1 ? String(parts[1]) : "server"
        }
    }
}

extension Array where Element == QueryParameter {
    /// `before` and `limit`.
    static var page: [QueryParameter] {
        [
            QueryParameter(
                name: "before", schema: .timestamp, summary: "Only what is older than this."),
            QueryParameter(name: "limit", schema: .integer, summary: "How many, at most."),
        ]
    }
}
