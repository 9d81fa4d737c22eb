/// What a device is among the computers of its robot, and among other devices.
public enum DeviceRole: String, CaseIterable, Hashable, Sendable {
    /// Has the directory of the whole robot; so does a robot of one computer.
    case master
    /// Another board of the same robot: its services are registered with the master's directory.
    case member
    /// Offers services from outside any robot.
    case cloud
    /// Uses services and offers none.
    case client
}
