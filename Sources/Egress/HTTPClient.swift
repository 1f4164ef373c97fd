import Core
import Logging
import ServiceLifecycle
import Synchronization

/// The only way out of the process: HTTP over libcurl, on one thread for everybody.
///
/// The thread starts with the first request, so a command may use a client without running it. In
/// a server, `run()` puts it into the service group, first in its list, so that it stops last.
package final class HTTPClient: Service {
    private let configuration: EgressConfiguration
    private let policy: AddressPolicy
    private let resolver = Resolver()
    private let loop: CurlLoop
    private let known = Mutex(Known())
    private let logger = Logger(label: "heptad.egress")

    /// Texts as they were taken apart: most calls go to the same few addresses.
    private struct Known {
        var addresses: [String: WebAddress] = [:]
        var targets: [String: AllowedTarget] = [:]
    }

    package init(_ configuration: EgressConfiguration) {
        self.configuration = configuration
        policy = AddressPolicy(configuration.allowedTargets)
        loop = CurlLoop(transfersMax: configuration.requestsMax)
    }

    deinit { loop.stop() }

    /// The limits of the configuration, for requests that change some of them.
    package var limits: HTTPLimits { HTTPLimits(configuration) }

    /// Waits for the group to stop, then ends what is still under way.
    package func run() async throws {
        try? await gracefulShutdown()
        await shutDown()
    }

    /// Ends every transfer with `unavailable`; requests from now on are refused.
    package func shutDown() async { await loop.stopped() }

    /// Sends the request and returns once status and headers are here, whatever the status.
    ///
    /// Throws `invalid` for what is not an HTTP address or header, `forbidden` for an address that
    /// the policy refuses, `timeout`, `tooLarge` past the header limit, `upstream` when no answer
    /// could be had (lookup, connection, TLS, an answer that is not HTTP), `unavailable` when too
    /// many requests are under way, and `CancellationError`. No message names more of the address
    /// than host and port: the rest may hold secrets.
    package func open(_ request: HTTPRequest) async throws -> HTTPResponse {
        let limits = request.limits ?? self.limits
        let listed = request.allowedTargets.compactMap { target($0) }
        let started = ContinuousClock.now
        var hop = Hop(
            address: try address(request.url), method: request.method, headers: request.headers,
            body: request.body)
        var redirects: [HTTPRedirect] = []
        for _ in 0...max(0, request.redirectsMax) {
            let transfer = try await transfer(hop, limits: limits, listed: listed, since: started)
            let head = try await transfer.head()
            guard request.redirectsMax > 0, let location = head.redirect else {
                return HTTPResponse(
                    status: head.status, headers: head.headers, redirects: redirects,
                    body: HTTPBody(transfer, of: self))
            }
            transfer.close()
            hop = try hop.following(location, status: head.status)
            redirects.append(
                HTTPRedirect(
                    status: head.status, headers: head.headers, target: hop.address.authority))
        }
        throw Failure(.upstream, "\(hop.address.authority) redirected too many times.")
    }

    private func address(_ url: String) throws -> WebAddress {
        if let found = known.withLock({ $0.addresses[url] }) { return found }
        let address = try WebAddress(url)
        guard url.utf8.count <= Self.knownBytesMax else { return address }
        known.withLock { known in
            if known.addresses.count >= Self.knownMax { known.addresses = [:] }
            known.addresses[url] = address
        }
        return address
    }

    private func target(_ text: String) -> AllowedTarget? {
        if let found = known.withLock({ $0.targets[text] }) { return found }
        guard let target = AllowedTarget(text) else { return nil }
        guard text.utf8.count <= Self.knownBytesMax else { return target }
        known.withLock { known in
            if known.targets.count >= Self.knownMax { known.targets = [:] }
            known.targets[text] = target
        }
        return target
    }

    private static let knownMax = 256
    private static let knownBytesMax = 512

    private func transfer(
        _ hop: Hop, limits: HTTPLimits, listed: [AllowedTarget],
        since started: ContinuousClock.Instant
    ) async throws -> Transfer {
        guard hop.headers.allSatisfy(\.isSafe), HTTPHeader(hop.method, "").isSafe else {
            throw Failure(.invalid, "A header of the request has characters that HTTP refuses.")
        }
        let guardian = AddressGuard(
            policy: policy, listed: listed, host: hop.address.host, port: hop.address.port)
        let path = try await path(to: hop.address, past: guardian, within: limits.connect)
        let transfer = Transfer(
            Transfer.Plan(
                address: hop.address, method: hop.method, headers: hop.headers, body: hop.body,
                limits: limits, path: path, certificatesFile: configuration.certificatesFile,
                started: started),
            loop: loop)
        try loop.add(transfer)
        return transfer
    }

    /// Resolves the name and holds every address it has against the policy.
    private func path(
        to address: WebAddress, past guardian: AddressGuard, within timeout: Duration
    ) async throws -> NetworkPath {
        let isPrivate =
            address.host == "localhost"
            || IPAddress(address.host).map { AddressPolicy.reserved($0) != nil } == true
        if !configuration.proxy.isEmpty, !isPrivate {
            let proxy = try WebAddress(configuration.proxy)
            let addresses = try await resolver.addresses(of: proxy.host, within: timeout)
            return NetworkPath(
                endpoint: proxy, addresses: addresses,
                guardian: AddressGuard(
                    policy: policy, listed: [.host(proxy.host, port: proxy.port)],
                    host: proxy.host, port: proxy.port),
                isProxy: true)
        }
        let addresses = try await resolver.addresses(of: address.host, within: timeout)
        for found in addresses {
            guard let reason = guardian.refusal(of: found) else { continue }
            logger.warning(
                "refused an address", metadata: ["host": "\(address.host)", "address": "\(found)"])
            throw guardian.failure(address: found, reason: reason)
        }
        return NetworkPath(
            endpoint: address, addresses: addresses, guardian: guardian, isProxy: false)
    }
}

/// Where the connection goes, and what may be connected to.
struct NetworkPath: Sendable {
    let endpoint: WebAddress
    let addresses: [IPAddress]
    let guardian: AddressGuard
    let isProxy: Bool
}

/// One request of a chain of redirects.
private struct Hop {
    var address: WebAddress
    var method: String
    var headers: [HTTPHeader]
    var body: [UInt8]

    // All that another origin is told. Whatever else there was may be a secret.
    private static let publicHeaders: Set<String> = [
        "accept", "accept-language", "content-type", "if-range", "range", "user-agent",
    ]

    /// The request that a redirect asks for (RFC 9110, section 15.4).
    func following(_ location: String, status: Int) throws -> Hop {
        let next = try address.following(location)
        guard address.scheme == "http" || next.scheme == "https" else {
            throw Failure(
                .forbidden, "\(address.authority) redirected from https to http, which is refused.")
        }
        var hop = self
        hop.address = next
        let turnsIntoGet = status == 303 && method != "HEAD" || status < 303 && method == "POST"
        if turnsIntoGet {
            hop.method = "GET"
            hop.body = []
            hop.headers.removeAll { $0.name.lowercased() == "content-type" }
        }
        guard next.origin != address.origin else { return hop }
        guard hop.body.isEmpty else {
            throw Failure(
                .forbidden,
                "\(address.authority) redirected to \(next.authority); what was sent is not sent"
                    + " on to another host.")
        }
        hop.headers.removeAll { !Self.publicHeaders.contains($0.name.lowercased()) }
        return hop
    }
}
