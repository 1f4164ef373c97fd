import Core

/// Where the server listens, whom it trusts, and how much it takes.
package struct GatewayConfiguration: Codable, Sendable, Equatable {
    /// The address to listen on. `127.0.0.1` is reachable from this machine only; `0.0.0.0` from all.
    package var host = "127.0.0.1"
    /// The port to listen on; 0 lets the system choose one.
    package var port = 8080
    /// How users reach the server when a proxy stands before it, such as `https://chat.example.com`.
    /// With `https`, cookies are sent over TLS only.
    package var publicUrl = ""
    /// Addresses or ranges (`10.0.0.0/8`) of proxies whose `X-Forwarded-*` headers are believed.
    package var trustedProxies: [String] = []
    /// More host names that the server answers to while it listens on this machine only.
    package var allowedHosts: [String] = []
    /// The largest file that may be uploaded.
    package var uploadBytesMax = 20 << 20
    /// The largest body of any other request.
    package var bodyBytesMax = 4 << 20
    /// How long a request may take to send its body.
    package var bodyTimeoutSeconds = 30
    /// How long an upload may take.
    package var uploadTimeoutSeconds = 600
    /// How long a connection may stay open without a request.
    package var idleTimeoutSeconds = 75
    /// Connections that may be open at once; more wait in the system's queue.
    package var connectionsMax = 1024
    /// Event streams that one user may follow at once.
    package var streamsMax = 32
    /// How often a silent event stream gets a comment, so that proxies keep it open.
    package var keepAliveSeconds = 15
    /// Requests that one user or API key may make, averaged over time.
    package var requestsPerMinute = 600
    /// Requests that one user or API key may make at once.
    package var requestsBurst = 120
    /// Requests that one address may make without logging in, averaged over time.
    package var anonymousRequestsPerMinute = 300
    /// Requests that one address may make at once without logging in.
    package var anonymousRequestsBurst = 200
    /// Wrong passwords that one name or address may try at once; one more each 30 seconds.
    package var loginAttemptsBurst = 10
    /// How long a browser stays logged in without a request.
    package var sessionIdleHours = 14 * 24
    /// How long a browser stays logged in at all.
    package var sessionHoursMax = 90 * 24
    /// Whether `/metrics` answers this machine without a key. Requests that come through a proxy
    /// need one in any case.
    package var metricsOpenOnLoopback = true
    /// How long running requests may go on after the server was told to stop.
    package var shutdownSeconds = 5

    package init() {}

    /// Throws `invalid` with a sentence that names the key.
    package func validate() throws {
        let limits: [(String, Int, ClosedRange<Int>)] = [
            ("port", port, 0...65535),
            ("upload_bytes_max", uploadBytesMax, 1...(1 << 30)),
            ("body_bytes_max", bodyBytesMax, 1024...(1 << 28)),
            ("body_timeout_seconds", bodyTimeoutSeconds, 1...3600),
            ("upload_timeout_seconds", uploadTimeoutSeconds, 1...86_400),
            ("idle_timeout_seconds", idleTimeoutSeconds, 1...3600),
            ("connections_max", connectionsMax, 1...100_000),
            ("streams_max", streamsMax, 1...10_000),
            ("keep_alive_seconds", keepAliveSeconds, 1...3600),
            ("requests_per_minute", requestsPerMinute, 1...10_000_000),
            ("requests_burst", requestsBurst, 1...1_000_000),
            ("anonymous_requests_per_minute", anonymousRequestsPerMinute, 1...10_000_000),
            ("anonymous_requests_burst", anonymousRequestsBurst, 1...1_000_000),
            ("login_attempts_burst", loginAttemptsBurst, 1...1000),
            ("session_idle_hours", sessionIdleHours, 1...87_600),
            ("session_hours_max", sessionHoursMax, 1...87_600),
            ("shutdown_seconds", shutdownSeconds, 0...3600),
        ]
        for (key, value, range) in limits where !range.contains(value) {
            throw Failure(
                .invalid,
                "gateway.\(key) is \(value); it may be \(range.lowerBound) to \(range.upperBound).")
        }
        guard !host.isEmpty else { throw Failure(.invalid, "gateway.host is empty.") }
        for range in trustedProxies where AddressRange(range) == nil {
            throw Failure(
                .invalid,
                "gateway.trusted_proxies has \(range), which is neither an address nor a range "
                    + "such as 10.0.0.0/8.")
        }
        for host in allowedHosts where Authority(host) == nil {
            throw Failure(.invalid, "gateway.allowed_hosts has \(host), which is no host name.")
        }
        guard publicUrl.isEmpty || Origin(publicUrl) != nil else {
            throw Failure(
                .invalid,
                "gateway.public_url is \(publicUrl); it has the form https://chat.example.com.")
        }
    }

    var sessions: SessionDurations {
        SessionDurations(
            idle: .seconds(sessionIdleHours * 3600), absolute: .seconds(sessionHoursMax * 3600))
    }
}
