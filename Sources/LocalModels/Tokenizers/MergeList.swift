/// A text while its tokens merge: a list of symbols linked both ways, and a heap of the pairs that
/// can merge, best rank first, leftmost of equals. `n log n` for any text.
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

    private struct Symbol {
        var token: Int32
        /// The places of the neighbours; before the first is -1, after the last their count.
        var previous: Int32
        var next: Int32
        /// What it and the next one become; `Merge.none` where they do not.
        var merge: Merge
    }

    /// Longer texts are cut here, so that a place fits the heap and memory has a bound.
    static let symbolsMax = 1 << 22

    private var symbols: [Symbol] = []
    /// `rank << 32 | place of the left symbol`.
    private var heap: [UInt64] = []

    mutating func removeAll() {
        symbols.removeAll(keepingCapacity: true)
        heap.removeAll(keepingCapacity: true)
    }

    /// There is room for `symbolsMax`.
    mutating func append(_ token: Int32) {
        let place = Int32(truncatingIfNeeded: symbols.count)
        symbols.append(Symbol(token: token, previous: place - 1, next: place + 1, merge: .none))
    }

    /// Merges the best pair until `find` knows of no merge for any.
    mutating func merge(_ find: (Pair) -> Merge?) {
        for place in symbols.indices { offer(place, find) }
        while let best = popBest() {
            let left = Int(best & 0xFFFF_FFFF)
            let merge = symbols[left].merge
            // The neighbours may have changed since the pair was offered.
            guard merge.token >= 0, UInt64(merge.rank) == best >> 32 else { continue }
            let right = Int(symbols[left].next)
            let next = symbols[right].next
            symbols[right].merge = .none
            symbols[left].token = merge.token
            symbols[left].next = next
            if next < symbols.count { symbols[Int(next)].previous = Int32(left) }
            if symbols[left].previous >= 0 { offer(Int(symbols[left].previous), find) }
            offer(left, find)
        }
    }

    /// Calls `body` with every symbol that is left: its token, where it begins, and where the next
    /// one does.
    func visit(_ body: (_ token: Int32, _ place: Int, _ end: Int) -> Void) {
        var place = 0
        while place < symbols.count {
            let end = Int(symbols[place].next)
            body(symbols[place].token, place, end)
            place = end
        }
    }

    private mutating func offer(_ left: Int, _ find: (Pair) -> Merge?) {
        let symbol = symbols[left]
        let right = Int(symbol.next)
        guard right < symbols.count,
            let merge = find(
                Pair(
                    left: symbol.token, right: symbols[right].token, place: left,
                    end: Int(symbols[right].next)))
        else {
            symbols[left].merge = .none
            return
        }
        symbols[left].merge = merge
        push(UInt64(merge.rank) << 32 | UInt64(left))
    }

    private mutating func push(_ pair: UInt64) {
        heap.append(pair)
        var place = heap.count - 1
        while place > 0, pair < heap[(place - 1) / 2] {
            heap[place] = heap[(place - 1) / 2]
            place = (place - 1) / 2
        }
        heap[place] = pair
    }

    private mutating func popBest() -> UInt64? {
        guard let best = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return best }
        var place = 0
        while 2 * place + 1 < heap.count {
            var child = 2 * place + 1
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < last else { break }
            heap[place] = heap[child]
            place = child
        }
        heap[place] = last
        return best
    }
}

extension MergeList.Merge {
    /// No merge: none has a token below 0.
    fileprivate static let none = Self(rank: .max, token: -1)
}
