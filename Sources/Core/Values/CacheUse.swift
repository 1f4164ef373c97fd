/// Whether the answer to a call was there before it was asked.
package enum CacheUse: String, Hashable, Codable, Sendable {
    /// It was not; the next who asks the same may have it.
    case miss
    /// It was, from an earlier call.
    case hit
    /// It was on its way to somebody who had asked the same.
    case joined
}
