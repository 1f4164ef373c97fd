import CKernels

/// The kernels that this processor runs, by their name: `avx512vnni`, `avx512`, `avx2`, `neon` or
/// `plain`.
package enum EngineKernels {
    package static var name: String {
        guard let set = kernel_set_best(), let name = set.pointee.name else { return "none" }
        return String(cString: name)
    }
}
