import QiWire

/// Where a connection asks whether its peer may do what it asks for.
extension Connection {
    /// What a policy says to the peer; nil where everything is allowed.
    private(set) var access: ConnectionAccess? {
        // Nothing else is ever set.
        get { filter as? ConnectionAccess }
        set { filter = newValue }
    }

    /// Whether the peer came in by a door to the outside.
    var isOutside: Bool { zone.isOutside }

    /// Who the peer is: what the transport has shown and, if more was proven, that.
    var principal: Principal {
        var principal = Principal(origin, zone: zone, proven: proven)
        if let fingerprint { principal.fingerprint = fingerprint }
        return principal
    }

    /// From now on `control` is asked for everything the peer wants, unless its policy leaves the peer alone. To be called when the
    /// connection opens, and again when the policy changed. An exclusive principal that is connected already is closed.
    func enforce(_ control: AccessControl) {
        let principal = self.principal
        guard !control.policy.leavesAlone(principal) else {
            access?.detach()
            access = nil
            countArguments(in: nil)
            return
        }
        if let access, access.control === control, access.principal == principal {
            access.refresh()
            access.follow()
            return
        }
        access?.detach()
        let access = ConnectionAccess(control, principal, origin)
        do throws(QiError) {
            try access.begin()
            self.access = access
            countArguments(in: control.arguments(of: principal))
            // Not weak, which would slow every count of this connection down: let go of when it closes.
            access.keepWaiting = { self.holdReading(for: $0) }
            whenClosed { _ in access.detach() }
        } catch {
            close(.refused(error))
        }
    }

    /// Ends the subscriptions of the peer that the policy in force does not allow any more.
    func endForbiddenSubscriptions() {
        guard let access else { return }
        for (address, receiver) in bound where !address.isPassed {
            guard let service = owner?.serviceName(of: address.service, on: self) else { continue }
            receiver.endSubscriptions(on: self, at: address) { access.maySubscribe(to: $0, of: service) }
        }
    }
}

extension ConnectionAccess {
    /// The connection has ended, or asks another one.
    fileprivate func detach() {
        end()
        keepWaiting = nil
    }
}
