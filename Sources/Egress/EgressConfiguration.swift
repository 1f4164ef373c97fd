import Core

/// How this server reaches out, and what it may reach.
package struct EgressConfiguration: Codable, Sendable, Equatable {
    /// Private targets that may be reached all the same, each as `host`, `host:port`, an address or
    /// a CIDR block (`10.1.0.0/16`). Public addresses need no entry; loopback, private, link-local
    /// and metadata addresses are refused unless they are listed here or are the base address of a
    /// provider.
    package var allowedTargets: [String] = []
    /// An HTTP proxy for everything but private targets, as `http://host:port`; empty means none.
    /// Proxy variables of the environment are not read. Names are then resolved by the proxy, and
    /// its policy is the one that holds for the addresses behind them.
    package var proxy = ""
    /// A PEM file with the certificate authorities to trust; empty means the system's.
    package var certificatesFile = ""
    /// From the start of a request to a connection that is ready, name lookup and TLS included.
    package var connectTimeoutSeconds = 10.0
    /// From the start of a request to the first byte of the answer's body.
    package var firstByteTimeoutSeconds = 120.0
    /// Between two pieces of an answer.
    package var idleTimeoutSeconds = 60.0
    /// A whole request with its answer.
    package var totalTimeoutSeconds = 600.0
    /// The most bytes that an answer's body may have.
    package var responseBytesMax = 64 * 1024 * 1024
    /// The most bytes that an answer's headers may have.
    package var headerBytesMax = 64 * 1024
    /// Requests that may be under way at the same time; the next is refused.
    package var requestsMax = 512

    package init() {}

    /// Throws `invalid` with the key that is wrong.
    package func validate() throws {
        for target in allowedTargets where AllowedTarget(target) == nil {
            throw Failure(
                .invalid,
                "egress.allowed_targets: \"\(target)\" is not a host, host:port, address or CIDR"
                    + " block.")
        }
        if !proxy.isEmpty, (try? WebAddress(proxy)) == nil {
            throw Failure(
                .invalid, "egress.proxy: \"\(proxy)\" is not an address such as http://host:port.")
        }
        let timeouts = [
            ("connect_timeout_seconds", connectTimeoutSeconds),
            ("first_byte_timeout_seconds", firstByteTimeoutSeconds),
            ("idle_timeout_seconds", idleTimeoutSeconds),
            ("total_timeout_seconds", totalTimeoutSeconds),
        ]
        for (key, seconds) in timeouts where !(0.001...HTTPLimits.secondsMax).contains(seconds) {
            throw Failure(
                .invalid,
                "egress.\(key) must be between 0.001 and \(Int(HTTPLimits.secondsMax)) seconds.")
        }
        let counts = [
            ("response_bytes_max", responseBytesMax), ("header_bytes_max", headerBytesMax),
            ("requests_max", requestsMax),
        ]
        for (key, count) in counts where count < 1 {
            throw Failure(.invalid, "egress.\(key) must be at least 1.")
        }
    }
}
