import NIOCore
import QiWire

/// A service behind a gateway that somebody outside uses. Confined to the bus loop.
///
/// Those outside keep the object whatever becomes of the process that hosts the service: while there is none it has no path, and
/// calls fail with ``away``.
final class PresentedService {
    let object: RemoteObject
    /// What the directory inside said of it last.
    var info: ServiceInfo
    /// Whether it is being looked for.
    var isRestoring = false
    private var end: Scheduled<Void>?

    /// What a caller outside is told while the service is away, whatever happened inside.
    static let away = QiError(.offline, "the service is away, and expected back: try again in a moment")

    init(_ object: RemoteObject, _ info: ServiceInfo) {
        self.object = object
        self.info = info
        object.concealedLoss = Self.away
    }

    /// Runs `giveUp` after `time`, unless the service is back before.
    func expect(within time: TimeAmount, on bus: Bus, _ giveUp: @escaping () -> Void) {
        guard end == nil else { return }
        end = bus.schedule(at: .now() + time) {
            giveUp()
            bus.executor.scheduleDrain()
        }
    }

    /// It is there, or nobody can know.
    func stopExpecting() {
        end?.cancel()
        end = nil
    }
}
