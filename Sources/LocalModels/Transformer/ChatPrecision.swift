/// How finely a chat model rounds what its weights are multiplied with.
package enum ChatPrecision: String, Codable, Sendable {
    /// 8 bits, and 15 where those cost most: somewhat nearer to exact than llama.cpp, and nearly the fastest.
    case auto
    /// The same, and the scales of weights of 4 bits have 8 bits too, where that changes little.
    case fast
    /// 15 bits throughout: nearly as exact as single precision, in about twice the time.
    case precise
}
