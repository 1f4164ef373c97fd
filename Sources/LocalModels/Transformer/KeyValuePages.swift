import Core

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The keys and values of tokens that were read, in half precision, in pages of `positions` tokens
/// that sequences own or share. Who owns which page is not known here.
///
/// A page is `[layer][keyHead]{keys [headWidth][positions], values [positions][headWidth]}`: one
/// query meets the keys of all positions of a page without a sum across a register.
///
/// Room for all pages is reserved at once, and takes memory only as they are written.
final class KeyValuePages {
    static let positions = 32

    let count: Int
    private let start: UnsafeMutablePointer<UInt16>
    private let halvesPerPage: Int
    private let halvesPerHead: Int
    private let keyHeads: Int

    /// The size of one page of a model of this shape.
    static func bytesPerPage(_ shape: ModelShape) -> Int {
        2 * 2 * positions * shape.layers * shape.keyWidth
    }

    /// Throws `unavailable` when the system has not even the addresses.
    init(_ shape: ModelShape, count: Int) throws {
        self.count = count
        halvesPerHead = 2 * Self.positions * shape.headWidth
        halvesPerPage = Self.bytesPerPage(shape) / 2
        keyHeads = shape.keyHeads
        let (bytes, overflow) = Self.bytesPerPage(shape).multipliedReportingOverflow(by: count)
        guard !overflow,
            let start = mmap(
                nil, max(1, bytes), PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
            start != MAP_FAILED
        else {
            throw Failure(
                .unavailable,
                "There is not enough memory for conversations of \(count * Self.positions) tokens; "
                    + "configure a smaller context.")
        }
        self.start = start.assumingMemoryBound(to: UInt16.self)
    }

    deinit { munmap(start, max(1, 2 * halvesPerPage * count)) }

    /// `[headWidth][positions]`
    func keys(_ page: Int32, layer: Int, head: Int) -> UnsafeMutablePointer<UInt16> {
        start + Int(page) * halvesPerPage + offset(layer: layer, head: head)
    }

    /// `[positions][headWidth]`
    func values(_ page: Int32, layer: Int, head: Int) -> UnsafeMutablePointer<UInt16> {
        start + Int(page) * halvesPerPage + valuesOffset(layer: layer, head: head)
    }

    /// Where these pages begin.
    func places(of pages: [Int32]) -> PagePlaces {
        PagePlaces(pages: pages.map { UnsafePointer(start + Int($0) * halvesPerPage) })
    }

    /// How many halves into a page the keys of a head begin.
    func offset(layer: Int, head: Int) -> Int { (layer * keyHeads + head) * halvesPerHead }

    /// And its values.
    func valuesOffset(layer: Int, head: Int) -> Int {
        offset(layer: layer, head: head) + halvesPerHead / 2
    }

    /// Makes `target` what `source` is.
    func copy(_ source: Int32, to target: Int32) {
        (start + Int(target) * halvesPerPage).update(
            from: start + Int(source) * halvesPerPage, count: halvesPerPage)
    }

    /// Gives the memory of a page back to the system. What it holds is gone; it can be written again.
    func release(_ page: Int32) {
        // Pages of the system are smaller than ours; only whole ones inside are given back.
        let size = sysconf(Int32(_SC_PAGESIZE))
        let first = Int(bitPattern: start + Int(page) * halvesPerPage)
        let from = (first + size - 1) / size * size
        let to = (first + 2 * halvesPerPage) / size * size
        if to > from {
            madvise(UnsafeMutableRawPointer(bitPattern: from), to - from, MADV_DONTNEED)
        }
    }
}

/// Where the pages of one sequence begin.
struct PagePlaces {
    let pages: [UnsafePointer<UInt16>?]
}
