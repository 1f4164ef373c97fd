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
        /// When no further site map is read.
        var deadline = ContinuousClock.now + .seconds(1800)
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
    // Taking site maps and rules apart may take long; those who serve share their threads.
    private let parsing = WorkQueue("site-maps")
    private static let failuresMax = 5
    private static let hostsMax = 20
    // Of pages that were looked at, taken or not.
    private static let addressesMax = 100_000
    // Pages that are held against the rules at a time.
    private static let pagesAtOnce = 256

    init(client: HTTPClient, limits: Limits) { (self.client, self.limits) = (client, limits) }

    /// Throws `invalid` where no site map is found, `forbidden` where `robots.txt` or the address
    /// policy keeps us out, and what fetching throws.
    func pages(
        from address: String, progress: (String) async throws -> Void
    ) async throws -> Result {
        let start = try SiteAddress(address)
        var state = State(home: start.host)
        var (queue, isGuessed) = try await roots(of: start, &state)
        while !queue.isEmpty {
            let (next, depth) = queue.removeFirst()
            let message = "Reading the site map \(next.text)."
            try await progress(message)
            do {
                let map = try await siteMap(next, &state)
                state.result.isCut = state.result.isCut || map.isCut
                list(map, depth, &queue, &state)
                try await add(map.pages, &state) { try await progress(message) }
            } catch {
                if error is CancellationError { throw error }
                try Task.checkCancellation()
                let failure = Failure(error)
                // The one that was asked for has to be there.
                if depth == 0, isGuessed || queue.isEmpty, state.result.pages.isEmpty {
                    throw isGuessed ? Self.noSiteMap(of: start, failure) : failure
                }
                state.note(failure.message)
            }
            isGuessed = false
            if isLate(&state) { break }
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
        /// The pages and the site maps that were come upon.
        var known: Set<String> = [], listed: Set<String> = []
        var result = Result()

        init(home: String) { self.home = home }

        /// Whether a site map is to be read: the first time that it is named.
        mutating func takes(_ map: SiteAddress, atMost count: Int) -> Bool {
            guard !listed.contains(map.text) else { return false }
            guard listed.count < count else {
                result.isCut = true
                return false
            }
            listed.insert(map.text)
            return true
        }

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
        var found =
            start.namesSiteMap ? [start] : rules.siteMaps.compactMap { try? SiteAddress($0) }
        let isGuessed = found.isEmpty
        if isGuessed { found = [try SiteAddress(start.origin + "/sitemap.xml")] }
        let taken = found.filter { state.takes($0, atMost: limits.siteMapsMax) }
        return (taken.map { ($0, 0) }, isGuessed)
    }

    /// Adds the site maps that an index names to those that are read.
    private func list(
        _ map: SiteMap, _ depth: Int, _ queue: inout [(SiteAddress, Int)], _ state: inout State
    ) {
        guard depth + 1 <= limits.depthMax else {
            guard !map.siteMaps.isEmpty else { return }
            state.result.isCut = true
            state.note("Site maps lie more than \(limits.depthMax) deep in each other.")
            return
        }
        for text in map.siteMaps {
            guard let child = try? SiteAddress(text),
                state.takes(child, atMost: limits.siteMapsMax)
            else { continue }
            queue.append((child, depth + 1))
        }
    }

    /// Adds the pages that may be read, some at a time.
    private func add(
        _ pages: [String], _ state: inout State, progress: () async throws -> Void
    ) async throws {
        for start in stride(from: 0, to: pages.count, by: Self.pagesAtOnce) {
            if start > 0 { try await progress() }
            guard !isLate(&state) else { return }
            let group = pages[start..<min(start + Self.pagesAtOnce, pages.count)]
            var asked: [(address: SiteAddress, rules: RobotsRules)] = []
            for page in group {
                guard let address = try? SiteAddress(page) else {
                    state.result.unreadable += 1
                    continue
                }
                guard limits.includesOtherHosts || address.host == state.home else {
                    state.result.otherHosts += 1
                    continue
                }
                guard state.known.count < Self.addressesMax else {
                    state.result.isCut = true
                    break
                }
                guard state.known.insert(address.text).inserted else { continue }
                asked.append((address, try await rules(for: address, &state)))
            }
            let pairs = asked
            let answers = try await parsing.run { pairs.map { $0.rules.allows($0.address.path) } }
            for (pair, isAllowed) in zip(pairs, answers) {
                guard isAllowed else {
                    state.result.disallowed += 1
                    continue
                }
                guard state.result.pages.count < limits.pagesMax else {
                    state.result.isCut = true
                    return
                }
                state.result.pages.append(pair.address)
            }
        }
    }

    private func isLate(_ state: inout State) -> Bool {
        guard ContinuousClock.now >= limits.deadline else { return false }
        if !state.result.isCut { state.note("Reading its site maps took too long.") }
        state.result.isCut = true
        return true
    }

    /// The rules that hold for a page. Another host that cannot be asked is left out, and not asked
    /// again.
    private func rules(
        for address: SiteAddress, _ state: inout State
    ) async throws -> RobotsRules {
        do {
            return try await robots(of: address, &state)
        } catch {
            try Task.checkCancellation()
            guard address.host != state.home else { throw error }
            state.robots[address.origin] = Self.closed
            state.note(Failure(error).message)
            return Self.closed
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
        return try await parsing.run { try SiteMap(answer.bytes) }
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
