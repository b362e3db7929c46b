package dev.hubwire

internal fun Scenarios.deliveries() {
}
