import Foundation

extension MeshConfiguration {
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
