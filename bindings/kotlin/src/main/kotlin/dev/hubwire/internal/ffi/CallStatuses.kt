package dev.hubwire.internal.ffi

/**
 * Where native functions say how they ended, one for each thread. The generated code would make one for each call, and
 * what JNA does for each structure costs more than all the rest of a call.
 */
internal object CallStatuses {
    private val statuses = object : ThreadLocal<UniffiRustCallStatus>() {
        override fun initialValue() = UniffiRustCallStatus()
    }

    /** For the call that comes next on this thread. */
    fun take(): UniffiRustCallStatus = statuses.get()!!.apply {
        code = UNIFFI_CALL_SUCCESS
        error_buf.capacity = 0
        error_buf.len = 0
        error_buf.data = null
    }
}
