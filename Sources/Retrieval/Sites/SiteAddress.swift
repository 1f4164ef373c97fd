import Core
import Egress

/// An address of a site, as it is compared with others.
struct SiteAddress: Hashable, Sendable {
    /// Without what stands behind `#`.
    let text: String
    /// `https://example.com`, as it was written.
    let origin: String
    /// `example.com:443`.
    let host: String
    /// With its query, as `robots.txt` speaks of it.
    let path: String

    /// Throws `invalid` for what is not an http or https address.
    init(_ address: String) throws {
        host = try HTTPRequest.target(of: address)
        text = String(address.prefix { $0 != "#" })
        let start = text.firstRange(of: "://")?.upperBound ?? text.startIndex
        let end = text[start...].firstIndex { $0 == "/" || $0 == "?" } ?? text.endIndex
        origin = String(text[..<end])
        let rest = String(text[end...])
        path = rest.hasPrefix("/") ? rest : "/" + rest
    }

    /// Whether it is said to be a site map itself, rather than a place on a site that has one.
    var namesSiteMap: Bool {
        let file = path.prefix { $0 != "?" }.lowercased()
        return [".xml", ".xml.gz", ".txt"].contains { file.hasSuffix($0) }
    }
}
