import NIOCore
import QiWire

/// After a restart: what the journal knows, and who comes back (``DirectoryTable``).
extension ServiceDirectory {
    /// How long a look-up waits for a service that was here before the restart; then it is one that does not exist.
    static let returnTime = TimeAmount.seconds(5)

    /// Somebody who asked for a service that is not back yet.
    final class ReturnWaiter {
        let connection: Connection
        private var completion: ((Bool) -> Void)?
        private var timer: Scheduled<Void>?

        init(_ connection: Connection, _ completion: @escaping (Bool) -> Void) {
            self.connection = connection
            self.completion = completion
        }

        func start(on bus: Bus, _ timedOut: @escaping () -> Void) {
            timer = bus.schedule(at: .now() + ServiceDirectory.returnTime, timedOut)
        }

        /// Tells whether the service is back, once.
        func end(_ isBack: Bool) {
            timer?.cancel()
            let completion = self.completion
            self.completion = nil
            completion?(isBack)
        }
    }

    /// Keeps the ids and names of `journal` for their owners, and writes down what happens from now on.
    func remember(in journal: JournalFile) {
        self.journal = journal
        guard table.hasReservations else { return }
        reservations = bus.schedule(at: .now() + DirectoryTable.reservationTime) { [weak self] in
            guard let self else { return }
            for id in table.expire() { self.journal?.append(.removed(id)) }
            // What was kept for others until now.
            enterAllUpstream()
        }
    }

    /// Writes nothing down any more: what is there now is what will be awaited.
    func closeJournal() {
        reservations?.cancel()
        journal?.close()
        journal = nil
    }

    /// Calls back when `name` is back or will not be waited for any longer.
    func awaitReturn(of name: String, for connection: Connection, _ completion: @escaping (Bool) -> Void) {
        let waiting = returnWaiters.values.reduce(0) { $0 + $1.count { $0.connection === connection } }
        guard waiting < connection.limits.maximumLookUps else { return completion(false) }
        let waiter = ReturnWaiter(connection, completion)
        returnWaiters[name, default: []].append(waiter)
        waiter.start(on: bus) { [weak self] in
            self?.returnWaiters[name]?.removeAll { $0 === waiter }
            if self?.returnWaiters[name]?.isEmpty == true { self?.returnWaiters[name] = nil }
            waiter.end(false)
        }
    }

    func returned(_ name: String) {
        for waiter in returnWaiters.removeValue(forKey: name) ?? [] { waiter.end(true) }
    }

    /// `connection` is gone, and nobody on it waits any more.
    func stopWaiting(on connection: Connection) {
        guard !returnWaiters.isEmpty else { return }
        for name in Array(returnWaiters.keys) {
            let gone = returnWaiters[name]?.filter { $0.connection === connection } ?? []
            guard !gone.isEmpty else { continue }
            returnWaiters[name]?.removeAll { $0.connection === connection }
            if returnWaiters[name]?.isEmpty == true { returnWaiters[name] = nil }
            for waiter in gone { waiter.end(false) }
        }
    }
}
