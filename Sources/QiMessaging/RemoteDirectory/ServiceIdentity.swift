import QiWire

/// What tells whether a service that was lost and found again is the one that was meant: its users call members by number, so a call must
/// never reach another object.
struct ServiceIdentity {
    /// How much has to be the same.
    enum Rule {
        /// One object of one host: the id, the session and the object's uid are those of before, and so is the metaobject.
        case object
        /// Every object with the name and the metaobject of before: a service that is restarted comes back in another process, under
        /// another id.
        case interface
    }

    let info: ServiceInfo
    let metaObject: MetaObject

    func isSame(as other: ServiceIdentity, by rule: Rule) -> Bool {
        guard metaObject == other.metaObject else { return false }
        return switch rule {
        case .object: info.isSame(as: other.info)
        case .interface: info.name == other.info.name
        }
    }
}

extension ServiceInfo {
    /// Whether both speak of one object of one host: where it is reached may have changed.
    func isSame(as other: ServiceInfo) -> Bool {
        serviceID == other.serviceID && sessionID == other.sessionID && objectUID == other.objectUID
    }
}
