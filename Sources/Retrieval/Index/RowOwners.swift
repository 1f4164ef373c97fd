/// For each row the collection it belongs to, in four bytes, and how many rows each has.
struct RowOwners: Sendable {
    private var slots: [UInt32] = []
    private var slotOfCollection: [Int64: UInt32] = [:]
    /// How many rows each slot has; slot zero is that of rows that are gone.
    private var counts: [Int] = [0]

    var goneCount: Int { counts[0] }

    init() {}

    /// So many rows, none of them known yet.
    init(unknown count: Int) {
        slots = Array(repeating: 0, count: count)
        counts = [count]
    }

    mutating func append(_ collection: Int64) {
        let slot = slot(of: collection)
        slots.append(slot)
        counts[Int(slot)] += 1
    }

    mutating func set(_ row: Int, _ collection: Int64) { move(row, to: slot(of: collection)) }

    mutating func forget(_ row: Int) { move(row, to: 0) }

    func isGone(_ row: Int) -> Bool { slots[row] == 0 }

    private mutating func move(_ row: Int, to slot: UInt32) {
        counts[Int(slots[row])] -= 1
        counts[Int(slot)] += 1
        slots[row] = slot
    }

    private mutating func slot(of collection: Int64) -> UInt32 {
        if let known = slotOfCollection[collection] { return known }
        let slot = UInt32(counts.count)
        slotOfCollection[collection] = slot
        counts.append(0)
        return slot
    }

    /// Those of some of the rows, in the order given.
    func taking(_ rows: [Int]) -> RowOwners {
        var owners = self
        owners.slots = rows.map { slots[$0] }
        owners.counts = Array(repeating: 0, count: counts.count)
        for slot in owners.slots { owners.counts[Int(slot)] += 1 }
        return owners
    }

    /// The rows that a search may see.
    struct Allowed {
        fileprivate let slots: [Bool]
        /// Where rows are told apart one by one, those that are allowed.
        fileprivate let rows: [Bool]?
        let count: Int
        /// Whether only rows that are gone are left out.
        let isEverything: Bool
    }

    func allowed(_ scope: Set<Int64>) -> Allowed {
        var flags = Array(repeating: false, count: counts.count)
        var count = 0
        for collection in scope {
            guard let slot = slotOfCollection[collection] else { continue }
            flags[Int(slot)] = true
            count += counts[Int(slot)]
        }
        return Allowed(
            slots: flags, rows: nil, count: count, isEverything: count == slots.count - counts[0])
    }

    /// The rows that `isWanted`, of whatever collection.
    func allowed(where isWanted: (Int) -> Bool) -> Allowed {
        let rows = slots.indices.map { slots[$0] != 0 && isWanted($0) }
        let count = rows.count { $0 }
        return Allowed(
            slots: [], rows: rows, count: count, isEverything: count == slots.count - counts[0])
    }

    func isAllowed(_ row: Int, _ allowed: Allowed) -> Bool {
        if let rows = allowed.rows { return rows[row] }
        return allowed.slots[Int(slots[row])]
    }

    /// A gap this small is cheaper to multiply through than to go around.
    private static let gapMax = 16

    /// The stretches of `range` that hold something of the scope. Documents are added whole, so an
    /// owner's rows lie together, and another's are mostly not even read.
    func runs(_ allowed: Allowed, in range: Range<Int>) -> [Range<Int>] {
        guard allowed.count > 0, !range.isEmpty else { return [] }
        if allowed.isEverything { return [range] }
        var runs: [Range<Int>] = []
        for row in range where isAllowed(row, allowed) {
            if let run = runs.last, row - run.upperBound <= Self.gapMax {
                runs[runs.count - 1] = run.lowerBound..<row + 1
            } else {
                runs.append(row..<row + 1)
            }
        }
        return runs
    }
}
