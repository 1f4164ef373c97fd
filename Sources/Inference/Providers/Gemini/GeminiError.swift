import Core
import OrderedJSON

/// Google's way to say what is wrong: a code, a status in words, and details.
enum GeminiError {
    /// - Parameter status: of the answer; nil in a stream, where the error has its own.
    static func read(_ error: JSONValue, status: Int?) -> ProviderError {
        let details = error["details"]?.array ?? []
        var codes = details.compactMap { $0["reason"]?.string }
        let quotas = details.flatMap { $0["violations"]?.array ?? [] }
            .compactMap { $0["quotaId"]?.string }
        // What is used up for the day does not come back by waiting.
        let isForToday = quotas.contains { $0.contains("PerDay") }
        if isForToday { codes.append("quota_per_day") }
        if let word = error["status"]?.string { codes.append(word) }
        var read = ProviderError(
            message: error["message"]?.string ?? "", codes: codes,
            status: status ?? error["code"]?.int ?? 0)
        if !isForToday {
            read.retryAfter = details.lazy.compactMap { $0["retryDelay"]?.string }.first
                .flatMap(duration)
        }
        return read
    }

    /// Of a body, which is an object or, where a stream was asked for, sometimes a list of one.
    static func read(body: [UInt8], status: Int) -> ProviderError {
        let value = try? JSONValue(parsing: body)
        let error = value?["error"] ?? value?.array?.first?["error"]
        return error.map { read($0, status: status) }
            ?? ProviderError(message: "", codes: [], status: status)
    }

    /// `22s`, `1.5s`.
    private static func duration(_ text: String) -> Duration? {
        guard text.hasSuffix("s"), let seconds = Double(text.dropLast()), seconds.isFinite,
            seconds >= 0
        else { return nil }
        return .seconds(min(seconds, 86_400))
    }
}
