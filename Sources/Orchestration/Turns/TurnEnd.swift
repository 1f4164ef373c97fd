import Core

/// Who stops a running turn.
enum StopReason: Hashable, Sendable {
    case user, shutdown
    case timeout(seconds: Int)
}

/// How the model's part of a turn ended.
enum TurnEnd: Sendable {
    /// The model finished.
    case completed(Completion)
    /// We finished for it: it had begun to repeat itself, or wrote more than is kept. `keeping` is
    /// the part before that.
    case cutOff(keeping: String)
    case stopped(StopReason)
    case failed(Failure)

    var state: TurnState {
        switch self {
        case .completed, .cutOff: .completed
        case .stopped(.user): .cancelled
        case .stopped(.shutdown): .interrupted
        case .stopped(.timeout), .failed: .failed
        }
    }

    /// The sentence for the user.
    var failure: String? {
        switch self {
        case .completed, .cutOff, .stopped(.user), .stopped(.shutdown): nil
        case .stopped(.timeout(let seconds)):
            "The answer took longer than \(seconds) seconds and was stopped."
        case .failed(let failure): failure.message
        }
    }
}
