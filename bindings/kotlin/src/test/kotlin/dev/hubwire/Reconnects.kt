package dev.hubwire

internal fun Scenarios.reconnects() {
}
