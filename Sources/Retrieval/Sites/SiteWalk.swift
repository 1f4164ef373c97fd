import Core
import Egress
import Logging

/// Finds the pages that a site map names, as far as the site lets us and the limits go.
struct SiteWalk: Sendable {
    /// What is read of one site.
    struct Limits: Sendable {
        var pagesMax = 500
        var depthMax = 3
        var siteMapsMax = 50
        var includesOtherHosts = false
    }

    struct Result: Sendable {
        var pages: [SiteAddress] = []
        /// Addresses that were left out, by why.
        var otherHosts = 0, disallowed = 0, unreadable = 0
        /// Whether there are more pages than are read.
        var isCut = false
        /// What could not be read of the site maps, in sentences.
        var failures: [String] = []
        /// How long to wait between two fetches.
        var delaySeconds = 0.0
    }

    let client: HTTPClient
    let limits: Limits
    private static let failuresMax = 5
    private static let hostsMax = 20

    /// Throws `invalid` where no site map is found, `forbidden` where `robots.txt` or the address
    /// policy keeps us out, and what fetching throws.
    func pages(
        from address: String, progress: (String) async throws -> Void
    ) async throws -> Result {
        let start = try SiteAddress(address)
        var state = State(home: start.host)
        var (queue, isGuessed) = try await roots(of: start, &state)
        var seen: Set<String> = []
        while !queue.isEmpty {
            let (next, depth) = queue.removeFirst()
            guard seen.insert(next.text).inserted else { continue }
            guard seen.count <= limits.siteMapsMax else {
                state.result.isCut = true
                break
            }
            try await progress("Reading the site map \(next.text).")
            do {
                let map = try await siteMap(next, &state)
                state.result.isCut = state.result.isCut || map.isCut
                try await add(map, from: next, depth, &queue, &state)
            } catch {
                try Task.checkCancellation()
                let failure = Failure(error)
                // The one that was asked for has to be there.
                if depth == 0, isGuessed || queue.isEmpty, state.result.pages.isEmpty {
                    throw isGuessed ? Self.noSiteMap(of: start, failure) : failure
                }
                state.note(failure.message)
            }
            isGuessed = false
            if state.result.pages.count >= limits.pagesMax, !queue.isEmpty {
                state.result.isCut = true
                break
            }
        }
        if state.result.pages.isEmpty { throw Self.nothing(state.result) }
        return state.result
    }

    /// The rules of each host that was asked, and what was found.
    struct State: Sendable {
        let home: String
        var robots: [String: RobotsRules] = [:]
        var known: Set<String> = []
        var result = Result()

        init(home: String) { self.home = home }

        mutating func note(_ sentence: String) {
            if result.failures.count < SiteWalk.failuresMax { result.failures.append(sentence) }
        }
    }

    /// Where to begin: the address itself, what `robots.txt` names, or the usual place.
    private func roots(
        of start: SiteAddress, _ state: inout State
    ) async throws -> (queue: [(SiteAddress, Int)], isGuessed: Bool) {
        let rules = try await robots(of: start, &state)
        state.result.delaySeconds = rules.delaySeconds
        if start.namesSiteMap { return ([(start, 0)], false) }
        let named = rules.siteMaps.compactMap { try? SiteAddress($0) }
        if !named.isEmpty { return (named.map { ($0, 0) }, false) }
        return ([(try SiteAddress(start.origin + "/sitemap.xml"), 0)], true)
    }

    private func add(
        _ map: SiteMap, from place: SiteAddress, _ depth: Int,
        _ queue: inout [(SiteAddress, Int)], _ state: inout State
    ) async throws {
        if depth + 1 <= limits.depthMax {
            queue += map.siteMaps.compactMap { try? SiteAddress($0) }.map { ($0, depth + 1) }
        } else if !map.siteMaps.isEmpty {
            state.result.isCut = true
            state.note("Site maps lie more than \(limits.depthMax) deep in each other.")
        }
        for page in map.pages {
            guard let address = try? SiteAddress(page) else {
                state.result.unreadable += 1
                continue
            }
            guard state.known.insert(address.text).inserted else { continue }
            guard limits.includesOtherHosts || address.host == state.home else {
                state.result.otherHosts += 1
                continue
            }
            guard try await robots(of: address, &state).allows(address.path) else {
                state.result.disallowed += 1
                continue
            }
            guard state.result.pages.count < limits.pagesMax else {
                state.result.isCut = true
                return
            }
            state.result.pages.append(address)
        }
    }

    private func siteMap(_ address: SiteAddress, _ state: inout State) async throws -> SiteMap {
        guard limits.includesOtherHosts || address.host == state.home else {
            state.result.otherHosts += 1
            throw Failure(
                .forbidden, "The site map \(address.text) is on another host and was left out.")
        }
        guard try await robots(of: address, &state).allows(address.path) else {
            throw Failure(
                .forbidden, "The site's robots.txt does not let \(address.text) be read.")
        }
        let answer = try await SiteFetch.get(
            address, by: client, bytesMax: SiteMap.bytesMax, accept: "application/xml, text/*")
        guard limits.includesOtherHosts || answer.host == address.host else {
            throw Failure(.forbidden, "\(address.text) leads to another host and was left out.")
        }
        guard (200..<300).contains(answer.status) else {
            throw Failure(
                .upstream, "\(address.host) answered with status \(answer.status) for its site map."
            )
        }
        return try SiteMap(answer.bytes)
    }

    /// The rules of a host, fetched once. What cannot be asked for lets nothing be fetched; where a
    /// host has none (4xx), all may be.
    private func robots(
        of address: SiteAddress, _ state: inout State
    ) async throws -> RobotsRules {
        if let known = state.robots[address.origin] { return known }
        guard state.robots.count < Self.hostsMax else { return Self.closed }
        let place = try SiteAddress(address.origin + "/robots.txt")
        let answer = try await SiteFetch.get(
            place, by: client, bytesMax: RobotsRules.bytesMax, accept: "text/plain", isCut: true)
        let rules: RobotsRules
        switch answer.status {
        case 200..<300: rules = RobotsRules(text: String(decoding: answer.bytes, as: UTF8.self))
        case 400..<500: rules = .allowingAll
        default:
            throw Failure(
                .upstream,
                "\(place.text) answered with status \(answer.status), so it is not known what may"
                    + " be read there. Try again later.")
        }
        state.robots[address.origin] = rules
        return rules
    }

    // For hosts beyond those that are asked.
    private static let closed = RobotsRules(text: "User-agent: *\nDisallow: /")

    // MARK: Refusals

    private static func noSiteMap(of start: SiteAddress, _ failure: Failure) -> Failure {
        Failure(
            failure.code == .forbidden ? .forbidden : .notFound,
            "\(start.origin) has no site map at /sitemap.xml, and its robots.txt names none:"
                + " \(failure.message) Give the address of its site map, or add single pages.",
            cause: failure)
    }

    private static func nothing(_ result: Result) -> Failure {
        var reasons = result.failures
        if result.otherHosts > 0 {
            reasons.append("\(result.otherHosts) addresses are on other hosts.")
        }
        if result.disallowed > 0 {
            reasons.append("robots.txt does not let \(result.disallowed) pages be read.")
        }
        return Failure(
            .invalid,
            "The site map names no page that can be added. \(reasons.joined(separator: " "))")
    }
}

/// One small file of a site.
enum SiteFetch {
    struct Answer: Sendable {
        let status: Int
        let bytes: [UInt8]
        /// Who answered, after redirects: `host:port`.
        let host: String
    }

    private static let redirectsMax = 5
    private static let secondsMax = 60.0

    /// Throws what the client does, and `tooLarge` unless what is longer `isCut`.
    static func get(
        _ address: SiteAddress, by client: HTTPClient, bytesMax: Int, accept: String,
        isCut: Bool = false
    ) async throws -> Answer {
        var limits = client.limits
        limits.total = HTTPLimits.duration(secondsMax)
        limits.firstByte = min(limits.firstByte, limits.total)
        if !isCut { limits.responseBytesMax = min(limits.responseBytesMax, bytesMax) }
        let response = try await client.open(
            HTTPRequest(
                "GET", address.text,
                headers: [HTTPHeader("Accept", accept), HTTPHeader("User-Agent", "Heptad")],
                limits: limits, redirectsMax: redirectsMax))
        let host = response.redirects.last?.target ?? address.host
        guard (200..<300).contains(response.status) else {
            response.body.close()
            return Answer(status: response.status, bytes: [], host: host)
        }
        return Answer(
            status: response.status, bytes: try await response.body.collect(bytesMax: bytesMax),
            host: host)
    }
}
