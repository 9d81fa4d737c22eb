/// What a device is among the computers of its robot.
public enum DeviceRole: String, CaseIterable, Hashable, Sendable {
    /// Has the directory of the whole robot; so does a robot of one computer.
    case master
    /// Another board of the same robot: its services are registered with the master's directory.
    case member
}
