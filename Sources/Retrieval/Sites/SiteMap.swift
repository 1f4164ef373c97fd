import Core

/// A site map (sitemaps.org): pages, or an index of other site maps. XML, or a text with an address a
/// line; packed by gzip or not.
struct SiteMap: Equatable, Sendable {
    private(set) var pages: [String] = []
    private(set) var siteMaps: [String] = []
    /// Whether it had more entries than are read.
    private(set) var isCut = false

    /// As much as the protocol lets one file have.
    static let entriesMax = 50_000
    static let bytesMax = 50_000_000
    private static let addressBytesMax = 2048
    private static let secondsMax = 30.0

    /// Throws `invalid` for what is no site map, `tooLarge` for one that unpacks to too much.
    init(_ bytes: [UInt8]) throws {
        let bytes = Gzip.isOne(bytes) ? try Gzip.unpacked(bytes, bytesMax: Self.bytesMax) : bytes
        let start = bytes.first { !" \t\r\n".utf8.contains($0) && !Self.mark.contains($0) }
        if start == UInt8(ascii: "<") { try read(xml: bytes) } else { read(text: bytes) }
        guard !pages.isEmpty || !siteMaps.isEmpty else { throw Self.isNone }
    }

    // A byte order mark.
    private static let mark: [UInt8] = [0xEF, 0xBB, 0xBF]

    static let isNone = Failure(
        .invalid, "The address leads to no site map: nothing there names a page.")

    private mutating func read(xml bytes: [UInt8]) throws {
        var limits = ReadingBudget.Limits()
        limits.seconds = Self.secondsMax
        // Only `loc` right under `url` and `sitemap` counts; images and videos have theirs deeper.
        var path: [String] = []
        var location = ""
        var found: [(isPage: Bool, address: String)] = []
        var isKnown = false
        try MarkupEvents.readXML(
            bytes, ReadingBudget(limits),
            open: { name, _ in
                path.append(name)
                if path.count == 1 { isKnown = name == "urlset" || name == "sitemapindex" }
                location = ""
                guard isKnown else { throw Self.isNone }
            },
            close: { name in
                if name == "loc", path == ["urlset", "url", "loc"] {
                    found.append((true, location.trimmed()))
                } else if name == "loc", path == ["sitemapindex", "sitemap", "loc"] {
                    found.append((false, location.trimmed()))
                }
                if !path.isEmpty { path.removeLast() }
            },
            text: { if location.utf8.count <= Self.addressBytesMax { location += $0 } })
        for entry in found { add(entry.address, isPage: entry.isPage) }
    }

    private mutating func read(text bytes: [UInt8]) {
        for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let address = String(line).trimmed()
            guard address.hasPrefix("http://") || address.hasPrefix("https://") else { continue }
            add(address, isPage: true)
        }
    }

    private mutating func add(_ address: String, isPage: Bool) {
        guard !address.isEmpty, address.utf8.count <= Self.addressBytesMax else { return }
        guard pages.count + siteMaps.count < Self.entriesMax else {
            isCut = true
            return
        }
        if isPage { pages.append(address) } else { siteMaps.append(address) }
    }
}
