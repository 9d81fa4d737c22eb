/// Work that has a limit of time.
enum Race {
    /// Returns when `body` does, or after `limit`.
    static func within(_ limit: Duration, _ body: @escaping @Sendable () async -> Void) async {
        await withTaskGroup { group in
            group.addTask(operation: body)
            // Ends early only by cancellation, which is the point.
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }
}
