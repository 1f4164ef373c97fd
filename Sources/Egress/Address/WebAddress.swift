import CCurl
import Core

/// An http or https address, taken apart by the very parser that libcurl connects with, so that
/// what is checked is what is reached.
struct WebAddress: Hashable, Sendable {
    /// The whole address as libcurl writes it.
    let url: String
    let scheme: String
    /// Lower case, without brackets and without a closing dot.
    let host: String
    /// The host as it stands in `url`, which is how libcurl looks a pinned name up.
    let rawHost: String
    let port: Int
    /// As it goes over the wire, and so is the query, which is without its question mark.
    let path: String
    let query: String

    private static let bytesMax = 8192

    /// Throws `invalid` for anything else than http and https, for a name or password in the
    /// address, and for what is not an address.
    init(_ text: String) throws { try self.init(text, relativeTo: nil) }

    /// Where a `Location` header leads from here.
    func following(_ location: String) throws -> WebAddress {
        try WebAddress(location, relativeTo: url)
    }

    /// `host:port`, for messages and comparison with what an operator listed.
    var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    var origin: String { "\(scheme)://\(authority)" }

    /// The `Host` header as libcurl sends it: without the port where that is the scheme's own.
    var hostHeader: String {
        port == (scheme == "https" ? 443 : 80) ? rawHost : "\(rawHost):\(port)"
    }

    static func normalized(_ host: String) -> String {
        var name = host.lowercased()
        if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
        if name.hasSuffix(".") { name.removeLast() }
        return name
    }

    private init(_ text: String, relativeTo base: String?) throws {
        guard text.utf8.count <= Self.bytesMax, !text.utf8.contains(0), let handle = curl_url()
        else { throw Self.refusal }
        defer { curl_url_cleanup(handle) }
        let flags = CUnsignedInt(CURLU_DISALLOW_USER)
        for part in [base, text].compactMap({ $0 }) {
            guard curl_url_set(handle, CURLUPART_URL, part, flags) == CURLUE_OK else {
                throw Self.refusal
            }
        }
        guard let url = Self.part(CURLUPART_URL, of: handle),
            let scheme = Self.part(CURLUPART_SCHEME, of: handle)?.lowercased(),
            let rawHost = Self.part(CURLUPART_HOST, of: handle, flags: CURLU_PUNYCODE),
            let port = Self.part(CURLUPART_PORT, of: handle, flags: CURLU_DEFAULT_PORT).flatMap({
                Int($0)
            }),
            (1...65535).contains(port), scheme == "http" || scheme == "https",
            Self.part(CURLUPART_ZONEID, of: handle) == nil
        else { throw Self.refusal }
        let host = Self.normalized(rawHost)
        guard !host.isEmpty else { throw Self.refusal }
        self.url = url
        self.scheme = scheme
        self.host = host
        self.rawHost = rawHost
        self.port = port
        path = Self.part(CURLUPART_PATH, of: handle) ?? "/"
        query = Self.part(CURLUPART_QUERY, of: handle) ?? ""
    }

    private static let refusal = Failure(
        .invalid, "Only http and https addresses without a name and password can be called.")

    private static func part(_ part: CURLUPart, of handle: OpaquePointer, flags: Int32 = 0)
        -> String?
    {
        var text: UnsafeMutablePointer<CChar>?
        guard curl_url_get(handle, part, &text, CUnsignedInt(flags)) == CURLUE_OK, let text
        else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }
}
