import Core
import Foundation
import Testing

@Suite struct ChatMessageTests {
    private static let image = ChatImage(.inline(mediaType: "image/png", base64: "aGk="))

    @Test("Parts come back in their order, and the text is what they say")
    func parts() {
        let message = ChatMessage(
            .user, [.text("a"), .text("ä"), .image(Self.image), .image(Self.image), .text("b")])
        #expect(message.text == "a\näb")
        #expect(message.hasImages)
        #expect(
            message.parts == [.text("a\nä"), .image(Self.image), .image(Self.image), .text("b")])
        #expect(ChatMessage(.user, "plain").parts == [.text("plain")])
        #expect(ChatMessage(.user, [.image(Self.image)]).parts == [.image(Self.image)])
        #expect(ChatMessage(.assistant, "").parts == [])
    }

    @Test(
        "An offset from outside that is past the text or inside of a character cuts nothing apart")
    func foreignOffsets() throws {
        let encoded = try JSONEncoder().encode(
            ChatMessage(.user, [.text("ä"), .image(Self.image)]))
        let text = String(decoding: encoded, as: UTF8.self)
        for offset in [1, 99, -1] {
            let changed = text.replacing("\"offset\":2", with: "\"offset\":\(offset)")
            #expect(changed != text)
            let message = try JSONDecoder().decode(ChatMessage.self, from: Data(changed.utf8))
            #expect(message.parts.contains(.image(Self.image)))
            #expect(message.text == "ä")
        }
    }
}
