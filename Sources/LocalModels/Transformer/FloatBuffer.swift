#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Room for numbers at a fixed place. Not cleared, so that it takes memory only once it is used.
final class FloatBuffer {
    private let start: UnsafeMutablePointer<Float>

    init(_ count: Int) { start = .allocate(capacity: max(1, count)) }

    deinit { start.deallocate() }

    /// Where the number at `offset` is; those after it follow.
    subscript(offset: Int) -> UnsafeMutablePointer<Float> { start + offset }
}

func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }

func cosineAndSine(_ angle: Double) -> (Double, Double) { (cos(angle), sin(angle)) }
