import Core
import Synchronization
import TestSupport
import Testing

@testable import Retrieval

@Suite struct SiteReaderTests {
    /// A site on loopback: what it has at each path.
    private final class Site: Sendable {
        struct File {
            var status = 200
            var type = "text/html"
            var body: [UInt8]
            var location: String?
        }

        let server: ScriptedServer
        let files: SharedFiles

        final class SharedFiles: Sendable {
            let all = Mutex<[String: File]>([:])
        }

        init() throws {
            let files = SharedFiles()
            self.files = files
            server = try ScriptedServer { request in
                let file =
                    files.all.withLock { $0[request.path] } ?? File(status: 404, body: [])
                var head = "HTTP/1.1 \(file.status) X\r\nContent-Type: \(file.type)\r\n"
                if let location = file.location { head += "Location: \(location)\r\n" }
                head += "Content-Length: \(file.body.count)\r\n\r\n"
                return [.text(head), .send(file.body)]
            }
        }

        var origin: String { "http://127.0.0.1:\(server.port)" }
        var target: String { "127.0.0.1:\(server.port)" }

        subscript(path: String) -> String? {
            get { nil }
            set {
                files.all.withLock { $0[path] = newValue.map { File(body: Array($0.utf8)) } }
            }
        }

        func put(_ path: String, _ file: File) { files.all.withLock { $0[path] = file } }

        func page(_ path: String, _ text: String) {
            put(path, File(body: Array("<html><body><p>\(text)</p></body></html>".utf8)))
        }

        func map(_ path: String, _ pages: [String]) {
            let entries = pages.map {
                "<url><loc>\($0.contains("://") ? $0 : origin + $0)</loc></url>"
            }
            put(
                path,
                File(
                    type: "application/xml",
                    body: Array("<urlset>\(entries.joined())</urlset>".utf8)))
        }

        func index(_ path: String, _ maps: [String]) {
            let entries = maps.map { "<sitemap><loc>\(origin + $0)</loc></sitemap>" }
            put(
                path,
                File(body: Array("<sitemapindex>\(entries.joined())</sitemapindex>".utf8)))
        }

        var asked: [String] { server.requests.map(\.path) }
    }

    private static func desk(
        _ site: Site, _ change: (inout RetrievalConfiguration) -> Void = { _ in }
    ) throws -> Desk {
        try Desk(allowedTargets: [site.target]) {
            $0.siteDelaySeconds = 0
            change(&$0)
        }
    }

    private static func read(
        _ site: Site, _ desk: Desk, at path: String = "/sitemap.xml",
        _ change: (inout SiteRequest) -> Void = { _ in }
    ) async throws -> [JobProgress] {
        var request = SiteRequest(address: site.origin + path, collectionID: nil)
        change(&request)
        let job = try await desk.library.ingest(site: request, for: .alice)
        return try await desk.jobs.run(job, with: SiteReader(desk.library), for: .alice)
    }

    @Test("The pages of a site map become documents; read again only what changed is new")
    func resync() async throws {
        let site = try Site()
        site.page("/a", "Boats float in the harbour.")
        site.page("/b", "Lamps burn at night.")
        site.map("/sitemap.xml", ["/a", "/b", "/a#top", "/missing"])
        let desk = try Self.desk(site)
        let reports = try await Self.read(site, desk)
        #expect(reports.last?.done == 3 && reports.last?.total == 3)
        #expect(reports.last?.message.hasPrefix("2 pages added, 1 page failed.") == true)
        #expect(reports.last?.message.contains("/missing: 127.0.0.1") == true)
        #expect(reports.contains { $0.message == "Reading \(site.origin)/b." })
        #expect(try await desk.search("harbour").first?.passage.text.contains("Boats") == true)

        site.page("/b", "Lamps burn by day.")
        site.page("/c", "Gulls cry.")
        site.map("/sitemap.xml", ["/b", "/c"])
        let again = try await Self.read(site, desk) { $0.removesVanished = true }
        #expect(again.last?.message == "1 page added, 1 page changed, 1 page removed.")
        let third = try await Self.read(site, desk)
        #expect(third.last?.message == "2 pages unchanged.")
        let sources = try await desk.documents().compactMap(\.source)
        #expect(Set(sources) == [site.origin + "/b", site.origin + "/c"])
    }

    @Test("A place on a site leads to its site map: by robots.txt, an index, packed, or by guess")
    func discovery() async throws {
        let site = try Site()
        site.page("/a", "Boats float.")
        site.page("/b", "Lamps burn.")
        site.index("/maps/index", ["/maps/one.xml", "/maps/two.xml.gz", "/maps/gone.xml"])
        site.map("/maps/one.xml", ["/a"])
        let packed = "<urlset><url><loc>\(site.origin)/b</loc></url></urlset>"
        site.put(
            "/maps/two.xml.gz",
            Site.File(type: "application/gzip", body: try SiteMapTests.gzip(Array(packed.utf8))))
        site["/robots.txt"] = "User-agent: *\nDisallow: /x\nSitemap: \(site.origin)/maps/index"
        let desk = try Self.desk(site)
        let reports = try await Self.read(site, desk, at: "/welcome")
        #expect(reports.last?.message.hasPrefix("2 pages added.") == true)
        #expect(reports.last?.message.contains("status 404 for its site map") == true)

        let plain = try Site()
        plain.page("/a", "Boats float.")
        plain.map("/sitemap.xml", ["/a"])
        let other = try Self.desk(plain)
        #expect(try await Self.read(plain, other, at: "").last?.message == "1 page added.")
    }

    @Test("What robots.txt keeps from us is not asked for, nor are other hosts")
    func robots() async throws {
        let site = try Site()
        site.page("/a", "Boats float.")
        site.page("/secret/b", "Lamps burn.")
        site["/robots.txt"] = "User-agent: heptad\nDisallow: /secret"
        site.put("/away", Site.File(status: 302, body: [], location: "http://localhost:1/x"))
        site.map(
            "/sitemap.xml", ["/a", "/secret/b", "http://127.0.0.1:1/c", "mailto:x@example.com"])
        let desk = try Self.desk(site)
        let reports = try await Self.read(site, desk)
        let message = reports.last?.message ?? ""
        #expect(message.contains("1 page added"))
        #expect(message.contains("1 page on other hosts left out"))
        #expect(message.contains("1 page left out as robots.txt asks"))
        #expect(!site.asked.contains("/secret/b"))
    }

    @Test("Only what came by the same site map is removed, and no upload of a page's name")
    func pruning() async throws {
        let site = try Site()
        for name in ["a", "b", "c"] { site.page("/\(name)", "Page \(name) of boats.") }
        site.put("/notes.txt", Site.File(type: "text/plain", body: Array("Web notes.".utf8)))
        site.map("/one.xml", ["/a", "/b"])
        site.map("/two.xml", ["/c", "/notes.txt"])
        let desk = try Self.desk(site)
        try await desk.add("My own notes.", as: "notes.txt")
        _ = try await Self.read(site, desk, at: "/one.xml")
        site.map("/one.xml", ["/b"])
        for path in ["/two.xml", "/one.xml"] {
            _ = try await Self.read(site, desk, at: path) { $0.removesVanished = true }
        }
        let documents = try await desk.documents()
        #expect(
            documents.map { $0.source ?? $0.name }.sorted()
                == [
                    "\(site.origin)/b", "\(site.origin)/c", "\(site.origin)/notes.txt", "notes.txt",
                ])
        #expect(documents.allSatisfy { $0.state == .ready })
    }

    @Test("An index that names the same maps over and over is read once, and a dead host left out")
    func hostileIndex() async throws {
        let site = try Site()
        site.page("/a", "Boats float.")
        let maps = (0..<60).map { "/map\($0).xml" }
        for map in maps { site.index(map, Array(repeating: maps, count: 20).flatMap { $0 }) }
        site.index("/sitemap.xml", Array(repeating: maps, count: 20).flatMap { $0 } + ["/last.xml"])
        site.map("/map0.xml", ["http://127.0.0.1:1/x", "http://127.0.0.1:1/y", "/a"])
        let desk = try Self.desk(site)
        let reports = try await Self.read(site, desk) { $0.includesOtherHosts = true }
        #expect(reports.last?.message.hasPrefix("1 page added") == true)
        let asked = site.asked.filter { $0.hasSuffix(".xml") }
        #expect(asked.count == Set(asked).count && asked.count == 50)
    }

    @Test("Limits on pages and depth are kept, and said")
    func limits() async throws {
        let site = try Site()
        for place in 0..<5 { site.page("/p\(place)", "Page number \(place) about boats.") }
        site.map("/sitemap.xml", (0..<5).map { "/p\($0)" })
        let few = try Self.desk(site) { $0.sitePagesMax = 2 }
        let reports = try await Self.read(site, few)
        #expect(
            reports.last?.message
                == "2 pages added. The site has more pages than the 2 that are read.")
        let small = try Self.desk(site) { $0.siteBytesMax = 100 }
        let cut = try await Self.read(site, small)
        #expect(cut.last?.message.contains("more than 0 MB") == true)

        site.index("/deep0.xml", ["/deep1.xml", "/sitemap.xml"])
        site.index("/deep1.xml", ["/deep2.xml"])
        site.map("/deep2.xml", ["/p0"])
        let flat = try Self.desk(site) { $0.siteDepthMax = 1 }
        let deep = try await Self.read(site, flat, at: "/deep0.xml")
        #expect(deep.last?.message.contains("more than 1 deep") == true)
        #expect(!site.asked.contains("/deep2.xml"))
        // A map that names itself is read once.
        site.index("/loop.xml", ["/loop.xml", "/sitemap.xml"])
        let loop = try Self.desk(site)
        #expect(
            try await Self.read(site, loop, at: "/loop.xml").last?.message == "5 pages added.")
    }

    @Test("What cannot be read is refused with a sentence")
    func refusals() async throws {
        let site = try Site()
        let desk = try Self.desk(site)
        for (path, code, words) in [
            ("/nothing", Failure.Code.notFound, "has no site map"),
            ("/nothing.xml", .upstream, "404"),
        ] {
            let refused = await failure { _ = try await Self.read(site, desk, at: path) }
            #expect(refused?.code == code && refused?.message.contains(words) == true)
        }
        site["/page.xml"] = "<html></html>"
        let noMap = await failure { _ = try await Self.read(site, desk, at: "/page.xml") }
        #expect(noMap?.message.contains("no site map") == true)
        site.put("/robots.txt", Site.File(status: 503, body: []))
        let closed = await failure { _ = try await Self.read(site, desk) }
        #expect(closed?.message.contains("robots.txt answered with status 503") == true)
        // The address policy holds: loopback is not allowed here.
        let strict = try Desk()
        let refused = await failure { _ = try await Self.read(site, strict) }
        #expect(refused?.code == .forbidden)
        let wrong = await failure {
            _ = try await desk.library.ingest(
                site: SiteRequest(address: "file:///etc", collectionID: nil), for: .alice)
        }
        #expect(wrong?.code == .invalid)
        let theirs = try await desk.library.createCollection(named: "T", for: .mallory).id
        let anothers = await failure {
            _ = try await desk.library.ingest(
                site: SiteRequest(address: site.origin, collectionID: theirs), for: .alice)
        }
        #expect(anothers?.code == .notFound)
    }

    @Test("A job that is called off leaves what is whole and nothing half read")
    func cancelled() async throws {
        let site = try Site()
        for place in 0..<3 { site.page("/p\(place)", "Page number \(place) about boats.") }
        site.map("/sitemap.xml", (0..<3).map { "/p\($0)" })
        let desk = try Self.desk(site)
        let id = try await desk.library.ingest(
            site: SiteRequest(address: site.origin + "/sitemap.xml", collectionID: nil),
            for: .alice)
        let job = try await desk.jobs.job(id, for: .alice)
        await #expect(throws: CancellationError.self) {
            try await SiteReader(desk.library).run(job, for: .alice) { progress in
                if progress.done == 1 { throw CancellationError() }
            }
        }
        let documents = try await desk.documents()
        #expect(documents.map(\.state) == [.ready])
    }
}
