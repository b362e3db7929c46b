package dev.hubwire

internal fun Scenarios.hubs() {
}
