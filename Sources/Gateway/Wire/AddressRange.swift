import Core

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// An IP address as 16 bytes, IPv4 in its mapped form, so that both compare alike.
struct NetworkAddress: Hashable {
    let bytes: [UInt8]

    init?(_ text: String) {
        // A zone such as `fe80::1%eth0` says which interface, not whom.
        let text = String(text.prefix { $0 != "%" })
        var four = [UInt8](repeating: 0, count: 4)
        if inet_pton(AF_INET, text, &four) == 1 {
            bytes = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + four
            return
        }
        var six = [UInt8](repeating: 0, count: 16)
        guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        bytes = six
    }

    var isIPv4: Bool { bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10...11] == [255, 255] }

    var isLoopback: Bool {
        isIPv4 ? bytes[12] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1
    }

    /// What limits are counted by: an IPv4 address, or the /64 that one IPv6 customer has.
    var network: NetworkAddress {
        isIPv4
            ? self : NetworkAddress(bytes: Array(bytes.prefix(8)) + [UInt8](repeating: 0, count: 8))
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }
}

/// One address, or all that share a prefix: `10.0.0.0/8`.
struct AddressRange: Sendable {
    private let bytes: [UInt8]
    private let bits: Int

    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = NetworkAddress(String(parts[0])) else { return nil }
        bytes = address.bytes
        let width = address.isIPv4 && !parts[0].contains(":") ? 32 : 128
        guard parts.count == 2 else {
            bits = 128
            return
        }
        guard let prefix = Int(parts[1]), (0...width).contains(prefix) else { return nil }
        bits = 128 - width + prefix
    }

    func contains(_ address: NetworkAddress) -> Bool {
        for bit in 0..<bits {
            let mask = UInt8(0x80) >> UInt8(bit % 8)
            guard bytes[bit / 8] & mask == address.bytes[bit / 8] & mask else { return false }
        }
        return true
    }
}
