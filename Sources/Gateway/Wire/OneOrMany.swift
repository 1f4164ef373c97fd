/// Something of JSON that is there, whatever it is.
struct UnreadJSON: Decodable {
    init(from decoder: any Decoder) {}
}

/// `"a"` or `["a", "b"]`.
struct OneOrMany: Decodable {
    let texts: [String]

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            texts = [text]
        } else {
            texts = try container.decode([String].self)
        }
    }
}
