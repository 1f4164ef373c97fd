import Core
import TestSupport
import Testing

@testable import Retrieval

@Suite struct SiteMapTests {
    private static func map(_ text: String) throws -> SiteMap { try SiteMap(Array(text.utf8)) }

    @Test("Pages are read of XML with or without a namespace, and of a text")
    func pages() throws {
        let xml = """
            <?xml version="1.0" encoding="UTF-8"?>
            <urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"
                xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
              <url><loc> https://a.example/?x=1&amp;y=2 </loc><lastmod>2026-01-01</lastmod>
                <image:image><image:loc>https://a.example/i.png</image:loc></image:image></url>
              <url><loc>https://a.example/b</loc></url>
            </urlset>
            """
        #expect(
            try Self.map(xml).pages == ["https://a.example/?x=1&y=2", "https://a.example/b"])
        #expect(
            try Self.map("https://a.example/1\r\nnothing\nhttps://a.example/2\n").pages
                == ["https://a.example/1", "https://a.example/2"])
    }

    @Test("An index names other site maps")
    func index() throws {
        let map = try Self.map(
            "<sitemapindex><sitemap><loc>https://a.example/1.xml</loc></sitemap></sitemapindex>")
        #expect(map.siteMaps == ["https://a.example/1.xml"] && map.pages.isEmpty)
    }

    @Test("What is packed is unpacked, and damage is refused")
    func gzip() throws {
        let text = "<urlset><url><loc>https://a.example/packed</loc></url></urlset>"
        let packed = try Self.gzip(Array(text.utf8))
        #expect(try SiteMap(packed).pages == ["https://a.example/packed"])
        var broken = packed
        broken[broken.count - 6] ^= 1
        #expect(throws: Failure.self) { try SiteMap(broken) }
        for count in 0..<packed.count {
            #expect(throws: Failure.self) { try SiteMap(Array(packed.prefix(count))) }
        }
        #expect(throws: Failure.self) { try Gzip.unpacked(packed, bytesMax: 10) }
    }

    /// Packed by storing: what deflate calls a stored block, with a name in the header.
    static func gzip(_ bytes: [UInt8]) throws -> [UInt8] {
        let count = UInt16(bytes.count)
        func little(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(value >> (8 * $0) & 255) } }
        let stored: [UInt8] =
            [1, UInt8(count & 255), UInt8(count >> 8), UInt8(~count & 255), UInt8(~count >> 8)]
        return [0x1F, 0x8B, 8, 8, 0, 0, 0, 0, 0, 3] + Array("a.xml".utf8) + [0] + stored + bytes
            + little(crc32(bytes)) + little(UInt32(bytes.count))
    }

    @Test(
        "What is no site map is refused",
        arguments: [
            "", "Hello", "<html><body>404</body></html>", "<urlset></urlset>", "<urlset><url>",
            "<!DOCTYPE a [<!ENTITY x \"y\">]><urlset><url><loc>&x;</loc></url></urlset>",
            "{\"a\": 1}",
        ])
    func none(text: String) {
        #expect(throws: Failure.self) { try Self.map(text) }
    }

    @Test("A site map with too many entries is cut, and says so")
    func many() throws {
        let lines = (0..<50_010).map { "https://a.example/\($0)" }.joined(separator: "\n")
        let map = try Self.map(lines)
        #expect(map.pages.count == SiteMap.entriesMax && map.isCut)
    }
}
