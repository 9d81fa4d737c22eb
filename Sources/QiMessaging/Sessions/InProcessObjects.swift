import Glibc
import QiWire
import Synchronization

/// The services of this process, found by the session that hosts them and their id: a session that finds one here calls it
/// directly (LPC), whichever of the process's sessions or directories hosts it.
enum InProcessObjects {
    private struct Key: Hashable {
        let sessionID: String
        let serviceID: UInt32
    }

    private static let objects = Mutex<[Key: DynamicObject]>([:])

    static func add(_ object: DynamicObject, sessionID: String, serviceID: UInt32) {
        objects.withLock { $0[Key(sessionID: sessionID, serviceID: serviceID)] = object }
    }

    static func remove(sessionID: String, serviceID: UInt32) {
        objects.withLock { $0[Key(sessionID: sessionID, serviceID: serviceID)] = nil }
    }

    /// The object that a directory's answer means, when it lives in this process. Session ids are random, so that another process
    /// with our process id, as in a container, is not taken for this one.
    static func find(_ info: ServiceInfo) -> DynamicObject? {
        guard info.processID == UInt32(bitPattern: getpid()) else { return nil }
        return objects.withLock { $0[Key(sessionID: info.sessionID, serviceID: info.serviceID)] }
    }
}

/// How a session reaches a service.
enum ServicePath {
    case remote(RemoteObject)
    case local(ProxyHandle)
}
