import Core
import HTTPTypes
import Hummingbird
import Instrumentation
import NIOCore
import ServiceContextModule
import Synchronization
import Tracing

/// A server span around each request of an API, by the HTTP semantic conventions. It ends when the
/// last byte of the answer is written.
struct TraceRequests: Middleware {
    func respond(
        to request: Request, _ context: GatewayContext, next: Next
    ) async throws -> Response {
        guard let route = context.route, route.isTraced else {
            return try await next(request, context)
        }
        var parent = ServiceContext.current ?? .topLevel
        InstrumentationSystem.instrument.extract(
            request.headers, into: &parent, using: HeaderExtractor())
        let span = startSpan(
            "\(route.method.rawValue) \(route.path)", context: parent, ofKind: .server)
        describe(request, context, route, in: &span.attributes)
        var context = context
        context.span = span

        return try await ServiceContext.withValue(span.context) {
            do {
                var response = try await next(request, context)
                span.attributes["http.response.status_code"] = response.status.code
                if response.status.kind == .serverError {
                    span.attributes["error.type"] = "\(response.status.code)"
                    span.setStatus(
                        SpanStatus(
                            code: .error, message: context.notes.current.failure?.message))
                }
                response.headers[.traceID] = TraceContext.traceID(of: span.context)
                end(span, after: &response)
                return response
            } catch {
                span.recordError(error)
                span.end()
                throw error
            }
        }
    }

    /// A body that streams runs after this middleware has returned, inside the span all the same.
    private func end(_ span: any Span, after response: inout Response) {
        guard response.body.contentLength == nil else { return span.end() }
        let body = response.body
        let ending = SpanEnd(span)
        response.body = ResponseBody { writer in
            nonisolated(unsafe) let outer = writer  // Used by one task at a time, as it came.
            defer { ending.end() }
            try await ServiceContext.withValue(span.context) {
                do {
                    try await body.write(outer)
                } catch {
                    span.recordError(error)
                    throw error
                }
            }
        }
    }

    private func describe(
        _ request: Request, _ context: GatewayContext, _ route: Route,
        in attributes: inout SpanAttributes
    ) {
        attributes.set("http.request.method", value: .string(request.method.rawValue))
        attributes.set("http.route", value: .string(route.path))
        // Some paths hold a secret; queries are left out for the same reason.
        let path = route.hasSecretPath ? route.path : request.uri.path
        attributes.set("url.path", value: .string(path))
        let scheme = context.client.isSecure ? "https" : "http"
        attributes.set("url.scheme", value: .string(scheme))
        attributes.set("network.protocol.name", value: .string("http"))
        attributes.set("server.address", value: request.head.authority.map { .string($0) })
        let agent = request.headers.text(.userAgent).map { String($0.prefix(256)) }
        attributes.set("user_agent.original", value: agent.map { .string($0) })
        let size = request.declaredBytes.map { SpanAttribute.int64(Int64($0)) }
        attributes.set("http.request.body.size", value: size)
    }
}

/// Ends a span once, also when the response that should is dropped.
private final class SpanEnd: Sendable {
    private let span: Mutex<(any Span)?>

    init(_ span: any Span) { self.span = Mutex(span) }
    deinit { end() }

    func end() {
        let span = span.withLock { held in
            defer { held = nil }
            return held
        }
        span?.end()
    }
}

private struct HeaderExtractor: Extractor {
    func extract(key: String, from headers: HTTPFields) -> String? {
        HTTPField.Name(key).flatMap { headers[$0] }
    }
}
