/// Something that an operator listed: a host, with or without a port, or a block of addresses.
enum AllowedTarget: Hashable, Sendable {
    case host(String, port: Int?)
    case block(AddressBlock, port: Int?)

    /// Nil when the text is none of `host`, `host:port`, `address`, `address:port`, `[v6]:port`,
    /// `address/bits`.
    init?(_ text: String) {
        if text.contains("/") {
            guard let block = AddressBlock(text) else { return nil }
            self = .block(block, port: nil)
            return
        }
        if let address = IPAddress(text) {
            self = .block(AddressBlock(address), port: nil)
            return
        }
        guard let (host, port) = Self.split(text) else { return nil }
        if let address = IPAddress(host) {
            self = .block(AddressBlock(address), port: port)
        } else if Self.isName(host) {
            self = .host(WebAddress.normalized(host), port: port)
        } else {
            return nil
        }
    }

    func covers(_ address: IPAddress, host: String, port: Int) -> Bool {
        switch self {
        case .host(let name, let listedPort):
            name == host && (listedPort == nil || listedPort == port)
        case .block(let block, let listedPort):
            block.contains(address) && (listedPort == nil || listedPort == port)
        }
    }

    /// `host:port` or `[v6]:port`, the port being optional.
    private static func split(_ text: String) -> (host: String, port: Int?)? {
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            let host = String(text[text.index(after: text.startIndex)..<end])
            let rest = text[text.index(after: end)...]
            if rest.isEmpty { return (host, nil) }
            guard rest.hasPrefix(":"), let port = port(rest.dropFirst()) else { return nil }
            return (host, port)
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        switch parts.count {
        case 1: return (text, nil)
        case 2: return port(parts[1]).map { (String(parts[0]), $0) }
        default: return nil
        }
    }

    private static func port(_ text: Substring) -> Int? {
        guard let port = UInt16(text), port > 0 else { return nil }
        return Int(port)
    }

    private static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 253
            && text.unicodeScalars.allSatisfy { scalar in
                scalar == "-" || scalar == "." || scalar == "_"
                    || scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
            }
    }
}
