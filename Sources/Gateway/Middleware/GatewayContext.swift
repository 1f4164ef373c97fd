import Core
import Hummingbird
import NIOCore
import Synchronization
import Tracing

/// What is known about a request on its way in. Each middleware hands on a copy with its own answer.
struct GatewayContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The other end of the connection: a proxy, where there is one.
    var peer: NetworkAddress? { connection.peer(at: remoteAddress) }
    private let remoteAddress: SocketAddress?
    let channel: ObjectIdentifier
    var connection = Connection()
    var client = Client(address: nil, isSecure: false, isForwarded: false)
    var match = RouteMatch.missing
    var credential: Credential?
    var span: (any Span)?
    /// What inner middleware tells outer ones.
    let notes = RequestNotes()

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = ObjectIdentifier(source.channel)
        remoteAddress = source.channel.remoteAddress
    }

    var route: Route? {
        guard case .found(let route, _) = match else { return nil }
        return route
    }

    var principal: Principal? { credential?.principal }

    /// Nil where the request is not traced.
    var traceID: String? { span.flatMap { TraceContext.traceID(of: $0.context) } }
}

/// How a request proved whose it is.
enum Credential: Sendable {
    case session(Session)
    case key(Principal)
    case operation(Principal)

    var principal: Principal {
        switch self {
        case .session(let session): session.principal
        case .key(let principal), .operation(let principal): principal
        }
    }
}

/// What the access log and the span tell of a request that only its handling knows.
final class RequestNotes: Sendable {
    struct Notes: Sendable {
        var principal: Principal?
        var failure: Failure?
    }

    private let notes = Mutex(Notes())

    var current: Notes { notes.withLock { $0 } }
    func note(_ principal: Principal) { notes.withLock { $0.principal = principal } }
    func note(_ failure: Failure) { notes.withLock { $0.failure = failure } }
}
