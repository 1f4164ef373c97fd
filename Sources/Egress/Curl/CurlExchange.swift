import CCurl
import Core
import Glibc

/// One request as libcurl performs it: the easy handle, what its callbacks keep, and its time
/// limits. Used on the curl thread only.
final class CurlExchange {
    let transfer: Transfer
    let easy: UnsafeMutableRawPointer
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private var pinList: UnsafeMutablePointer<curl_slist>?
    private var head: HeadParser
    private var bytesReceived = 0
    private var bytesMax: Int
    /// When a transfer that nobody reads any more must have ended.
    private var drainDeadline: ContinuousClock.Instant?
    private var isPaused = false
    /// When something last arrived that belongs to the body; nil before the first byte of it.
    private var lastByte: ContinuousClock.Instant?
    /// Why a callback of ours ended the transfer.
    private var failure: Failure?

    private let onNewDeadline: (ContinuousClock.Instant) -> Void
    /// Is told whom to wake.
    private let wake: (Transfer.Waiter) -> Void

    /// Nil when libcurl refuses an option. `onNewDeadline` is told of a `deadline` that may be
    /// earlier than the last one; later ones are found out when the earlier one passes.
    init?(
        _ transfer: Transfer, onNewDeadline: @escaping (ContinuousClock.Instant) -> Void,
        wake: @escaping (Transfer.Waiter) -> Void
    ) {
        guard let easy = curl_easy_init() else { return nil }
        self.transfer = transfer
        self.onNewDeadline = onNewDeadline
        self.wake = wake
        self.easy = easy
        bytesMax = transfer.plan.limits.responseBytesMax
        head = HeadParser(bytesMax: transfer.plan.limits.headerBytesMax)
        guard setOptions() else { return nil }
    }

    deinit {
        curl_easy_cleanup(easy)
        curl_slist_free_all(headerList)
        curl_slist_free_all(pinList)
    }

    /// Lets the bytes come again; what libcurl held back arrives before this returns.
    func resume() {
        isPaused = false
        lastByte = .now
        onNewDeadline(deadline)
        curl_easy_pause(easy, CURLPAUSE_CONT)
    }

    func drain() {
        drainDeadline = .now + Transfer.drainTime
        bytesMax = min(bytesMax, bytesReceived + Transfer.drainBytesMax)
        resume()
    }

    // MARK: Time

    /// When the next time limit passes, if nothing happens until then. The time that the reader
    /// takes is not held against the server.
    var deadline: ContinuousClock.Instant {
        if let drainDeadline { return drainDeadline }
        let plan = transfer.plan
        let total = plan.started + plan.limits.total
        guard let lastByte else { return min(total, plan.started + plan.limits.firstByte) }
        return isPaused ? total : min(total, lastByte + plan.limits.idle)
    }

    func lateness(at now: ContinuousClock.Instant) -> Failure? {
        guard deadline <= now else { return nil }
        let plan = transfer.plan
        let host = plan.address.authority
        if plan.started + plan.limits.total <= now {
            return Failure(
                .timeout, "\(host) took longer than \(Self.text(plan.limits.total)) in all.")
        }
        guard lastByte != nil else {
            return Failure(
                .timeout, "\(host) did not answer within \(Self.text(plan.limits.firstByte)).")
        }
        return Failure(
            .timeout, "\(host) was silent for \(Self.text(plan.limits.idle)) in mid-answer.")
    }

    private static func text(_ duration: Duration) -> String {
        "\(Double(duration.microseconds / 1000) / 1000) s"
    }

    // MARK: The end

    func ending(_ code: CURLcode) -> Transfer.Ending {
        if let failure { return .failed(failure) }
        guard code != CURLE_OK else { return .complete }
        let host = transfer.plan.address.authority
        let cause = String(cString: curl_easy_strerror(code))
        let (failureCode, sentence): (Failure.Code, String) =
            switch code {
            case CURLE_OPERATION_TIMEDOUT:
                (.timeout, "\(host) could not be connected to in time.")
            case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY:
                (.upstream, "\(host) could not be connected to.")
            case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION,
                CURLE_SSL_CACERT_BADFILE:
                (
                    .upstream,
                    "\(host) could not be trusted: its TLS connection or certificate is wrong."
                )
            case CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL, CURLE_HTTP2,
                CURLE_HTTP2_STREAM:
                (.upstream, "\(host) did not answer in proper HTTP.")
            default: (.upstream, "The connection to \(host) broke.")
            }
        return .failed(Failure(failureCode, sentence, cause: cause))
    }

    // MARK: Options

    private func setOptions() -> Bool {
        let plan = transfer.plan
        let address = plan.address
        let connect = plan.limits.connect - (.now - plan.started)
        let numbers: [(CURLoption, Int)] = [
            (CURLOPT_NOSIGNAL, 1),
            (CURLOPT_FOLLOWLOCATION, 0),
            (CURLOPT_CONNECTTIMEOUT_MS, Int(max(1, connect.microseconds / 1000))),
            (CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2)),
            (CURLOPT_SUPPRESS_CONNECT_HEADERS, 1),
            (CURLOPT_TCP_KEEPALIVE, 1),
        ]
        let texts: [(CURLoption, String)] =
            [
                (CURLOPT_URL, address.url),
                (CURLOPT_PROTOCOLS_STR, "http,https"),
                // Empty values, so that the environment's are not read.
                (CURLOPT_PROXY, plan.path.isProxy ? plan.path.endpoint.url : ""),
                (CURLOPT_NOPROXY, ""),
            ] + (plan.certificatesFile.isEmpty ? [] : [(CURLOPT_CAINFO, plan.certificatesFile)])
        return numbers.allSatisfy { heptad_curl_set_number(easy, $0, $1) == CURLE_OK }
            && texts.allSatisfy { heptad_curl_set_text(easy, $0, $1) == CURLE_OK }
            && setMethod(plan) && setLists(plan) && setCallbacks()
    }

    private func setMethod(_ plan: Transfer.Plan) -> Bool {
        switch plan.method {
        case "GET" where plan.body.isEmpty:
            return heptad_curl_set_number(easy, CURLOPT_HTTPGET, 1) == CURLE_OK
        case "HEAD":
            return heptad_curl_set_number(easy, CURLOPT_NOBODY, 1) == CURLE_OK
        default:
            if plan.method == "POST" || !plan.body.isEmpty {
                let isSet = plan.body.withUnsafeBytes {
                    heptad_curl_set_body(easy, $0.baseAddress, $0.count) == CURLE_OK
                }
                guard isSet else { return false }
            }
            return heptad_curl_set_text(easy, CURLOPT_CUSTOMREQUEST, plan.method) == CURLE_OK
        }
    }

    private func setLists(_ plan: Transfer.Plan) -> Bool {
        // Without the empty Expect, large bodies wait a second for a 100 that few servers send.
        var lines = ["Expect:"]
        if plan.headers["user-agent"] == nil { lines.append("User-Agent: heptad") }
        lines += plan.headers.map { $0.value.isEmpty ? "\($0.name);" : "\($0.name): \($0.value)" }
        for line in lines {
            guard let list = curl_slist_append(headerList, line) else { return false }
            headerList = list
        }
        // The plus lets the entry grow old, so that the cache does not keep every name for ever.
        let endpoint = plan.path.endpoint
        if IPAddress(endpoint.host) == nil {
            let addresses = plan.path.addresses.map { $0.isIPv4 ? "\($0)" : "[\($0)]" }
            let pin = "+\(endpoint.rawHost):\(endpoint.port):\(addresses.joined(separator: ","))"
            guard let list = curl_slist_append(nil, pin) else { return false }
            pinList = list
        }
        return heptad_curl_set_list(easy, CURLOPT_HTTPHEADER, headerList) == CURLE_OK
            && heptad_curl_set_list(easy, CURLOPT_RESOLVE, pinList) == CURLE_OK
    }

    private func setCallbacks() -> Bool {
        heptad_curl_set_callbacks(
            easy, Unmanaged.passUnretained(self).toOpaque(),
            { bytes, size, count, context in
                CurlExchange.of(context)?.receive(
                    UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? 0
            },
            { bytes, size, count, context in
                CurlExchange.of(context)?.receiveHeader(
                    UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? 0
            },
            { context, _, address in
                guard let address, let exchange = CurlExchange.of(context) else {
                    return CURL_SOCKET_BAD
                }
                return exchange.openSocket(address)
            },
            { context, peer, _, _, _ in
                guard let peer, let exchange = CurlExchange.of(context) else {
                    return CURL_PREREQFUNC_ABORT
                }
                return exchange.permits(IPAddress(String(cString: peer)))
                    ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
            }) == CURLE_OK
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> CurlExchange? {
        context.map { Unmanaged<CurlExchange>.fromOpaque($0).takeUnretainedValue() }
    }

    // MARK: What libcurl calls

    /// Anything but the count of the bytes ends the transfer.
    private func receive(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard bytes.count <= bytesMax - bytesReceived else {
            failure = Failure(
                .tooLarge,
                "The answer of \(transfer.plan.address.authority) is larger than \(bytesMax) bytes."
            )
            return 0
        }
        let isFirst = lastByte == nil
        lastByte = .now
        if isFirst { onNewDeadline(deadline) }
        let (reception, waiter) = transfer.receive(bytes)
        if let waiter { wake(waiter) }
        switch reception {
        case .taken:
            bytesReceived += bytes.count
            return bytes.count
        case .tooEarly:
            isPaused = true
            return Int(CURL_WRITEFUNC_PAUSE)
        case .unwanted: return 0
        }
    }

    private func receiveHeader(_ line: UnsafeRawBufferPointer) -> Int {
        do {
            if let head = try head.line(line), let waiter = transfer.arrived(head) { wake(waiter) }
            return line.count
        } catch {
            failure = Failure(error)
            return 0
        }
    }

    /// The second lock: whatever name was looked up by whomever, no socket opens to an address
    /// that the policy refuses.
    private func openSocket(_ address: UnsafeMutablePointer<curl_sockaddr>) -> curl_socket_t {
        guard permits(heptad_curl_address(address).flatMap { IPAddress($0) }) else {
            return CURL_SOCKET_BAD
        }
        return socket(
            address.pointee.family, address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue),
            address.pointee.protocol)
    }

    /// Also asked before a request goes out on a connection that was kept.
    private func permits(_ address: IPAddress?) -> Bool {
        let guardian = transfer.plan.path.guardian
        let reason = address.map { guardian.refusal(of: $0) } ?? "of an unknown kind"
        guard let reason else { return true }
        let name = address.map { "\($0)" } ?? "The address"
        failure = Failure(
            .forbidden, "\(guardian.host):\(guardian.port) is not a public address and is refused.",
            cause: "\(name) is \(reason)")
        return false
    }
}
