import Foundation

extension MeshConfiguration {
    /// The policy file, or where it would be: beside the configuration.
    public func policyPath(paths: MeshPaths) -> String {
        if let file = policyFile(paths: paths) { return file }
        let place = ((paths.configurationFile ?? paths.configurationCandidates.first ?? "") as NSString).deletingLastPathComponent
        return place.isEmpty ? "policy.yaml" : place + "/policy.yaml"
    }

    /// The policy file: the one named by `policy:`, else the first `policy.yaml` beside a place where the configuration is looked for.
    /// nil when there is none.
    public func policyFile(paths: MeshPaths) -> String? {
        if let policy { return policy }
        let places = paths.configurationFile.map { [$0] } ?? paths.configurationCandidates
        return places.map { ($0 as NSString).deletingLastPathComponent }
            .map { $0.isEmpty ? "policy.yaml" : $0 + "/policy.yaml" }
            .first { FileManager.default.fileExists(atPath: $0) }
    }
}
