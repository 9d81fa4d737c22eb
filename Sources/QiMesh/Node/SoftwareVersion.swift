/// The version of this software, as devices and programs are told.
enum SoftwareVersion {
    static let text = "0.1.0"
}
