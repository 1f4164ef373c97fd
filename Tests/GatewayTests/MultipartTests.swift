import Core
import TestSupport
import Testing

@testable import Gateway

@Suite struct MultipartTests {
    private static let type = "multipart/form-data; boundary=XyZ"

    private static let form =
        """
        preamble\r\n--XyZ\r\nContent-Disposition: form-data; name=\"collectionID\"\r\n\r\nc1\r\n\
        --XyZ  \r\ncontent-disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".md\"\r\n\
        Content-Type: text/markdown\r\n\r\nline\r\n--XyY\r\n\r\n--XyZ\r\n\
        Content-Disposition: form-data; name=file; filename*=UTF-8''na%C3%AFve.txt\r\n\r\n\r\n\
        --XyZ--\r\nepilogue
        """

    private static let expected: [(Multipart.Part, String)] = [
        (Multipart.Part(name: "collectionID", fileName: nil, mediaType: ""), "c1"),
        (
            Multipart.Part(name: "file", fileName: "a \"b\".md", mediaType: "text/markdown"),
            "line\r\n--XyY\r\n"
        ),
        (Multipart.Part(name: "file", fileName: "naïve.txt", mediaType: ""), ""),
    ]

    /// The parts of a form that arrives in pieces of the given size.
    private func parse(
        _ bytes: [UInt8], piece: Int, type: String = MultipartTests.type
    ) throws -> [(Multipart.Part, String)] {
        var parser = try Multipart(contentType: type)
        var parts: [(Multipart.Part, [UInt8])] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            try parser.feed(rest.prefix(piece)) { event in
                switch event {
                case .began(let part): parts.append((part, []))
                case .bytes(let more): parts[parts.count - 1].1 += more
                case .ended: break
                }
            }
            rest = rest.dropFirst(piece)
        }
        try parser.finish()
        return parts.map { ($0, String(decoding: $1, as: UTF8.self)) }
    }

    @Test("A form reads the same however it is cut", arguments: 1...64)
    func cuts(piece: Int) throws {
        let parts = try parse(Array(Self.form.utf8), piece: piece)
        #expect(parts.map(\.0) == Self.expected.map(\.0))
        #expect(parts.map(\.1) == Self.expected.map(\.1))
    }

    @Test("A form that ends early is refused, wherever it ends")
    func truncated() throws {
        let bytes = Array(Self.form.utf8)
        let end = try #require(bytes.firstRange(of: Array("--XyZ--".utf8))).upperBound
        for count in 0..<end {
            #expect(throws: Failure.self) { try parse(Array(bytes.prefix(count)), piece: 7) }
        }
        _ = try parse(Array(bytes.prefix(end)), piece: 7)
    }

    @Test(
        "A content type without a usable boundary is refused",
        arguments: [
            "multipart/form-data", "multipart/form-data; boundary=",
            "multipart/form-data; boundary",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=" + String(repeating: "b", count: 71),
            "multipart/form-data; boundary=a\u{e9}",
        ])
    func boundary(type: String) {
        #expect(throws: Failure.self) { try Multipart(contentType: type) }
    }

    @Test(
        "Malformed and oversized parts are refused",
        arguments: [
            "--XyZ\r\n\r\nno header\r\n--XyZ--", "--XyZ\r\nNonsense\r\n\r\nx\r\n--XyZ--",
            "--XyZ\r\nContent-Disposition: attachment\r\n\r\nx\r\n--XyZ--",
            "--XyZoops\r\n\r\nx\r\n--XyZ--",
            "--XyZ\r\nX: " + String(repeating: "h", count: 9000) + "\r\n\r\nx\r\n--XyZ--",
            "--XyZ" + String(repeating: " ", count: 9000),
            "--XyZ\r\nContent-Disposition: form-data; name=\""
                + String(repeating: "n", count: 2000) + "\"\r\n\r\nx\r\n--XyZ--",
            String(
                repeating: "--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n",
                count: 65) + "--XyZ--",
        ])
    func malformed(form: String) {
        for piece in [1, 13, 100_000] {
            #expect(throws: Failure.self) { try parse(Array(form.utf8), piece: piece) }
        }
    }

    @Test("Noise never traps, and memory stays bounded")
    func fuzz() throws {
        var generator = SystemRandomNumberGenerator()
        let words = [
            "\r\n", "--XyZ", "--", "\r", "\n", "Content-Disposition: form-data; name=\"a\"",
            "\r\n\r\n", "; filename=\"", "\"", "é", ":", "x", "\r\n--XyZ\r\n",
        ]
        for _ in 0..<3000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0...40, using: &generator) {
                bytes += Array((words.randomElement(using: &generator) ?? "").utf8)
                if Bool.random() { bytes.append(UInt8.random(in: 0...255, using: &generator)) }
            }
            _ = try? parse(bytes, piece: Int.random(in: 1...50, using: &generator))
        }
    }

    @Test("A large file passes through in time that grows with its size")
    func large() throws {
        let body = [UInt8](repeating: 13, count: 1 << 20)
        let head = "--XyZ\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n"
        let parts = try parse(
            Array(head.utf8) + body + Array("\r\n--XyZ--".utf8), piece: 65_536)
        #expect(parts.first?.1.utf8.count == body.count)
    }
}
