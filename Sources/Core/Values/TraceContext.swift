import Instrumentation
package import ServiceContextModule
import Tracing

/// The trace that the current task belongs to, asked of whatever tracer is installed.
package enum TraceContext {
    /// 32 hexadecimal digits, or nil where nothing traces. Works with any tracer that speaks W3C
    /// Trace Context, since it reads what the tracer would send to the next server.
    package static var currentTraceID: String? {
        traceID(of: ServiceContext.current ?? .topLevel)
    }

    package static func traceID(of context: ServiceContext) -> String? {
        var found: String?
        InstrumentationSystem.instrument.inject(context, into: &found, using: ParentInjector())
        // `00-`, the trace, `-`, and what else there is.
        guard let header = found, header.utf8.count >= 55 else { return nil }
        return String(header.utf8.dropFirst(3).prefix(32))
    }

    /// The headers that carry the trace to another server: `traceparent`, and `tracestate` if any.
    package static func headers(of context: ServiceContext) -> [String: String] {
        var headers: [String: String] = [:]
        InstrumentationSystem.instrument.inject(context, into: &headers, using: HeaderInjector())
        return headers
    }
}

private struct ParentInjector: Injector {
    func inject(_ value: String, forKey key: String, into carrier: inout String?) {
        if key == "traceparent" { carrier = value }
    }
}

private struct HeaderInjector: Injector {
    func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) {
        carrier[key] = value
    }
}
