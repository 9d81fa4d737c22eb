// Tells which devices come and go, until one went that was there.      Discover JID PASSWORD-FILE [SERVER:PORT CA-FILE]
import Foundation
import QiMesh
import QiMessaging

let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.count >= 2 else { exit(2) }
var options = Mesh.Options()
if arguments.count == 4 { (options.server, options.caFile) = (arguments[2], arguments[3]) }

try await Mesh.with(jid: arguments[0], password: .file(arguments[1]), options: options) { mesh in
    for await change in mesh.devices.changes {
        switch change {
        case .online(let device): print("+", device.name, device.model, try await device.services().map(\.name))
        case .stale(let device): print("?", device.name, "last answer", device.lastSeen as Any)
        case .offline(let device): return print("-", device.name)
        }
    }
}
