import Core
import HTTPTypes
import Hummingbird
import NIOCore

/// The web client's files.
struct AssetRoutes: Sendable {
    let assets: any AssetSource

    var routes: [Route] {
        [
            Route(
                .get, "/{file*}", "The web client.", access: .unlimited,
                answers: [.text("text/html", "A file; the page itself at `/`.")], isTraced: false,
                handler: file)
        ]
    }

    @Sendable private func file(_ call: Call) throws -> Response {
        let segments = call.text("file").split(separator: "/", omittingEmptySubsequences: false)
        let isPlain = segments.allSatisfy { $0 != ".." && $0 != "." && !$0.contains("\\") }
        guard isPlain, let asset = assets.asset(at: "/" + call.text("file")) else {
            throw Failure(.notFound, "There is no such page.")
        }
        // The files change only with the binary, and then their tags do: ask each time, send rarely.
        let headers: HTTPFields = [
            .contentType: asset.mediaType, .eTag: asset.entityTag, .cacheControl: "no-cache",
        ]
        if Self.matches(call.request.headers[.ifNoneMatch], asset.entityTag) {
            return Response(status: .notModified, headers: headers)
        }
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: asset.bytes)))
    }

    /// Weak comparison, as RFC 9110 has it for this header.
    private static func matches(_ header: String?, _ tag: String) -> Bool {
        guard let header else { return false }
        return header.split(separator: ",").contains { candidate in
            let candidate = candidate.drop { $0 == " " }
            let strong = candidate.hasPrefix("W/") ? candidate.dropFirst(2) : candidate
            return strong == "*" || strong.prefix { $0 != " " } == tag
        }
    }
}
