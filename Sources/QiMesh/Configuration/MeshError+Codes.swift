public import QiMessaging
import XMPP

// One vocabulary: every failure that a command ends with has a code of `MeshError`, whose word is in its JSON form and decides the exit
// status. This is the table by which the codes of the bus and of XMPP become such a code, and the other way for what goes over the bus.

extension MeshError.Code {
    /// - Parameter invalid: what a value that is not valid means: `usage` where a person typed it, a `violation` where a peer sent it.
    public init(_ code: QiError.Code, invalid: MeshError.Code = .violation) {
        self =
            switch code {
            case .notFound: .notFound
            case .denied: .denied
            case .offline: .offline
            case .timedOut: .timedOut
            case .disconnected: .closed
            case .cancelled: .cancelled
            case .conflict: .conflict
            case .limit: .limit
            case .unsupported: .unsupported
            case .invalid: invalid
            // What a method itself raised, or a code that the bus learns later.
            default: .remote
            }
    }

    init(_ code: XMPPError.Code) {
        self =
            switch code {
            case .notAuthorized: .authentication
            case .certificate, .streamRefused: .denied
            case .configuration: .configuration
            case .unreachable, .connectionLost, .notConnected: .offline
            case .timedOut: .timedOut
            case .conflict: .conflict
            case .invalidInput: .usage
            case .limitExceeded: .limit
            case .streamClosed: .closed
            case .cancelled: .cancelled
            default: .remote
            }
    }
}

extension QiError.Code {
    /// What is told over the bus, where a file or a key of this device is none of the asker's business.
    init(_ code: MeshError.Code) {
        self =
            switch code {
            case .notFound: .notFound
            case .offline: .offline
            case .timedOut: .timedOut
            case .closed: .disconnected
            case .cancelled: .cancelled
            case .conflict: .conflict
            case .limit, .tooLarge: .limit
            case .unsupported: .unsupported
            case .usage, .violation: .invalid
            case .remote: .remote
            default: .denied
            }
    }
}

extension QiError {
    /// What a store of this device says, for those who asked over the bus.
    init(_ error: MeshError) { self.init(Code(error.code), error.message, hint: error.hint, cause: error) }
}

extension MeshError {
    /// What the bus says went wrong.
    /// - Parameter invalid: as of ``Code/init(_:invalid:)``.
    public init(_ error: QiError, invalid: Code = .violation) {
        self.init(Code(error.code, invalid: invalid), error.message, hint: error.hint, cause: error.cause)
        retryAfter = error.retryAfter
    }

    /// What went wrong while a command was served, of which every value was typed.
    init(ofControl error: any Error) {
        switch error {
        case let error as MeshError: self = error
        case let error as QiError:
            // A store of this device said so, in its own words.
            if let own = error.cause as? MeshError, own.message == error.message { self = own } else { self.init(error, invalid: .usage) }
        case let error as XMPPError: self.init(Code(error.code), error.message, cause: error.cause)
        case is CancellationError: self.init(.cancelled, "the command was given up")
        default: self.init(.remote, "\(error)")
        }
    }

    /// What led to this, as texts, the nearest first.
    public var causes: [String] {
        var texts: [String] = []
        var next = cause
        // A chain is as deep as our layers; the bound is for an error that names itself as its cause.
        while let error = next, texts.count < 8 {
            if let told = error as? ToldCauses { return texts + told.texts }
            texts.append("\(error)")
            next = (error as? MeshError)?.cause ?? (error as? QiError)?.cause
        }
        return texts
    }
}

/// The causes of an error of another process, which only their texts have left.
struct ToldCauses: Error {
    let texts: [String]
}
