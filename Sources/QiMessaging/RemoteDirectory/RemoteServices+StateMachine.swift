/// A service as the table of those in use sees it.
protocol ServiceInUse: AnyObject {
    /// Whether calls can be sent to it now.
    var hasPath: Bool { get }
}

/// The services of a directory elsewhere that are in use here, by name. Pure: no clock, no connection.
///
/// ```
///              found                   path lost
///   sought ──────────▶ used ────────────────────▶ missing
///     ▲                 ▲ │                        │   │
///     └ asked for       └─│────── found again ─────┘   │
///                         ▼                            ▼
///                   gone: removed, another service, not back in time; and forgotten when not used
/// ```
/// A missing service keeps its object, so its users go on when it is found again. One look-up of a name runs at a time; who asks for it
/// meanwhile hears of it. One restoring of a service runs at a time.
struct ServiceTable<Service: ServiceInUse, Seeker> {
    private(set) var services: [String: Service] = [:]
    private var seekers: [String: [Seeker]] = [:]
    /// What is being restored: a service that took a name over is another one.
    private var restoring: [String: ObjectIdentifier] = [:]

    enum OnSought {
        /// It is in use, and has a path.
        case found(Service)
        /// It is to be looked up.
        case lookUp
        /// It is being looked up; the seeker hears of it.
        case wait
    }

    /// A service is needed.
    mutating func sought(_ name: String, by seeker: Seeker) -> OnSought {
        if let known = services[name], known.hasPath { return .found(known) }
        if seekers[name] != nil {
            seekers[name]?.append(seeker)
            return .wait
        }
        seekers[name] = [seeker]
        return .lookUp
    }

    /// A look-up has ended, well or not.
    mutating func lookedUp(_ name: String) -> [Seeker] { seekers.removeValue(forKey: name) ?? [] }

    /// A service was found that is not in use yet, or in the place of another that is gone.
    mutating func used(_ name: String, _ service: Service) { services[name] = service }

    /// It is to be looked for until it is found. Nil when that happens already, or when it is not in use.
    mutating func beginRestoring(_ name: String) -> Service? {
        guard let service = services[name], restoring[name] != ObjectIdentifier(service) else { return nil }
        restoring[name] = ObjectIdentifier(service)
        return service
    }

    mutating func endedRestoring(_ name: String, _ service: Service) {
        if restoring[name] == ObjectIdentifier(service) { restoring[name] = nil }
    }

    /// Nothing uses it any more. Nil when it is being looked up: who asked for it decides then.
    mutating func unused(_ name: String) -> Service? { seekers[name] == nil ? services.removeValue(forKey: name) : nil }

    /// It is gone for good.
    mutating func gone(_ name: String) -> Service? { services.removeValue(forKey: name) }

    /// Nothing is in use any more, nor sought.
    mutating func ended() -> (services: [Service], seekers: [Seeker]) {
        defer { self = ServiceTable() }
        return (Array(services.values), seekers.values.flatMap { $0 })
    }
}
