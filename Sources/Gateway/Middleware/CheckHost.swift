import Core
import HTTPTypes
import Hummingbird
import Synchronization

/// Refuses host names that are not this server's while it listens on loopback: a page on the web may
/// point its own name at 127.0.0.1 and then speak to us as if it were us (DNS rebinding).
struct CheckHost: Middleware {
    private let hosts: Set<String>?
    /// What was found to be ours, so that it is not taken apart for every request.
    private let last = LastText()

    init(_ configuration: GatewayConfiguration) {
        let isLoopback =
            configuration.host == "localhost"
            || NetworkAddress(configuration.host)?.isLoopback == true
        guard isLoopback else {
            hosts = nil
            return
        }
        let named = configuration.allowedHosts.compactMap { Authority($0)?.host }
        let own = [Origin(configuration.publicUrl)?.authority.host].compactMap { $0 }
        hosts = Set(["localhost", "127.0.0.1", "::1", configuration.host] + named + own)
    }

    func respond(
        to request: Request, _ context: GatewayContext, next: Next
    ) async throws -> Response {
        // No browser leaves the name out.
        if let hosts, let text = request.head.authority, !text.isEmpty {
            guard isOurs(text, hosts) else {
                throw Refusal(
                    Failure(
                        .forbidden,
                        "This server does not answer to that host name. If it is meant to, add it "
                            + "to gateway.allowed_hosts in heptad.yaml."),
                    status: .misdirectedRequest)
            }
        }
        return try await next(request, context)
    }

    private func isOurs(_ text: String, _ hosts: Set<String>) -> Bool {
        if last.text.withLock({ $0 == text }) { return true }
        guard let authority = Authority(text), hosts.contains(authority.host) else { return false }
        last.text.withLock { $0 = text }
        return true
    }
}

private final class LastText: Sendable {
    let text = Mutex("")
}
