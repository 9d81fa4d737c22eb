import ServiceLifecycle
import UnixSignals

extension Session {
    /// Serves until the process is asked to end (SIGTERM, SIGINT), its service group shuts down, or the task is cancelled: the last
    /// line of a program that hosts services.
    ///
    ///     try await Session.with { session in
    ///         try await session.register(GreeterBinding(FriendlyGreeter()))
    ///         await session.run()
    ///     }
    public func run() async {
        let requests = await UnixSignalsSequence(trapping: .sigterm, .sigint).cancelOnGracefulShutdown()
        for await _ in requests { return }
    }
}
