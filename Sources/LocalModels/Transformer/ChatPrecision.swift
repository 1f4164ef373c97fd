/// How finely a chat model rounds what its weights are multiplied with.
package enum ChatPrecision: String, Codable, Sendable {
    /// 8 bits, and 15 where those cost most: somewhat nearer to exact than llama.cpp, and the fastest.
    case auto
    /// 15 bits throughout: nearly as exact as single precision, in about twice the time.
    case precise
}
