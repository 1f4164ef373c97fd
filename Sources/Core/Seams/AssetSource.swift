/// The web client's files. Made by WebChat.
package protocol AssetSource: Sendable {
    /// The file at an absolute path such as `/app.js`; `/` is the page. Nil when there is none.
    func asset(at path: String) -> Asset?
}
