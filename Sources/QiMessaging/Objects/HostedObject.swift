import Logging
import NIOCore
public import QiWire

/// An object of this process that others use: emits its signals and sets its properties, from anywhere.
public struct HostedObject: Sendable {
    private let object: NIOLoopBound<LocalObject>
    private let executor: LoopExecutor
    private let metaObject: MetaObject
    /// The id its directory gave it; of an object sent as a value, that of the service in whose conversation it was sent.
    public let serviceID: UInt32

    init(object: LocalObject, serviceID: UInt32) {
        self.object = NIOLoopBound(object, eventLoop: object.bus.eventLoop)
        executor = object.bus.executor
        metaObject = object.metaObject
        self.serviceID = serviceID
    }

    /// Emits a signal. The arguments are converted to its signature.
    ///
    /// - Throws: `.notFound` for no such signal, `.invalid` when the arguments do not fit.
    public func emit(_ signal: String, _ arguments: [QiValue]) throws(QiError) {
        guard let meta = metaObject.signal(named: signal) else { throw QiError(.notFound, "no signal \"\(signal)\"") }
        let values: [QiValue]
        do throws(WireError) {
            let signature = try Signature(meta.signature)
            let tuple = QiValue.tuple(arguments)
            values = signature.type == .dynamic
                ? arguments : try QiArguments(tuple.converted(from: tuple.inferredType, to: signature.type), as: signature.type).values
        } catch {
            throw QiError(.invalid, "the arguments do not fit \(signal)\(meta.signature): \(error.message)")
        }
        let uid = meta.uid
        let target = object
        executor.submit {
            // Cannot fail: the values have the signature's types.
            do { try target.value.emit(uid, values) } catch { target.value.bus.logger.error("signal not emitted", error: error) }
        }
    }

    /// Writes a property and tells its subscribers; the value is converted to its type.
    public func setProperty(_ name: String, _ value: QiValue) throws(QiError) {
        guard let meta = metaObject.property(named: name) else { throw QiError(.notFound, "no property \"\(name)\"") }
        do throws(WireError) {
            _ = try value.converted(from: value.inferredType, to: Signature(meta.signature).type)
        } catch {
            throw QiError(.invalid, "the value does not fit \(name): \(error.message)")
        }
        let target = object
        executor.submit {
            do {
                try target.value.setProperty(.string(name), value)
            } catch {
                target.value.bus.logger.error("property not set", error: error)
            }
        }
    }
}
