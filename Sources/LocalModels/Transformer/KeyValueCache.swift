import Core

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The keys and values of the tokens that were read, in half precision:
/// `[layer][keys, values][head][position][headWidth]`.
///
/// Room for the whole context is reserved at once, and takes memory only as positions are written.
final class KeyValueCache {
    private let start: UnsafeMutablePointer<UInt16>
    private let bytes: Int
    private let shape: LlamaShape
    private let positions: Int

    init(_ shape: LlamaShape, positions: Int) throws {
        self.shape = shape
        self.positions = positions
        let (perPosition, overflow) = (2 * 2 * shape.layers)
            .multipliedReportingOverflow(by: shape.keyWidth)
        let (bytes, overflow2) = perPosition.multipliedReportingOverflow(by: positions)
        guard !overflow, !overflow2,
            let start = mmap(
                nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                0),
            start != MAP_FAILED
        else {
            throw Failure(
                .unavailable,
                "There is not enough memory for a conversation of \(positions) tokens; "
                    + "configure a smaller context.")
        }
        self.bytes = bytes
        self.start = start.assumingMemoryBound(to: UInt16.self)
    }

    deinit { munmap(start, bytes) }

    /// The key of a head at position 0; those after it follow.
    func keys(layer: Int, head: Int) -> UnsafeMutablePointer<UInt16> {
        start + (2 * layer * shape.keyHeads + head) * positions * shape.headWidth
    }

    func values(layer: Int, head: Int) -> UnsafeMutablePointer<UInt16> {
        start + ((2 * layer + 1) * shape.keyHeads + head) * positions * shape.headWidth
    }
}
