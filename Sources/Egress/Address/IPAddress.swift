import CCurl
import Glibc

/// An IPv4 or IPv6 address.
struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    let isIPv4: Bool
    /// The 128 bits of an IPv6 address; an IPv4 address is in the lowest 32.
    let bits: UInt128

    init(ipv4 bits: UInt32) {
        isIPv4 = true
        self.bits = UInt128(bits)
    }

    init(ipv6 bits: UInt128) {
        isIPv4 = false
        self.bits = bits
    }

    /// Takes the strict text forms only: four decimal numbers, or IPv6 without a zone. `127.1`,
    /// `0x7f000001` and the like are names to be resolved, and are checked as what they resolve to.
    init?(_ text: String) {
        var four = in_addr()
        var sixteen = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self.init(ipv4: UInt32(bigEndian: four.s_addr))
        } else if inet_pton(AF_INET6, text, &sixteen) == 1 {
            self.init(sixteen)
        } else {
            return nil
        }
    }

    /// Nil for another family than IPv4 and IPv6.
    init?(_ address: UnsafePointer<sockaddr>) {
        let raw = UnsafeRawPointer(address)
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            let four = raw.loadUnaligned(as: sockaddr_in.self)
            self.init(ipv4: UInt32(bigEndian: four.sin_addr.s_addr))
        case AF_INET6:
            self.init(raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr)
        default: return nil
        }
    }

    private init(_ address: in6_addr) {
        let bits = withUnsafeBytes(of: address) { bytes in
            bytes.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
        }
        self.init(ipv6: bits)
    }

    var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let width = isIPv4 ? 4 : 16
        let bytes = (0..<width).map { UInt8(truncatingIfNeeded: bits >> (8 * (width - 1 - $0))) }
        inet_ntop(isIPv4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// The addresses that begin with the same bits, as `10.0.0.0/8` writes them.
struct AddressBlock: Hashable, Sendable {
    let base: IPAddress
    let prefixBits: Int

    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let base = IPAddress(String(parts[0])),
            let prefixBits = Int(parts[1]), (0...(base.isIPv4 ? 32 : 128)).contains(prefixBits)
        else { return nil }
        self.base = base
        self.prefixBits = prefixBits
    }

    /// The block of one address.
    init(_ address: IPAddress) {
        base = address
        prefixBits = address.isIPv4 ? 32 : 128
    }

    func contains(_ address: IPAddress) -> Bool {
        guard address.isIPv4 == base.isIPv4 else { return false }
        let shift = (base.isIPv4 ? 32 : 128) - prefixBits
        // A shift by the full width gives zero on both sides, which is what /0 means.
        return address.bits >> shift == base.bits >> shift
    }
}
