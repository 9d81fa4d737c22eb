/// Work that has a limit of time.
enum Race {
    /// Returns when `body` does, or after `limit`.
    /// - Parameter sleep: how the time passes; returns early when cancelled.
    static func within(
        _ limit: Duration, sleep: @escaping @Sendable (Duration) async -> Void = Race.sleep, _ body: @escaping @Sendable () async -> Void
    ) async {
        await withTaskGroup { group in
            group.addTask(operation: body)
            group.addTask { await sleep(limit) }
            await group.next()
            group.cancelAll()
        }
    }

    /// The time as it passes.
    @Sendable static func sleep(_ duration: Duration) async {
        // Ends early only by cancellation, which is the point.
        try? await Task.sleep(for: duration)
    }
}
