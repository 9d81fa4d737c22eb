import NIOCore
import QiWire

extension DeviceLink {
    // MARK: - Noticing silence

    /// While calls wait, a silent path is asked whether it still is one: XMPP may hold a dead stream for minutes. A look every sixth of
    /// `pathLoss`, a question after a quarter of silence and two fifths for its answer: a call on a dead path ends in time.
    func keepAlive() {
        guard let connection else { return }
        let link = NIOLoopBound(self, eventLoop: bus.eventLoop)
        let watched = NIOLoopBound(connection, eventLoop: bus.eventLoop)
        bus.eventLoop.scheduleTask(in: pathLoss / 6) {
            let (link, connection) = (link.value, watched.value)
            guard link.connection === connection, !connection.isClosed else { return }
            // While we still send, nothing need come back, and the bytestream itself notices blocks that are not acknowledged.
            let silence = NIODeadline.now() - connection.lastReceived
            if connection.callsInFlight > 0, connection.backlog == 0, silence > link.pathLoss / 4 { link.probe(connection) }
            link.keepAlive()
            link.bus.executor.scheduleDrain()
        }
    }

    private func probe(_ connection: Connection) {
        let action = ActionAddress(.serviceDirectory, action: WellKnownActions.machineID)
        let asked = NIODeadline.now()
        connection.call(action, ByteBuffer(), deadline: .now() + pathLoss / 5 * 2) { [device] answer in
            // The answer may be waiting behind a big one that is on its way.
            guard case .failure(let error) = answer, error.code == .timedOut, connection.lastReceived < asked else { return }
            connection.close(.silent(QiError(.offline, "the path to \(device) does not answer any more")))
        }
    }
}
