package dev.hubwire

internal fun Scenarios.misuses() {
}
