import Core
import HTTPTypes

/// Who is at the other end, seen through the proxies that the operator trusts.
struct Client: Sendable {
    let address: NetworkAddress?
    /// Whether the client spoke TLS to the proxy.
    let isSecure: Bool
    /// Whether any proxy stands between, trusted or not.
    let isForwarded: Bool
}

/// Reads `X-Forwarded-*`, which anyone can send, only from proxies the operator named.
struct ClientResolver: Sendable {
    private let proxies: [AddressRange]
    private let isPublicSecure: Bool

    init(_ configuration: GatewayConfiguration) {
        proxies = configuration.trustedProxies.compactMap { AddressRange($0) }
        isPublicSecure = Origin(configuration.publicUrl)?.isSecure ?? false
    }

    func client(peer: NetworkAddress?, headers: HTTPFields) -> Client {
        let isForwarded = headers.contains(.forwardedFor)
        guard let peer, isTrusted(peer) else {
            return Client(address: peer, isSecure: isPublicSecure, isForwarded: isForwarded)
        }
        // Each proxy appends whom it saw, so the truth is read from the right, up to the first
        // address that no trusted proxy has.
        var address = peer
        let seen = headers[values: .forwardedFor].flatMap { $0.split(separator: ",") }
        for text in seen.reversed().prefix(Self.hopsMax) {
            guard let next = NetworkAddress(text.filter { $0 != " " }) else { break }
            address = next
            guard isTrusted(next) else { break }
        }
        let scheme = headers[.forwardedProtocol]?.split(separator: ",").last.map(String.init)
        let isSecure = scheme?.lowercased().filter { $0 != " " } == "https"
        return Client(
            address: address, isSecure: isPublicSecure || isSecure, isForwarded: isForwarded)
    }

    private static let hopsMax = 16

    private func isTrusted(_ address: NetworkAddress) -> Bool {
        proxies.contains { $0.contains(address) }
    }
}
