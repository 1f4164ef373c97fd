import HTTPTypes

/// What a method and a path lead to.
enum RouteMatch: Sendable {
    case found(Route, parameters: [String: String])
    case missing
    /// The path is right, the method is not; these would be.
    case otherMethods([HTTPRequest.Method])
    case malformed
}

/// All routes, and which one a request means.
struct RouteTable: Sendable {
    let routes: [Route]
    private let patterns: [[Segment]]
    /// What the routes without parameters match, found without comparing them all.
    private var exact: [Address: RouteMatch] = [:]

    private struct Address: Hashable, Sendable {
        let method: HTTPRequest.Method
        let path: String
    }

    private enum Segment: Sendable {
        case literal(String)
        case parameter(String)
        /// The rest of the path, for the web client's files.
        case rest(String)
    }

    init(_ routes: [Route], _ configuration: GatewayConfiguration) {
        let upload = BodyLimits(
            bytesMax: configuration.uploadBytesMax, slack: Self.formBytesMax,
            timeout: .seconds(configuration.uploadTimeoutSeconds))
        let json = BodyLimits(
            bytesMax: configuration.bodyBytesMax,
            timeout: .seconds(configuration.bodyTimeoutSeconds))
        self.routes = routes.map { route in
            var route = route
            if case .upload = route.body {
                route.bodyLimits = upload
            } else {
                route.bodyLimits = json
            }
            return route
        }
        patterns = routes.map { route in
            route.path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map {
                guard $0.hasPrefix("{") else { return .literal(String($0)) }
                let name = $0.dropFirst().dropLast()
                return name.hasSuffix("*")
                    ? .rest(String(name.dropLast())) : .parameter(String(name))
            }
        }
        for route in routes where !route.path.contains("{") {
            exact[Address(method: route.method, path: route.path)] = search(
                route.method, route.path)
        }
    }

    func match(_ method: HTTPRequest.Method, _ path: String) -> RouteMatch {
        exact[Address(method: method, path: path)] ?? search(method, path)
    }

    private func search(_ method: HTTPRequest.Method, _ path: String) -> RouteMatch {
        guard path.utf8.count <= Self.pathBytesMax, path.hasPrefix("/") else { return .malformed }
        var segments: [String] = []
        for part in path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard let segment = PercentEncoding.decode(part) else { return .malformed }
            segments.append(segment)
        }
        var others: [HTTPRequest.Method] = []
        for (route, pattern) in zip(routes, patterns) {
            guard let parameters = Self.match(pattern, segments) else { continue }
            if route.method == method { return .found(route, parameters: parameters) }
            let allowsHead = route.method == .get && route.access != .user && !route.isTraced
            if allowsHead, method == .head { return .found(route, parameters: parameters) }
            others.append(route.method)
        }
        return others.isEmpty ? .missing : .otherMethods(others)
    }

    private static let pathBytesMax = 4096
    private static let formBytesMax = 64 << 10

    private static func match(_ pattern: [Segment], _ segments: [String]) -> [String: String]? {
        var parameters: [String: String] = [:]
        for (place, segment) in pattern.enumerated() {
            if case .rest(let name) = segment {
                guard let first = segments.first, first != "api", first != "v1" else { return nil }
                parameters[name] = segments[place...].joined(separator: "/")
                return parameters
            }
            guard place < segments.count else { return nil }
            switch segment {
            case .literal(let text): guard text == segments[place] else { return nil }
            case .parameter(let name):
                guard !segments[place].isEmpty else { return nil }
                parameters[name] = segments[place]
            case .rest: return nil
            }
        }
        return pattern.count == segments.count ? parameters : nil
    }
}
