import NIOCore

/// Tells a directory when the policy has been replaced, and when a rule of it has expired. Confined to the bus loop.
final class PolicyWatch {
    private weak var directory: ServiceDirectory?
    private let control: AccessControl
    private let bus: Bus
    private var token: UInt64?
    private var timer: Scheduled<Void>?
    private var last: (policy: PermissionPolicy, time: Int64)

    /// An expiry is not waited for longer than this at a time: clocks are set.
    private static let longestWait: Int64 = 600

    init(_ control: AccessControl, of directory: ServiceDirectory) {
        self.control = control
        self.directory = directory
        bus = directory.bus
        last = (control.policy, WallClock.seconds)
        let watch = NIOLoopBound(Weak(self), eventLoop: bus.eventLoop)
        let executor = bus.executor
        token = control.observe { executor.submit { watch.value.watch?.changed() } }
        waitForExpiry()
    }

    deinit {
        timer?.cancel()
        if let token { control.stopObserving(token) }
    }

    private func changed() {
        guard !bus.isShutDown else { return }
        let before = last
        last = (control.policy, WallClock.seconds)
        directory?.policyChanged(from: before)
        waitForExpiry()
    }

    private func waitForExpiry() {
        timer?.cancel()
        timer = nil
        guard let expiry = last.policy.nextExpiry(after: last.time) else { return }
        let wait = min(max(expiry - last.time, 1), Self.longestWait)
        timer = bus.schedule(at: .now() + .seconds(wait)) { [weak self] in self?.changed() }
    }

    private struct Weak {
        weak var watch: PolicyWatch?
        init(_ watch: PolicyWatch) { self.watch = watch }
    }
}
