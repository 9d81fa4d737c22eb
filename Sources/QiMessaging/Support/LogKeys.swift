import Logging

/// The metadata keys of this module's log messages. Messages are constants, data goes here; never payloads or credentials.
enum LogKeys {
    static let connection = "qi.connection.id"
    static let peer = "qi.connection.peer"
    static let service = "qi.service.name"
    static let serviceID = "qi.service.id"
    static let endpoint = "qi.endpoint"
    static let path = "path"
    static let error = "error"
}

extension Logger {
    /// Logs something that our own code should have made impossible.
    func error(_ message: Logger.Message, error: any Error) {
        self.error(message, metadata: [LogKeys.error: "\(error)"])
    }
}
