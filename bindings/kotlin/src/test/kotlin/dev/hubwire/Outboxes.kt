package dev.hubwire

internal fun Scenarios.outboxes() {
}
