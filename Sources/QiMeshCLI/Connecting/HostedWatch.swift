import QiMesh
import QiMessaging

/// What the node says of services that are registered at a tunnel of this command.
struct HostedWatch: Sendable {
    /// One thing that became of a service.
    enum News: Sendable {
        case up(String)
        case refused(String, String)
        case away(String, String)
        case gone(String)

        fileprivate init?(_ what: String, _ service: String, _ why: String) {
            switch what {
            case "up": self = .up(service)
            case "refused": self = .refused(service, why)
            case "away": self = .away(service, why)
            case "gone": self = .gone(service)
            default: return nil
            }
        }

        /// For people.
        func text(at device: String) -> String {
            switch self {
            case .up(let service): "\(service) is up at \(device)"
            case .refused(let service, let why): "\(service) is refused: \(why)"
            case .away(let service, let why): "\(service) is away from \(device), and registered again as soon as that can be: \(why)"
            case .gone(let service): "\(service) is gone from \(device)"
            }
        }
    }

    /// What the tunnel is called.
    let ticket: String
    let news: AsyncStream<News>
    private let link: SignalLink

    /// Listens before the tunnel is opened, or the first news would be missed. The caller owes an ``end()``.
    init(_ control: ControlInterface) async throws(CommandFailure) {
        let ticket = String(UInt64.random(in: .min ... .max), radix: 36)
        // Each service has little to tell, and what is left out is told by the next.
        let (news, continuation) = AsyncStream.makeStream(of: News.self, bufferingPolicy: .bufferingNewest(1024))
        do throws(QiError) {
            link = try await control.proxy.hosting.connect { told, what, service, why in
                if told == ticket, let news = News(what, service, why) { continuation.yield(news) }
            }
        } catch {
            throw CommandFailure(error)
        }
        self.ticket = ticket
        self.news = news
    }

    func end() { link.disconnect() }
}
