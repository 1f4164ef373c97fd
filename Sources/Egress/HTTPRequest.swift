/// One call out.
package struct HTTPRequest: Sendable {
    package var method: String
    package var url: String
    package var headers: [HTTPHeader]
    package var body: [UInt8]
    /// Nil means the limits of the configuration.
    package var limits: HTTPLimits?
    /// What the operator named for this very request, in the form of
    /// `EgressConfiguration.allowedTargets`. Never take it from a user or a document.
    package var allowedTargets: [String]
    /// How many redirects are followed; each hop is checked like the first.
    package var redirectsMax: Int

    package init(
        _ method: String, _ url: String, headers: [HTTPHeader] = [], body: [UInt8] = [],
        limits: HTTPLimits? = nil, allowedTargets: [String] = [], redirectsMax: Int = 0
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.limits = limits
        self.allowedTargets = allowedTargets
        self.redirectsMax = redirectsMax
    }

    /// `host:port` of an address, in the form of `allowedTargets`. Throws `invalid` for what is
    /// not an http or https address.
    package static func target(of url: String) throws -> String { try WebAddress(url).authority }
}

/// How long a call may take and how much may come back.
package struct HTTPLimits: Hashable, Sendable {
    /// From the start to a connection that is ready.
    package var connect: Duration
    /// From the start to the first byte of the body.
    package var firstByte: Duration
    /// Between two pieces of the body, while somebody reads it.
    package var idle: Duration
    /// From the start to the last byte.
    package var total: Duration
    package var responseBytesMax: Int
    package var headerBytesMax: Int

    static let secondsMax = 86_400.0

    package init(_ configuration: EgressConfiguration) {
        connect = Self.duration(configuration.connectTimeoutSeconds)
        firstByte = Self.duration(configuration.firstByteTimeoutSeconds)
        idle = Self.duration(configuration.idleTimeoutSeconds)
        total = Self.duration(configuration.totalTimeoutSeconds)
        responseBytesMax = configuration.responseBytesMax
        headerBytesMax = configuration.headerBytesMax
    }

    /// Any number as a duration between a millisecond and a day.
    package static func duration(_ seconds: Double) -> Duration {
        guard seconds.isFinite else { return .seconds(secondsMax) }
        return .seconds(min(max(seconds, 0.001), secondsMax))
    }
}

/// One header line.
package struct HTTPHeader: Hashable, Sendable {
    package let name: String
    package let value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    /// True when the line can be sent without changing the request around it.
    var isSafe: Bool {
        !name.isEmpty && name.utf8.allSatisfy(Self.isTokenByte)
            && value.utf8.allSatisfy { $0 >= 32 && $0 != 127 || $0 == 9 }
    }

    /// Whatever the case; names are ASCII.
    func isNamed(_ other: String) -> Bool {
        guard name.utf8.count == other.utf8.count else { return false }
        return zip(name.utf8, other.utf8).allSatisfy {
            $0 == $1 || Self.lowered($0) == Self.lowered($1)
        }
    }

    private static func lowered(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}

extension [HTTPHeader] {
    /// The value of the first header of that name, whatever its case.
    package subscript(_ name: String) -> String? {
        first { $0.isNamed(name) }?.value
    }
}
