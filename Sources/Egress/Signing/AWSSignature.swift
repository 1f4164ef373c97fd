import COpenSSL
package import Core

/// Signs requests to AWS: Signature Version 4, with the key and for the service that it is made of.
///
/// libcurl has `CURLOPT_AWS_SIGV4`, and up to 8.x it signs the path as it stands in the address.
/// AWS signs it encoded once more, which makes a difference wherever it has a percent sign: in the
/// path of every model whose name has a colon.
package struct AWSSignature: Sendable {
    private let region: String
    private let service: String
    private let accessKeyID: String
    private let secretAccessKey: String
    private let sessionToken: String

    /// - Parameter sessionToken: of temporary keys; empty for lasting ones.
    package init(
        region: String, service: String, accessKeyID: String, secretAccessKey: String,
        sessionToken: String = ""
    ) {
        self.region = region
        self.service = service
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
    }

    /// The headers to add to the request, which must not change after that. Throws `invalid` for
    /// what is not an HTTP address.
    package func headers(for request: HTTPRequest, at time: Timestamp) throws -> [HTTPHeader] {
        let date = Self.date(time)
        var added = [HTTPHeader("X-Amz-Date", date)]
        if !sessionToken.isEmpty {
            added.append(HTTPHeader("X-Amz-Security-Token", sessionToken))
        }
        let (canonical, names) = try canonicalRequest(request, with: added)
        let scope = "\(date.prefix(8))/\(region)/\(service)/aws4_request"
        let text = ["AWS4-HMAC-SHA256", date, scope, Self.hexadecimal(try Self.sum(canonical))]
            .joined(separator: "\n")
        var key = Array("AWS4\(secretAccessKey)".utf8)
        for part in [String(date.prefix(8)), region, service, "aws4_request", text] {
            key = try Self.authenticate(part, with: key)
        }
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(accessKeyID)/\(scope), SignedHeaders=\(names),"
            + " Signature=\(Self.hexadecimal(key))"
        return added + [HTTPHeader("Authorization", authorization)]
    }

    /// What is signed, and the names of the headers in it: the type of the body, the host as libcurl
    /// names it, and all of AWS's own.
    func canonicalRequest(_ request: HTTPRequest, with added: [HTTPHeader]) throws
        -> (text: String, headerNames: String)
    {
        let address = try WebAddress(request.url)
        let signed = (request.headers + added).filter {
            let name = $0.name.lowercased()
            return name == "content-type" || name.hasPrefix("x-amz-")
        }
        let headers = (signed + [HTTPHeader("Host", address.hostHeader)])
            .map { (name: $0.name.lowercased(), value: Self.trimmed($0.value)) }
            .sorted { $0.name < $1.name }
        let names = headers.map(\.name).joined(separator: ";")
        let lines =
            [
                request.method, Self.encoded(address.path),
                Self.sortedQuery(address.query),
            ] + headers.map { "\($0.name):\($0.value)" }
            + ["", names, Self.hexadecimal(try Self.sum(request.body))]
        return (lines.joined(separator: "\n"), names)
    }

    /// `20150830T123600Z`.
    private static func date(_ time: Timestamp) -> String {
        time.description.prefix(19).filter { $0 != "-" && $0 != ":" } + "Z"
    }

    private static func trimmed(_ value: String) -> String {
        value.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
    }

    /// A path as it is on the wire, with its percent signs encoded in their turn.
    private static func encoded(_ path: String) -> String {
        path.utf8.reduce(into: "") { text, byte in
            if PercentEncoding.isUnreserved(byte) || byte == UInt8(ascii: "/") {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += PercentEncoding.of(byte)
            }
        }
    }

    /// Names and values as they are on the wire, in the order of their bytes.
    private static func sortedQuery(_ query: String) -> String {
        query.split(separator: "&")
            .map { $0.contains("=") ? String($0) : "\($0)=" }
            .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            .joined(separator: "&")
    }

    private static func sum(_ text: String) throws -> [UInt8] { try sum(Array(text.utf8)) }

    private static func sum(_ bytes: [UInt8]) throws -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Int(HEPTAD_SHA256_BYTES))
        guard heptad_sha256(bytes, bytes.count, &digest) == 1 else { throw failed }
        return digest
    }

    private static func authenticate(_ text: String, with key: [UInt8]) throws -> [UInt8] {
        let bytes = Array(text.utf8)
        var digest = [UInt8](repeating: 0, count: Int(HEPTAD_SHA256_BYTES))
        guard heptad_hmac_sha256(key, key.count, bytes, bytes.count, &digest) == 1 else {
            throw failed
        }
        return digest
    }

    private static let failed = Failure(.internalError, "A request could not be signed.")

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let text = String(byte, radix: 16)
            return byte < 16 ? "0" + text : text
        }.joined()
    }
}
