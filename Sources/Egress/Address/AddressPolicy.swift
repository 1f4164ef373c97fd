import Core

/// Which addresses may be connected to: public ones, and what the operator listed.
struct AddressPolicy: Sendable {
    private let allowed: [AllowedTarget]

    init(_ allowedTargets: [String]) { allowed = allowedTargets.compactMap { AllowedTarget($0) } }

    /// Why the address may not be connected to; nil when it may.
    func refusal(
        of address: IPAddress, host: String, port: Int, listed: [AllowedTarget]
    ) -> String? {
        let isListed = (allowed + listed).contains {
            $0.covers(address, host: host, port: port)
        }
        return isListed ? nil : Self.reserved(address)
    }

    /// What an address is reserved for; nil for a public one.
    static func reserved(_ address: IPAddress) -> String? {
        if let block = blocks.first(where: { $0.block.contains(address) }) { return block.purpose }
        guard !address.isIPv4 else { return nil }
        // NAT64 carries an IPv4 address, which is what is really reached (RFC 6052).
        if translation.contains(address) {
            return reserved(IPAddress(ipv4: UInt32(truncatingIfNeeded: address.bits)))
        }
        return global.contains(address) ? nil : "reserved"
    }

    private static let global = AddressBlock(IPAddress(ipv6: 0x2000 << 112), prefixBits: 3)
    private static let translation = AddressBlock(
        IPAddress(ipv6: 0x0064_ff9b << 96), prefixBits: 96)

    // The IANA special-purpose registries, and the metadata addresses of the clouds that have one
    // outside of them. IPv6 outside of 2000::/3 needs no row: it is refused as a whole.
    private static let blocks: [(block: AddressBlock, purpose: String)] = [
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by carriers"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud metadata"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "this host"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4 inside IPv6"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "IPv4 inside IPv6"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    ].compactMap { text, purpose in AddressBlock(text).map { ($0, purpose) } }
}

extension AddressBlock {
    fileprivate init(_ base: IPAddress, prefixBits: Int) {
        self.base = base
        self.prefixBits = prefixBits
    }
}

/// The policy as one request sees it. Asked after the name is resolved, again before a socket opens
/// and once more before the request is sent, so that neither a second lookup nor a kept connection
/// gets around it.
struct AddressGuard: Sendable {
    let policy: AddressPolicy
    let listed: [AllowedTarget]
    let host: String
    let port: Int

    func refusal(of address: IPAddress) -> String? {
        policy.refusal(of: address, host: host, port: port, listed: listed)
    }

    func failure(address: IPAddress, reason: String) -> Failure {
        Failure(
            .forbidden,
            "\(host):\(port) is not a public address and is refused. If it is meant, list it under"
                + " egress.allowed_targets.",
            cause: "\(address) is \(reason)")
    }
}
