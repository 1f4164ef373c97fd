import Core
import OrderedJSON

/// AWS's way to say what is wrong: the name of an exception, and a message.
enum BedrockError {
    /// - Parameter name: as a header has it, with an address behind it in some answers:
    ///   `ThrottlingException:http://internal.amazon.com/...`. Nil where only the body says.
    static func read(name: String?, body: [UInt8], status: Int) -> ProviderError {
        let value = try? JSONValue(parsing: body)
        let message = value?["message"]?.string ?? value?["Message"]?.string ?? ""
        // In bodies a name space comes first: `com.amazon.coral.service#UnrecognizedClientException`.
        let full = name ?? value?["__type"]?.string ?? ""
        let word = full.prefix { $0 != ":" }.split(separator: "#").last.map(String.init) ?? ""
        // Streams begin it with a small letter.
        var codes = word.isEmpty ? [] : [word.prefix(1).uppercased() + word.dropFirst()]
        // What is used up for the day does not come back by waiting.
        if codes == ["ThrottlingException"], message.lowercased().contains("per day") {
            codes.append("quota_per_day")
        }
        return ProviderError(message: message, codes: codes, status: status)
    }
}
