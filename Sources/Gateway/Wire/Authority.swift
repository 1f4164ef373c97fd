import Core

/// A host, and the port where one is named: `localhost:8080`, `[::1]`, `chat.example.com`.
struct Authority: Hashable, Sendable {
    /// In lower case, without the brackets of an IPv6 address and without a final dot.
    let host: String
    let port: Int?

    init?(_ text: String) {
        guard text.utf8.count <= 300 else { return nil }
        let text = text.lowercased()
        let host: Substring
        let rest: Substring
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            guard NetworkAddress(String(host)) != nil else { return nil }
            rest = text[text.index(after: end)...]
        } else {
            let end = text.firstIndex(of: ":") ?? text.endIndex
            host = text[..<end]
            guard host.utf8.allSatisfy(Self.isHostByte) else { return nil }
            rest = text[end...]
        }
        let name = host.hasSuffix(".") ? host.dropLast() : host
        guard !name.isEmpty else { return nil }
        self.host = String(name)
        guard !rest.isEmpty else {
            port = nil
            return
        }
        guard rest.hasPrefix(":"), let number = UInt16(rest.dropFirst()) else { return nil }
        port = Int(number)
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

/// Where a page comes from, as a browser's `Origin` header says it: `https://chat.example.com`.
struct Origin: Hashable, Sendable {
    let isSecure: Bool
    let authority: Authority

    init?(_ text: String) {
        let rest: Substring
        if text.hasPrefix("https://") {
            isSecure = true
            rest = text.dropFirst(8)
        } else if text.hasPrefix("http://") {
            isSecure = false
            rest = text.dropFirst(7)
        } else {
            return nil
        }
        let end = rest.firstIndex(of: "/") ?? rest.endIndex
        guard rest[end...].count <= 1, let authority = Authority(String(rest[..<end])) else {
            return nil
        }
        self.authority = authority
    }

    /// Whether a page from here is one that `authority` serves. Where either leaves the port out,
    /// the scheme's own is meant.
    func matches(_ authority: Authority) -> Bool {
        let own = isSecure ? 443 : 80
        return self.authority.host == authority.host
            && (self.authority.port ?? own) == (authority.port ?? own)
    }
}
