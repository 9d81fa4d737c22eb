import ArgumentParser

/// The option of commands about a device, which may be offline.
struct WaitOptions: ParsableArguments {
    @Option(help: "Wait this long for the device to be online first.")
    var waitOnline: TimeSpan?
}

/// A command about a device that can be waited for.
protocol WaitingVerb: NodeVerb {
    var wait: WaitOptions { get }
}

extension WaitingVerb {
    /// Runs `body` with a session, as every command does, once the device is online if that was asked for.
    func withSession<Result: Sendable>(
        _ console: Console, waitingFor device: DeviceName?, _ body: (NodeSession) async throws(CommandFailure) -> Result
    ) async throws(CommandFailure) -> Result {
        try await withSession(console, device: device) { (session) async throws(CommandFailure) in
            if let limit = wait.waitOnline { try await session.waitOnline(device, atMost: limit.duration) }
            return try await body(session)
        }
    }
}
