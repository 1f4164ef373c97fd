import TestSupport
import Testing

/// Everything that starts a server, one test after the other: hundreds at once would wait for each
/// other's threads and tell nothing about time.
@Suite(.serialized) struct ServerTests {}
