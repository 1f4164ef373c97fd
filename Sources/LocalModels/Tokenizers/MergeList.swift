/// A text while its tokens merge: a list linked through `next` and `previous`, and a heap of the
/// pairs that can merge, best rank first, leftmost of equals. `n log n` for any text.
///
/// A value to be used again for the next text, so that its memory is.
struct MergeList {
    struct Merge {
        /// Smaller goes first.
        let rank: UInt32
        let token: Int32
    }

    /// Two neighbours. The text of both goes from the symbol at `place` up to the one at `end`.
    struct Pair {
        let left: Int32
        let right: Int32
        let place: Int
        let end: Int
    }

    /// Longer texts are cut here, so that a place fits the heap and memory has a bound.
    static let symbolsMax = 1 << 22

    /// What the symbols are now; `gone` where one became part of the symbol before it.
    private(set) var tokens: [Int32] = []
    private var next: [Int32] = []
    private var previous: [Int32] = []
    /// `rank << 32 | place of the left symbol`.
    private var heap: [UInt64] = []

    private static let gone = Int32.min

    mutating func removeAll() {
        tokens.removeAll(keepingCapacity: true)
        next.removeAll(keepingCapacity: true)
        previous.removeAll(keepingCapacity: true)
        heap.removeAll(keepingCapacity: true)
    }

    /// `token` may be any number from -1 on. There is room for `symbolsMax`.
    mutating func append(_ token: Int32) {
        let place = Int32(truncatingIfNeeded: tokens.count)
        tokens.append(token)
        previous.append(place - 1)
        next.append(place + 1)
    }

    /// Merges the best pair until `find` knows of no merge for any.
    mutating func merge(_ find: (Pair) -> Merge?) {
        for place in tokens.indices.dropLast() { offer(place, find) }
        while let best = popBest() {
            let left = Int(best & 0xFFFF_FFFF)
            // The neighbours may have changed since the pair was offered.
            guard tokens[left] != Self.gone, let pair = pair(at: left), let merge = find(pair),
                UInt64(merge.rank) == best >> 32
            else { continue }
            let right = Int(next[left])
            tokens[left] = merge.token
            tokens[right] = Self.gone
            next[left] = next[right]
            if pair.end < tokens.count { previous[pair.end] = Int32(left) }
            if previous[left] >= 0 { offer(Int(previous[left]), find) }
            offer(left, find)
        }
    }

    /// Calls `body` with every symbol that is left: its token, where it begins, and where the next
    /// one does.
    func visit(_ body: (_ token: Int32, _ place: Int, _ end: Int) -> Void) {
        var place = 0
        while place < tokens.count {
            let end = Int(next[place])
            body(tokens[place], place, end)
            place = end
        }
    }

    private func pair(at place: Int) -> Pair? {
        let right = Int(next[place])
        guard right < tokens.count else { return nil }
        return Pair(left: tokens[place], right: tokens[right], place: place, end: Int(next[right]))
    }

    private mutating func offer(_ left: Int, _ find: (Pair) -> Merge?) {
        guard let pair = pair(at: left), let merge = find(pair) else { return }
        heap.append(UInt64(merge.rank) << 32 | UInt64(left))
        var place = heap.count - 1
        while place > 0, heap[place] < heap[(place - 1) / 2] {
            heap.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    private mutating func popBest() -> UInt64? {
        guard let best = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return best }
        heap[0] = last
        var place = 0
        while 2 * place + 1 < heap.count {
            var child = 2 * place + 1
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < heap[place] else { break }
            heap.swapAt(child, place)
            place = child
        }
        return best
    }
}
