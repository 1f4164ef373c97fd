/// A file of the web client.
package struct Asset: Sendable {
    package let bytes: [UInt8]
    package let mediaType: String
    /// A strong validator, quotes included.
    package let entityTag: String

    package init(bytes: [UInt8], mediaType: String, entityTag: String) {
        (self.bytes, self.mediaType, self.entityTag) = (bytes, mediaType, entityTag)
    }
}
