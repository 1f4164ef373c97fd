import Core

/// The address of an image, as every surface has it: `https://...`, or the image itself as
/// `data:image/png;base64,...`.
enum ImageAddress {
    private static let addressBytesMax = 8192
    private static let mediaTypes: Set<String> = [
        "image/png", "image/jpeg", "image/gif", "image/webp",
    ]

    /// Nil, with nothing fetched or decoded, for anything else.
    static func source(_ text: String) -> ChatImage.Source? {
        if text.hasPrefix("https://") {
            return text.utf8.count <= addressBytesMax ? .address(text) : nil
        }
        guard text.hasPrefix("data:"), let comma = text.firstIndex(of: ",") else { return nil }
        let head = text[text.index(text.startIndex, offsetBy: 5)..<comma].lowercased()
        guard head.hasSuffix(";base64") else { return nil }
        return source(
            mediaType: String(head.dropLast(7)), base64: text[text.index(after: comma)...])
    }

    static func source(mediaType: String, base64: some StringProtocol) -> ChatImage.Source? {
        let isBase64 = base64.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"),
                UInt8(ascii: "="):
                true
            default: false
            }
        }
        guard mediaTypes.contains(mediaType), isBase64, !base64.isEmpty else { return nil }
        return .inline(mediaType: mediaType, base64: String(base64))
    }
}
