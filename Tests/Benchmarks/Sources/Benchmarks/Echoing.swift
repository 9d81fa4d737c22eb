import QiMessaging

/// The service as a user writes it: typed, its methods off the event loop unless they are called within the process.
@Service
protocol Echoing: Sendable {
    func echo(_ text: String) async throws -> String
}

struct Echo: Echoing {
    func echo(_ text: String) async throws -> String { text }
}
