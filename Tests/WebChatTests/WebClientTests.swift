import Core
import Foundation
import Testing

@testable import WebChat

/// The repository's `web/` folder.
private let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("web")

private func sourceFiles() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path)
        .filter { !$0.hasPrefix(".") }.sorted()
}

struct WebClientTests {
    let client = WebClient()

    @Test("The binary has every file of web/, byte for byte, and marked, and nothing else")
    func embedded() throws {
        let files = try sourceFiles()
        #expect(files.count > 10)
        let served = client.paths.filter { $0 != "/" && $0 != "/vendor/marked.js" }
        #expect(served == files.map { "/" + $0 })
        let stale = try files.filter { name in
            let bytes = try Data(contentsOf: folder.appendingPathComponent(name))
            return client.asset(at: "/" + name)?.bytes != Array(bytes)
        }
        #expect(stale == [])
    }

    @Test("marked is served where the build had it")
    func marked() throws {
        let installed = "/usr/share/javascript/marked/marked.umd.min.js"
        let bytes = FileManager.default.contents(atPath: installed)
        #expect(client.asset(at: "/vendor/marked.js")?.bytes == bytes.map(Array.init))
    }

    @Test("The root is the page")
    func root() throws {
        let page = try #require(client.asset(at: "/"))
        #expect(page.mediaType == "text/html; charset=utf-8")
        #expect(page.entityTag == client.asset(at: "/index.html")?.entityTag)
        #expect(String(decoding: page.bytes, as: UTF8.self).hasPrefix("<!doctype html>"))
    }

    @Test(
        "Only exact paths are answered",
        arguments: [
            "", "index.html", "//index.html", "/INDEX.HTML", "/index.html/", "/../web/index.html",
            "/..%2findex.html", "/main.js?x", "/main.js%00", "/main.js\0", "/./main.js", "/vendor",
            "/vendor/", "/.gitignore", "/api/session",
        ])
    func exactPaths(path: String) {
        #expect(client.asset(at: path) == nil)
    }

    @Test(
        "A file's media type follows from its name",
        arguments: [
            ("/index.html", "text/html; charset=utf-8"), ("/base.css", "text/css; charset=utf-8"),
            ("/main.js", "text/javascript; charset=utf-8"), ("/icon.svg", "image/svg+xml"),
            ("/manifest.webmanifest", "application/manifest+json"),
            ("/robots.txt", "text/plain; charset=utf-8"),
        ])
    func mediaTypes(path: String, expected: String) {
        #expect(client.asset(at: path)?.mediaType == expected)
    }

    @Test("Entity tags are strong, differ between files, and stay between starts")
    func entityTags() {
        let tags = client.paths.filter { $0 != "/" }.compactMap { client.asset(at: $0)?.entityTag }
        let again = WebClient()
        #expect(Set(tags).count == tags.count)
        #expect(tags.allSatisfy { $0.hasPrefix("\"") && $0.hasSuffix("\"") && $0.count > 8 })
        #expect(tags == again.paths.filter { $0 != "/" }.map { again.asset(at: $0)?.entityTag })
    }

    @Test(
        "An entity tag is the content's FNV-1a hash and length",
        arguments: [
            ("", "\"cbf29ce484222325-0\""), ("a", "\"af63dc4c8601ec8c-1\""),
            ("foobar", "\"85944171f73967e8-6\""),
        ])
    func hash(text: String, expected: String) {
        #expect(entityTag(of: Array(text.utf8)) == expected)
    }
}

/// What the content security policy and the house's rules ask of the client's source.
struct ClientSourceTests {
    @Test(
        "No script of ours parses HTML, runs text, or asks another host",
        arguments: [
            "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser",
            "createContextualFragment", "setHTMLUnsafe", "eval(", "new Function",
            "setAttribute(\"style", "style:", "import(", "fetch(\"http",
        ])
    func scripts(banned: String) throws {
        let offenders = try sourceFiles().filter { $0.hasSuffix(".js") }.filter {
            try text(of: $0).contains(banned)
        }
        #expect(offenders == [])
    }

    @Test("The page has no inline script, style or handler, and loads only its own files")
    func page() throws {
        let page = try text(of: "index.html")
        #expect(page.firstMatch(of: /<script(?![^>]*\ssrc=)/) == nil)
        #expect(page.firstMatch(of: /<style|\sstyle=|\son[a-z]+=/) == nil)
        let client = WebClient()
        let references = page.matches(of: /(?:src|href)="(\/[^"]*)"/).map { String($0.1) }
        #expect(references.count > 5)
        #expect(references.filter { client.asset(at: $0) == nil } == missingVendor(client))
        #expect(!page.contains("http://") && !page.contains("https://"))
    }

    @Test("Every module that is imported is there")
    func imports() throws {
        let client = WebClient()
        for file in try sourceFiles() where file.hasSuffix(".js") {
            let imports = try text(of: file).matches(of: /from "\.(\/[^"]+)"/).map { String($0.1) }
            #expect(imports.filter { client.asset(at: $0) == nil } == [], "imports of \(file)")
        }
    }

    @Test("The page asks for all modules at once, not one import after the other")
    func preloads() throws {
        let modules = try startFiles().filter { $0.hasSuffix(".js") && $0 != "main.js" }
        let preloads = try text(of: "index.html")
            .matches(of: /rel="modulepreload" href="\/([^"]+)"/).map { String($0.1) }
        #expect(preloads == modules)
    }

    @Test("Scripts and styles of ours stay small enough for a slow phone")
    func size() throws {
        func size(_ files: [String]) throws -> Int {
            try files.filter { $0.hasSuffix(".js") || $0.hasSuffix(".css") }
                .reduce(0) { try $0 + text(of: $1).utf8.count }
        }
        #expect(try size(startFiles()) < 130_000)
        // A page that is fetched when it is opened: its script and its style.
        let pages = Dictionary(
            grouping: try sourceFiles().filter { $0.hasPrefix("admin-") || $0.hasPrefix("page-") },
            by: { $0.prefix { $0 != "." } })
        for (page, files) in pages { #expect(try size(files) < 15_000, "\(page)") }
    }

    @Test("What few open is not fetched before they do")
    func lazy() throws {
        let importing = try startFiles().filter { $0.hasSuffix(".js") }.filter {
            try text(of: $0).contains(/from "\.\/(admin|page)-/)
        }
        #expect(importing == [])
        #expect(try !text(of: "index.html").contains(/(admin|page)-[a-z]+\.(js|css)/))
    }

    /// What every visitor fetches.
    private func startFiles() throws -> [String] {
        try sourceFiles().filter { !$0.hasPrefix("admin-") && !$0.hasPrefix("page-") }
    }

    private func text(of file: String) throws -> String {
        try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
    }

    private func missingVendor(_ client: WebClient) -> [String] {
        client.asset(at: "/vendor/marked.js") == nil ? ["/vendor/marked.js"] : []
    }
}
