import Core
import Egress

/// A page or a file from the web, as what could have been uploaded.
struct WebPage {
    let name: String
    let mediaType: String
    let bytes: [UInt8]
    /// Who answered, after redirects: `host:port`.
    private(set) var host = ""

    private static let redirectsMax = 5
    private static let secondsMax = 60.0
    private static let nameLengthMax = 200

    /// Throws what the client does, `upstream` for an answer that is not a success, `tooLarge`.
    static func fetch(_ address: String, by client: HTTPClient, bytesMax: Int) async throws
        -> WebPage
    {
        var limits = client.limits
        limits.total = HTTPLimits.duration(secondsMax)
        limits.firstByte = min(limits.firstByte, limits.total)
        limits.responseBytesMax = min(limits.responseBytesMax, bytesMax)
        let response = try await client.open(
            HTTPRequest(
                "GET", address,
                headers: [
                    HTTPHeader("Accept", "text/html, application/pdf, text/*;q=0.9, */*;q=0.5"),
                    HTTPHeader("User-Agent", "Heptad"),
                ], limits: limits, redirectsMax: redirectsMax))
        guard (200..<300).contains(response.status) else {
            response.body.close()
            let host = try HTTPRequest.target(of: address)
            throw Failure(.upstream, "\(host) answered with status \(response.status).")
        }
        let type = MIMEPart.parsed(response.headers["content-type"] ?? "")
        let bytes = try await response.body.collect(bytesMax: bytesMax + 1)
        var page = WebPage(address, type.value, charset: type.parameters["charset"] ?? "", bytes)
        page.host = try response.redirects.last?.target ?? HTTPRequest.target(of: address)
        return page
    }

    init(_ address: String, _ type: String, charset: String, _ bytes: [UInt8]) {
        mediaType = type
        name = Self.name(of: address, type)
        let isForeign = type.hasPrefix("text/") && !["", "utf-8"].contains(charset.lowercased())
        self.bytes = isForeign ? Array(Charset.text(of: bytes, charset: charset).utf8) : bytes
    }

    /// `report.pdf`, or for a page where it stands: `example.com/docs/intro`.
    private static func name(of address: String, _ type: String) -> String {
        let scheme = address.firstRange(of: "://")?.upperBound ?? address.startIndex
        let place = address[scheme...].prefix { $0 != "?" && $0 != "#" }
        let trimmed = String(place).trimmed("/")
        let isPage = type == "text/html" || type == "application/xhtml+xml"
        let file = trimmed.split(separator: "/").dropFirst().last.map(String.init)
        guard isPage else { return String((file ?? trimmed).suffix(nameLengthMax)) }
        // The server said that it is a page: `index.php` is no program here.
        let isTaken = (try? DocumentFormat(name: trimmed, mediaType: type)) != .html
        return String(trimmed.suffix(nameLengthMax)) + (isTaken ? ".html" : "")
    }
}
