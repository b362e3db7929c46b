package dev.hubwire

internal fun Scenarios.volumes() {
}
